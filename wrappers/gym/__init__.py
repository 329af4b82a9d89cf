"""Gymnasium views, a ``VectorEnv`` of all learning agents and an ``Env`` of one agent."""
