"""Imports run upwards on the list in CONTRIBUTING.md only, so that a part can be understood without those below it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import heron

ROOT = Path(heron.__file__).parent

FLOORS = [
    ["heron.errors"],
    ["heron.messaging"],
    ["heron.agents"],
    ["heron.envs"],
    ["heron.wrappers.selection", "heron.wrappers.action_masks"],
    ["heron.wrappers.sources"],
    ["heron.wrappers.vector", "heron.wrappers.intrinsic"],
    ["heron.wrappers.policies"],
    ["heron.wrappers.processes"],
    ["heron.wrappers.make_vec"],
    ["heron.wrappers.views", "heron.wrappers.registration"],
    ["heron.wrappers.sb3", "heron.wrappers.sb3_buffers", "heron.wrappers.rllib"],
    ["heron.wrappers"],
    ["heron.training"],
    ["heron.testing"],
    ["heron.console", "heron.check_report", "heron.flags"],
    ["heron.commands", "heron.check_command"],
    ["heron.cli"],
    ["heron"],
]
"""From the ground up; what is named together may use one another."""


def modules() -> Iterator[tuple[str, Path]]:
    for folder in (ROOT, ROOT / "envs", ROOT / "wrappers"):
        for path in sorted(folder.rglob("*.py")):
            parts = (folder.relative_to(ROOT) / path.relative_to(folder)).with_suffix("").parts
            yield ".".join(["heron", *(parts[:-1] if parts[-1] == "__init__" else parts)]), path


def floor(module: str) -> int:
    fits = [
        (len(name), number)
        for number, names in enumerate(FLOORS)
        for name in names
        if module == name or module.startswith(f"{name}.")
    ]
    return max(fits)[1]


def always_imported(node: ast.AST) -> Iterator[str]:
    """The modules that are imported along with this one; not what a function imports when it is called."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom):
            yield child.module or ""
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from always_imported(child)


MODULES = dict(modules())


def test_symbolic_links_are_followed():
    assert {"heron.wrappers.views.learner_env", "heron.envs.batch_env", "heron.messaging.lane"} <= MODULES.keys()


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_upwards(module):
    imports = always_imported(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    too_low = [name for name in imports if name.startswith("heron.") and floor(name) > floor(module)]

    assert not too_low
