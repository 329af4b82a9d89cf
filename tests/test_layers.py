"""Imports run up the floors of the house only, and never in a circle: a part can be read without those below it."""

from graphlib import CycleError, TopologicalSorter

import pytest

from docs.house import FLOORS, MODULES, floor, imports


def folder(module: str) -> str:
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


def expect_no_circle(graph: dict[str, set[str]], parts: str) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these {parts} import one another: {' -> '.join(error.args[1])}")


def test_every_module_is_on_a_floor_and_no_floor_is_empty():
    assert {floor(module) for module in MODULES} == set(FLOORS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_up_the_floors(module):
    too_low = [name for name in imports(module) if FLOORS.index(floor(name)) > FLOORS.index(floor(module))]

    assert not too_low


def test_no_circle_of_files():
    # A package imports its modules and they import nothing from it, so a circle would be theirs.
    expect_no_circle({module: set(imports(module)) for module in MODULES}, "files")


def test_no_circle_of_folders():
    graph: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        if path.name != "__init__.py":
            above = {folder(name) for name in imports(module) if MODULES[name].name != "__init__.py"}
            graph.setdefault(folder(module), set()).update(above - {folder(module)})
    expect_no_circle(graph, "folders")
