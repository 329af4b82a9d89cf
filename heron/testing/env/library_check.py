"""The checks of PettingZoo and Gymnasium themselves, whose warnings become remarks."""

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
"""Terminal colours in Gymnasium's warnings."""


def run_library_check(make: Callable[[], Any], findings: Findings) -> None:
    """Run the library's own check on a new environment."""
    env = make()
    name = _name(env)
    try:
        check = _library_check(name)
        with remarked_warnings("library", findings), redirect_stdout(io.StringIO()):
            check(env)
    except ImportError as error:
        fix = "install the missing package"
        findings.add(Finding("library", f"{name} cannot be run", str(error), fix=fix, is_error=False))
    except Exception as error:  # noqa: BLE001 - an assertion, or an error of the environment
        text = " ".join(str(error).split())
        findings.add(Finding("library", f"{name} fails", f"{type(error).__name__}: {text:.300}"))
    finally:
        env.close()


def _name(env: Any) -> str:
    if isinstance(env, ParallelEnv):
        return "parallel_api_test"
    return "api_test" if isinstance(env, AECEnv) else "check_env"


def _library_check(name: str) -> Callable[[Any], None]:
    if name == "check_env":
        return lambda env: check_env(env.unwrapped, skip_render_check=True, skip_close_check=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # It imports environments that need optional packages and raise deprecation warnings.
        from pettingzoo import test  # noqa: PLC0415
    check: Callable[..., None] = getattr(test, name)
    return lambda env: check(env, num_cycles=_CYCLES)


@contextmanager
def remarked_warnings(check: str, findings: Findings) -> Iterator[None]:
    """Add a remark for each warning in the block."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                text = " ".join(_COLOURS.sub("", str(warning.message)).split())
                findings.add(Finding(check, f"it warns: {text:.200}", is_error=False))
