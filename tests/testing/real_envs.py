"""Environments of PettingZoo's, by the name of their module."""

import warnings
from functools import partial

from heron.wrappers.sources.env_names import env_factory


def real_env(name, **kwargs):
    """A function that makes it."""
    with warnings.catch_warnings():
        # The modules warn at their import of a registry that older versions lack.
        warnings.simplefilter("ignore", DeprecationWarning)
        return partial(env_factory(name), **kwargs)
