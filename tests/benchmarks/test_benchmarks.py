"""The benchmarks still run; what they measure is for people to read."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_all_tables_are_printed():
    command = [sys.executable, "-m", "benchmarks", "--num-envs", "3", "--steps", "5", "--rounds", "2"]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for title in ("Stepping mpe2.simple_spread_v3, 3 copies", "Messages one by one", "Lanes of the in-memory broker"):
        assert title in output
    assert "relative speed" in output
