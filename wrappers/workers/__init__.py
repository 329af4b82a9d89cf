"""Batched environments whose copies are stepped by workers: processes now, threads or actors with another transport."""
