"""Checks of single values of a config."""

from math import isfinite
from typing import Any

from heron.errors import ConfigurationError


def check_kind(name: str, value: object, kind: Any, expected: str) -> None:
    """Check that ``value`` is of a type, which ``expected`` describes in the error.

    Raises:
        ConfigurationError: If it is of another type.
    """
    if not isinstance(value, kind):
        raise ConfigurationError(f"{name} must be {expected}, got {value!r}")


def is_count(value: object) -> bool:
    """Return True for a positive int."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_number(value: object) -> bool:
    """Return True for a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
