"""Imports run up the floors of the house only, and never in a circle: a part can be read without those below it."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import heron

ROOT = Path(heron.__file__).parent

FLOORS = [
    "heron.errors",
    "heron.messaging",
    "heron.agents",
    "heron.batch",
    "heron.vector",
    "heron.play",
    "heron.envs",
    "heron.wrappers.sources",
    "heron.wrappers.workers",
    "heron.wrappers.make_vec",
    "heron.wrappers.gym",
    "heron.wrappers.pettingzoo",
    "heron.wrappers.rllib",
    "heron.wrappers.sb3",
    "heron.wrappers",
    "heron.training",
    "heron.testing",
    "heron.cli",
    "heron",
]
"""From the ground up; each may import itself and what stands above it in this list."""


def modules() -> Iterator[tuple[str, Path]]:
    for folder in (ROOT, ROOT / "envs", ROOT / "wrappers"):
        for path in sorted(folder.rglob("*.py")):
            parts = (folder.relative_to(ROOT) / path.relative_to(folder)).with_suffix("").parts
            yield ".".join(["heron", *(parts[:-1] if parts[-1] == "__init__" else parts)]), path


MODULES = dict(modules())


def floor(module: str) -> int:
    fits = [
        (len(name), number) for number, name in enumerate(FLOORS) if module == name or module.startswith(f"{name}.")
    ]
    return max(fits)[1]


@cache
def imports(module: str) -> frozenset[str]:
    """Return all modules of ours that a module imports, at its top or in a function."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= inside or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(name for name in found if name in MODULES) - {module}


def folder(module: str) -> str:
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


def test_symbolic_links_are_followed():
    assert {"heron.wrappers.gym.gym_env", "heron.envs", "heron.messaging.lane"} <= MODULES.keys()


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_up_the_floors(module):
    # The version, which stands in the package itself, is for everyone.
    too_low = [name for name in imports(module) - {"heron"} if floor(name) > floor(module)]

    assert not too_low


def test_no_circle_of_files():
    # A package imports its modules and they import nothing from it, so a circle would be theirs.
    graph = {module: imports(module) - {"heron"} for module in MODULES if module != "heron"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these files import one another: {' -> '.join(error.args[1])}")


def test_no_circle_of_folders():
    graph: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        if path.name != "__init__.py":
            above = {folder(name) for name in imports(module) if MODULES[name].name != "__init__.py"}
            graph.setdefault(folder(module), set()).update(above - {folder(module), "heron"})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these folders import one another: {' -> '.join(error.args[1])}")
