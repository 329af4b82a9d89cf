"""HERON: hierarchies of communicating agents on PettingZoo and Gymnasium environments."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from heron.errors import HeronError
from heron.version import __version__ as __version__

if TYPE_CHECKING:
    from heron.agents import CoordinatorAgent, FieldAgent, Hierarchy
    from heron.messaging import InMemoryBroker
    from heron.wrappers import HierarchicalVectorEnv, make_vec

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


class _FolderBesideFinder:
    """Find ``heron.envs`` and ``heron.wrappers`` beside this package, in a checkout without symbolic links.

    Git writes a text file in place of each link there. Adding the parent folder to ``__path__`` would find both, but
    ``tests/`` and ``examples/`` too.
    """

    @staticmethod
    def find_spec(
        name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a linked folder, for the import system."""
        return PathFinder.find_spec(name, [str(_CHECKOUT)]) if name in {"heron.envs", "heron.wrappers"} else None


_CHECKOUT = Path(__file__).parents[1]
if not Path(__file__).with_name("wrappers").is_dir() and (_CHECKOUT / "pyproject.toml").is_file():
    sys.meta_path.insert(0, _FolderBesideFinder)  # before the finder of an editable install of another checkout
