import sys

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Let torch use one thread, if it is there: tiny networks only lose by more, and most of all side by side.

    A hook and no fixture, so that it comes before fixtures of a whole module, which train, too.
    """
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
