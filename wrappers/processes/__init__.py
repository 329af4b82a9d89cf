"""Copies of an environment in worker processes, and the choice between them and this process."""
