"""Environments that are closed after each test."""

import pytest

from heron.wrappers import ProcessEnv


@pytest.fixture
def closing_env():
    """Make an environment of any kind, and close it in the end."""
    made = []

    def make_env(kind, *args, **kwargs):
        made.append(kind(*args, **kwargs))
        return made[-1]

    yield make_env
    for env in made:
        env.close()


@pytest.fixture
def process_env(closing_env):
    """Make a ``ProcessEnv``, and close it in the end."""
    return lambda *args, **kwargs: closing_env(ProcessEnv, *args, **kwargs)
