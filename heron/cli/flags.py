"""Reading of command-line flags."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from heron.errors import ConfigurationError
from heron.training import TrainConfig
from heron.training.config import read_toml
from heron.wrappers.workers.sharding import WorkerOptions

PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}


def read_config(
    env: str | None,
    path: Path | None,
    env_args: list[str] | None,
    flags: dict[str, Any],
    hierarchy: dict[str, Any],
    backend: dict[str, Any],
) -> TrainConfig:
    """Return the config of a command line: that of the file, overridden by the flags.

    Raises:
        ConfigurationError: If the file cannot be read, or a value is invalid.
    """
    values = {} if path is None else read_toml(path)
    if env is not None:
        values["env"] = env
    elif "env" not in values:
        raise ConfigurationError("env is missing: name the environment as ENV, or as env = '...' in the --config file")
    values |= {name: value for name, value in flags.items() if value is not None}
    if env_args:
        values["env_kwargs"] = _table(values, "env_kwargs") | dict(map(parse_env_arg, env_args))
    if hierarchy:
        values["hierarchy"] = _table(values, "hierarchy") | hierarchy
    values |= backend
    return TrainConfig.from_mapping(values)


def _table(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = values.get(name, {})
    if not isinstance(table, dict):
        raise ConfigurationError(f"{name} must be a table, got {table!r}")
    return table


def hierarchy_flags(period: int | None, command: str | None, goal: str | None) -> dict[str, Any]:
    """Return the settings of the hierarchy that the flags give."""
    given: dict[str, Any] = {}
    if period is not None:
        given["period"] = period
    if command is not None:
        given["command"] = parse_command(command)
    if goal is not None:
        given["goal"] = {"position": parse_goal(goal)}
    return given


def backend_flags(backend: str | None, workers: int | None) -> dict[str, Any]:
    """Return the settings of the backend that the flags give; ``loop`` clears the worker options of a file."""
    given: dict[str, Any] = {}
    if backend == "loop":
        given |= dict.fromkeys(field.name for field in fields(WorkerOptions))
    if backend is not None:
        given["backend"] = backend
    if workers is not None:
        given["num_workers"] = workers
    return given


def parse_env_arg(text: str) -> tuple[str, Any]:
    """Parse ``KEY=VALUE``; a value that is not JSON is a plain string.

    Raises:
        ConfigurationError: If there is no ``=`` or no key.

    >>> parse_env_arg("max_cycles=25"), parse_env_arg("mode=fast")
    (('max_cycles', 25), ('mode', 'fast'))
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ConfigurationError(f"--env-arg must be KEY=VALUE, got {text!r}")
    try:
        return key, json.loads(PYTHON_WORDS.get(value, value))
    except json.JSONDecodeError:
        return key, value


def parse_command(text: str) -> dict[str, Any]:
    """Parse ``SIZE,LOW,HIGH`` or ``N``, for ``HierarchyConfig.command``.

    Raises:
        ConfigurationError: If the text is neither.

    >>> parse_command("2,-1,1"), parse_command("4")
    ({'size': 2, 'low': -1.0, 'high': 1.0}, {'choices': 4})
    """
    try:
        match text.split(","):
            case [choices]:
                return {"choices": int(choices)}
            case [size, low, high]:
                return {"size": int(size), "low": float(low), "high": float(high)}
    except ValueError:
        pass
    raise ConfigurationError(f"--command must be SIZE,LOW,HIGH (such as 2,-1,1) or a number of choices, got {text!r}")


def parse_goal(text: str) -> tuple[int, int]:
    """Parse ``FIRST,LAST``, two entries of an observation.

    Raises:
        ConfigurationError: If the text is not two integers.
    """
    try:
        first, last = text.split(",")
        return int(first), int(last)
    except ValueError:
        raise ConfigurationError(f"--goal must be FIRST,LAST (such as 2,4), got {text!r}") from None
