"""The vector env as Stable-Baselines3 expects it. Needs SB3, the extra ``train``."""

from heron.wrappers.sb3.vec_env import Sb3VecEnv

__all__ = ["Sb3VecEnv"]
