"""Stable-Baselines3 (SB3) view, with the buffers and statistics that learn correctly from it.

Needs SB3 and sb3_contrib, the extra ``train``.
"""

from heron.wrappers.sb3.buffer_options import buffer_options
from heron.wrappers.sb3.learner import make_learner
from heron.wrappers.sb3.live_recurrent_ppo import LiveRecurrentPPO
from heron.wrappers.sb3.replay_buffers import LiveDictReplayBuffer, LiveReplayBuffer
from heron.wrappers.sb3.rollout_buffers import (
    LiveDictRolloutBuffer,
    LiveMaskableDictRolloutBuffer,
    LiveMaskableRolloutBuffer,
    LiveRolloutBuffer,
)
from heron.wrappers.sb3.slot_rows import SlotRecorder
from heron.wrappers.sb3.slot_statistics import SlotMonitor, SlotNormalize
from heron.wrappers.sb3.vec_env import Sb3VecEnv

__all__ = [
    "LiveDictReplayBuffer",
    "LiveDictRolloutBuffer",
    "LiveMaskableDictRolloutBuffer",
    "LiveMaskableRolloutBuffer",
    "LiveRecurrentPPO",
    "LiveReplayBuffer",
    "LiveRolloutBuffer",
    "Sb3VecEnv",
    "SlotMonitor",
    "SlotNormalize",
    "SlotRecorder",
    "buffer_options",
    "make_learner",
]
