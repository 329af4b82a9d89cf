"""What makes SB3's learners right on an ``Sb3VecEnv``: inert slots do not count, and long decisions are discounted.

Needs SB3 and sb3_contrib, the extra ``train``.
"""

from heron.wrappers.sb3_buffers.options import buffer_options
from heron.wrappers.sb3_buffers.recorder import SlotRecorder
from heron.wrappers.sb3_buffers.recurrent import LiveRecurrentPPO
from heron.wrappers.sb3_buffers.replay import LiveDictReplayBuffer, LiveReplayBuffer
from heron.wrappers.sb3_buffers.rollout import (
    LiveDictRolloutBuffer,
    LiveMaskableDictRolloutBuffer,
    LiveMaskableRolloutBuffer,
    LiveRolloutBuffer,
)
from heron.wrappers.sb3_buffers.statistics import SlotMonitor, SlotNormalize

__all__ = [
    "LiveDictReplayBuffer",
    "LiveDictRolloutBuffer",
    "LiveMaskableDictRolloutBuffer",
    "LiveMaskableRolloutBuffer",
    "LiveRecurrentPPO",
    "LiveReplayBuffer",
    "LiveRolloutBuffer",
    "SlotMonitor",
    "SlotNormalize",
    "SlotRecorder",
    "buffer_options",
]
