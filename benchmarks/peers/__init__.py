"""Other libraries that step copies of an environment, each in a process and an interpreter of its own.

Each module has one function ``make(task, actions, ...)``, which returns a function that steps all copies as often
as there are actions, and resets where episodes end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

HERE = ""
"""The virtual environment of the benchmarks themselves."""


@dataclass(frozen=True, eq=False)
class Peer:
    """One way to step copies that is not HERON's.

    Attributes:
        label: What it is called in the tables.
        module: Its module in this package.
        venv: The folder of its virtual environment below that of all peers; ``HERE`` for that of the benchmarks.
        packages: The packages whose versions tell what was measured.
        options: Further arguments of its ``make``.
        patience: How many times fewer steps it takes in a round, where it is very slow.
    """

    label: str
    module: str
    venv: str
    packages: tuple[str, ...] = ()
    options: Mapping[str, int] = field(default_factory=dict)
    patience: int = 1


FLAT = "(one flat agent)"

PEERS = (
    Peer("two workers, shared memory", "shared_memory_loop", HERE),
    Peer("SuperSuit to SB3, 1 cpu", "supersuit", "common", ("supersuit",), {"num_cpus": 1}),
    Peer("SuperSuit to SB3, 2 cpus", "supersuit", "common", ("supersuit",), {"num_cpus": 2}),
    Peer("PufferLib serial", "pufferlib", "pufferlib", ("pufferlib",), {"num_workers": 0}),
    Peer("PufferLib, 2 workers", "pufferlib", "pufferlib", ("pufferlib",), {"num_workers": 2}),
    Peer("AgileRL async", "agilerl", "agilerl", ("agilerl",)),
    Peer("TorchRL serial", "torchrl", "common", ("torchrl", "tensordict"), patience=10),
    Peer(f"Gymnasium Sync {FLAT}", "gymnasium_vector", HERE, ("gymnasium",), {"processes": 0}),
    Peer(f"Gymnasium Async {FLAT}", "gymnasium_vector", HERE, ("gymnasium",), {"processes": 1}),
    Peer(f"SB3 Dummy {FLAT}", "sb3", HERE, ("stable_baselines3",), {"processes": 0}),
    Peer(f"SB3 Subproc {FLAT}", "sb3", HERE, ("stable_baselines3",), {"processes": 1}),
    Peer(f"Tianshou shared memory {FLAT}", "tianshou", "common", ("tianshou",)),
)
