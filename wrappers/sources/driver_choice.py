"""Which driver fits a vector environment."""

from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from heron.wrappers.sources.async_driver import AsyncDriver
from heron.wrappers.sources.envpool_driver import EnvPoolDriver
from heron.wrappers.sources.vector_drivers import AnyVectorEnv, CartPoleDriver, VectorDriver


def driver_of(env: AnyVectorEnv) -> VectorDriver:
    """The driver that fits a vector environment.

    Raises:
        ConfigurationError: If it is one of a kind that is known, but was made in a way that does not fit.
    """
    if (known := _known_driver(env)) is not None:
        return known(env)
    driver = VectorDriver(env)
    # In its wrappers' hands it can only do what Gymnasium says of all, and some do not heed options["reset_mask"].
    driver.resets_some = _known_driver(env.unwrapped) in (None, AsyncDriver)
    return driver


def needs_driver(env: AnyVectorEnv) -> bool:
    """Whether a vector environment resets copies only one step after their end, unless a driver of ours does it."""
    driver = _known_driver(env)
    if driver not in (CartPoleDriver, EnvPoolDriver):
        return False
    return (driver.autoreset_mode or env.metadata.get("autoreset_mode")) is AutoresetMode.NEXT_STEP


def _known_driver(env: AnyVectorEnv) -> type[VectorDriver] | None:
    if isinstance(env, CartPoleVectorEnv):
        return CartPoleDriver
    if type(env) is AsyncVectorEnv:  # one that is derived from it may do more in a step
        return AsyncDriver
    return EnvPoolDriver if EnvPoolDriver.drives(env) else None
