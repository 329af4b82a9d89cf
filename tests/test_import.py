"""Importing HERON is cheap: what only some need is imported when they need it."""

import json
import subprocess
import sys

import pytest

OPTIONAL = {"torch", "stable_baselines3", "sb3_contrib", "redis", "ray", "matplotlib", "scipy", "typer", "rich"}

PROBE = """
import json, sys, time
start = time.perf_counter()
import {module}
seconds = time.perf_counter() - start
print(json.dumps([seconds, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""


def imported(module: str) -> tuple[float, set[str]]:
    """Seconds that the import took in a fresh process, and the packages that are loaded after it."""
    command = [sys.executable, "-c", PROBE.format(module=module)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    seconds, packages = json.loads(done.stdout)
    return seconds, set(packages)


@pytest.mark.parametrize(
    "module",
    ["heron", "heron.messaging", "heron.testing", "heron.agents", "heron.envs", "heron.wrappers"],
)
def test_import_pulls_in_nothing_optional(module):
    _, packages = imported(module)

    assert "heron" in packages
    assert not packages & OPTIONAL


def test_import_heron_takes_less_than_half_a_second():
    assert min(imported("heron")[0] for _ in range(3)) < 0.5


def test_import_heron_alone_pulls_in_neither_numpy_nor_its_own_rooms():
    _, packages = imported("heron")

    assert not packages & {"numpy", "gymnasium", "pettingzoo"}
