"""What PettingZoo and Gymnasium check themselves, with their warnings as remarks."""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, Final

from gymnasium.utils.env_checker import check_env
from pettingzoo import AECEnv, ParallelEnv

from heron.testing.findings import Finding, Findings

_CYCLES: Final = 100
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
"""Gymnasium's warnings are made for terminals."""


def library_check_name(env: Any) -> str:
    """The name of the library's own check for an environment of this kind."""
    if isinstance(env, ParallelEnv):
        return "parallel_api_test"
    return "api_test" if isinstance(env, AECEnv) else "check_env"


def run_library_check(make: Callable[[], Any], findings: Findings) -> None:
    """Run the library's own check on a new environment; its warnings become remarks."""
    env = make()
    name = library_check_name(env)
    try:
        check = _library_check(name)
        with remarked_warnings(name, findings), redirect_stdout(io.StringIO()):
            check(env)
    except ImportError as error:
        findings.add(Finding(name, "it cannot be run", str(error), fix="install what it needs", is_error=False))
    except Exception as error:  # noqa: BLE001 - an assertion, or whatever the environment raises
        text = " ".join(str(error).split())
        findings.add(Finding(name, "it fails", f"{type(error).__name__}: {text:.300}"))
    finally:
        env.close()


def _library_check(name: str) -> Callable[[Any], None]:
    if name == "check_env":
        return lambda env: check_env(env.unwrapped, skip_render_check=True, skip_close_check=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # It imports environments of its own, which need more than PettingZoo itself does, and warn of their age.
        from pettingzoo import test  # noqa: PLC0415
    check: Callable[..., None] = getattr(test, name)
    return lambda env: check(env, num_cycles=_CYCLES)


@contextmanager
def remarked_warnings(check: str, findings: Findings) -> Iterator[None]:
    """Make a remark of each warning in the block."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in heard:
                text = " ".join(_COLOURS.sub("", str(warning.message)).split())
                findings.add(Finding(check, f"it warns: {text:.200}", is_error=False))
