"""CONTRIBUTING shows the house as it is."""

import re

import pytest

from docs.house import DOCUMENT, MODULES, ROOT, drawing, place, places, updated

STALE = "CONTRIBUTING.md is out of date: run `python docs/house.py`"


def test_drawing_and_places_are_up_to_date():
    text = DOCUMENT.read_text(encoding="utf-8")

    assert updated(text) == text, STALE


def test_drawing_fits_on_one_screen():
    lines = drawing().splitlines()

    assert len(lines) <= 55
    assert max(map(len, lines)) <= 110


def test_drawing_shows_every_folder():
    folders = {module for module, path in MODULES.items() if path.name == "__init__.py" and module != "heron"}
    for module in folders:
        assert re.search(rf"│ *(heron/)?{module.rpartition('.')[2]}/ ", drawing()), module


def test_paths_that_are_named_exist():
    paths = re.findall(r"`([\w./-]+/[\w./-]*)`", DOCUMENT.read_text(encoding="utf-8"))

    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_places_lead_to_definitions():
    assert "`HierarchicalVectorEnv.advance` in [heron/vector/hierarchical_vector_env.py]" in places()
    with pytest.raises(LookupError, match=r"heron\.play defines no NoSuchClass"):
        place("heron.play:NoSuchClass")


def test_a_document_without_markers_is_refused():
    with pytest.raises(LookupError, match="house"):
        updated("# Contributing")
