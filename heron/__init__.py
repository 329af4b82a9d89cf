"""HERON: hierarchies of communicating agents on PettingZoo environments."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from heron.errors import HeronError

if TYPE_CHECKING:
    from heron.agents import CoordinatorAgent, FieldAgent, Hierarchy
    from heron.messaging import InMemoryBroker
    from heron.wrappers import HierarchicalVectorEnv, make_vec

__version__ = "0.1.0"

__all__ = [
    "CoordinatorAgent",
    "FieldAgent",
    "HeronError",
    "HierarchicalVectorEnv",
    "Hierarchy",
    "InMemoryBroker",
    "make_vec",
]

_HOMES = {
    "CoordinatorAgent": "heron.agents",
    "FieldAgent": "heron.agents",
    "HierarchicalVectorEnv": "heron.wrappers",
    "Hierarchy": "heron.agents",
    "InMemoryBroker": "heron.messaging",
    "make_vec": "heron.wrappers",
}


def __getattr__(name: str) -> Any:
    # Looked up on first use, so that `import heron` costs nothing and pulls in nothing.
    if name not in _HOMES:
        raise AttributeError(f"module 'heron' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
