"""Choice of the driver that fits a vector environment."""

from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from heron.errors import ConfigurationError
from heron.wrappers.sources.async_driver import AsyncDriver
from heron.wrappers.sources.envpool_driver import EnvPoolDriver
from heron.wrappers.sources.vector_drivers import AnyVectorEnv, CartPoleDriver, VectorDriver


def driver_of(env: AnyVectorEnv, reset_mask: bool | None = None) -> VectorDriver:
    """Return the driver that fits a vector environment.

    Args:
        env: The vector environment.
        reset_mask: False to use Gymnasium's interface alone, and reset all copies at once; True to trust the
            environment to honour ``options["reset_mask"]``.

    Raises:
        ConfigurationError: If its kind is supported, but not the options that it was made with.
    """
    if reset_mask is not False and has_driver(env):
        return _known_driver(env)(env)
    driver = VectorDriver(env)
    # Through wrappers only the common interface can be used, and some environments ignore options["reset_mask"].
    driver.resets_some = (
        _known_driver(env.unwrapped) in (VectorDriver, AsyncDriver) if reset_mask is None else reset_mask
    )
    return driver


def has_driver(env: AnyVectorEnv) -> bool:
    """Return True if there is a driver for this kind of vector environment, which resets and steps any copies."""
    return _known_driver(env) is not VectorDriver


def autoreset_mode_of(
    env: AnyVectorEnv, given: AutoresetMode | str | None, known: AutoresetMode | None
) -> AutoresetMode:
    """Return the autoreset mode of a vector environment.

    Args:
        env: The vector environment.
        given: The mode that its user states, if any.
        known: The mode that all environments of its kind have, if that is known; otherwise its metadata count.

    Raises:
        ConfigurationError: If the mode is missing, invalid or contradicts ``given``.
    """
    own = env.metadata.get("autoreset_mode") if known is None else known
    stated = own if given is None else given
    try:
        mode = AutoresetMode(stated)
    except ValueError as error:
        raise ConfigurationError(
            f"{env} has autoreset_mode {stated!r} in its metadata; expected one of "
            f"{[str(mode) for mode in AutoresetMode]}, there or as an argument"
        ) from error
    if own is not None and own not in (mode, mode.value):
        raise ConfigurationError(
            f"{env} has autoreset mode {own}, but autoreset_mode is {mode}: omit it, or make the environment "
            "with that mode"
        )
    return mode


def _known_driver(env: AnyVectorEnv) -> type[VectorDriver]:
    if isinstance(env, CartPoleVectorEnv):
        return CartPoleDriver
    if type(env) is AsyncVectorEnv:  # one that is derived from it may do more in a step
        return AsyncDriver
    return EnvPoolDriver if EnvPoolDriver.drives(env) else VectorDriver
