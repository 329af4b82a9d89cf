"""PettingZoo's own tests, imported without the warnings of PettingZoo's example environments."""

import warnings
from contextlib import contextmanager

with warnings.catch_warnings():
    # They use an API that PettingZoo 1.27 deprecates.
    warnings.filterwarnings("ignore", "The old environment creation API", DeprecationWarning)
    from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test, state_test

__all__ = ["api_test", "parallel_api_test", "parallel_seed_test", "seed_test", "state_test", "without_advice"]

# Warnings about spaces and shapes that the environments or the coordinators' observations cause.
ADVICE = [
    "Observations? (is|are|have) .*",
    "Action space for each agent probably should be .*",
    "Agent's (minimum|maximum) observation space value is -?infinity.*",
    "Agents have different observation space sizes",
    "The class of observation spaces is different between two agents",
]


@contextmanager
def without_advice():
    with warnings.catch_warnings():
        for advice in ADVICE:
            warnings.filterwarnings("ignore", advice, UserWarning)
        yield
