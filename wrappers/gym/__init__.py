"""The vector env as Gymnasium expects it: a ``VectorEnv``, and one agent as an ``Env``."""
