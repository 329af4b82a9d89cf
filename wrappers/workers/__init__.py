"""Batched environments whose copies are stepped by worker processes."""
