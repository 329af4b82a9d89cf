"""Factories of environments by name."""

import re
from functools import partial
from importlib import import_module

import gymnasium
import pettingzoo

from heron.errors import ConfigurationError
from heron.wrappers.sources.env_creation import EnvFactory

_MODULE_NAME = re.compile(r"[\w.]*(:\w*)?")
"""Ids of registered environments hold a hyphen or a slash, as in ``"CartPole-v1"``."""


def env_factory(name: str) -> EnvFactory:
    """Return the factory of a named environment.

    Raises:
        ConfigurationError: If it cannot be imported, or is not a function.
    """
    if name in gymnasium.registry or not _MODULE_NAME.fullmatch(name):
        return _registered(name)
    module_name, _, attribute = name.partition(":")
    try:
        module = import_module(module_name)
    except (ImportError, ValueError, TypeError) as error:  # the latter two for invalid module names
        raise ConfigurationError(
            f"environment {name!r}: {error}; is the package installed, and the name spelled as in "
            "'mpe2.simple_spread_v3'?"
        ) from error
    wanted = [attribute] if attribute else ["parallel_env", "env"]
    factory = next((found for found in (getattr(module, one, None) for one in wanted) if callable(found)), None)
    if factory is None:
        raise ConfigurationError(
            f"environment {name!r}: module {module_name!r} has no function {' or '.join(map(repr, wanted))}; "
            "expected a PettingZoo environment module, 'module:function', or the id of a registered environment"
        )
    return factory  # type: ignore[no-any-return]


def _registered(env_id: str) -> EnvFactory:
    """Return the factory of an environment that is registered with Gymnasium or PettingZoo."""
    for kind in ("parallel", "aec"):
        # PettingZoo before 1.27 has no registry.
        registry = getattr(pettingzoo, f"{kind}_registry", {})
        if env_id in registry:
            return partial(pettingzoo.make, kind, registry[env_id])
    try:
        # The spec itself, because a worker process may not have registered the id.
        return partial(gymnasium.make, gymnasium.spec(env_id))
    except (gymnasium.error.Error, ImportError, ValueError) as error:
        raise ConfigurationError(
            f"environment {env_id!r}: {error}; expected an id that is registered with Gymnasium, such as "
            "'CartPole-v1', or with PettingZoo, or a module's name, such as 'mpe2.simple_spread_v3'"
        ) from error
