"""Training a hierarchy with Stable-Baselines3, evaluating it, and saving it to a folder.

It needs the extra ``train``: ``pip install 'heron-rl[train]'``.
"""

from heron.training.config import LearnerConfig, TrainConfig
from heron.training.evaluation import Evaluation, evaluate, random_policies
from heron.training.hierarchy_config import HierarchyConfig
from heron.training.plots import plot_curves
from heron.training.progress import Metrics, Turn
from heron.training.run import Run, load_run, save_run
from heron.training.trainer import HierarchyTrainer

__all__ = [
    "Evaluation",
    "HierarchyConfig",
    "HierarchyTrainer",
    "LearnerConfig",
    "Metrics",
    "Run",
    "TrainConfig",
    "Turn",
    "evaluate",
    "load_run",
    "plot_curves",
    "random_policies",
    "save_run",
]
