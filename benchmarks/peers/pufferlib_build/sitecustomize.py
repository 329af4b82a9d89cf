"""Lets PufferLib 3.0.0 be built without its own games, whose sources its build would download.

With ``NO_OCEAN=1`` its ``setup.py`` never defines this name, and reads it all the same. Python imports this module at
start where ``PYTHONPATH`` names its folder, as ``make bench-peers`` does for that one build.
"""

import builtins

builtins.c_extension_paths = []  # type: ignore[attr-defined]
