"""What the flags of a command line say."""

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
    """The config that a command line describes: the file's, with whatever flags were given on top.

    Raises:
        ConfigurationError: If the file or a flag cannot work.
    """
    values = {} if path is None else read_toml(path)
    if env is not None:
        values["env"] = env
    elif "env" not in values:
        raise ConfigurationError("name the environment: as ENV, or as env = '...' in the file of --config")
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
    """What the flags say about the hierarchy."""
    given: dict[str, Any] = {}
    if period is not None:
        given["period"] = period
    if command is not None:
        given["command"] = parse_command(command)
    if goal is not None:
        given["goal"] = {"position": parse_goal(goal)}
    return given


def backend_flags(backend: str | None, workers: int | None) -> dict[str, Any]:
    """What the flags say about where copies are stepped; the loop has no use for what a file says of workers."""
    given: dict[str, Any] = {}
    if backend == "loop":
        given |= dict.fromkeys(field.name for field in fields(WorkerOptions))
    if backend is not None:
        given["backend"] = backend
    if workers is not None:
        given["num_workers"] = workers
    return given


def parse_env_arg(text: str) -> tuple[str, Any]:
    """``KEY=VALUE`` with the value read as JSON, or else as a plain string.

    Raises:
        ConfigurationError: If there is no ``=``.

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
    """``SIZE,LOW,HIGH`` or ``N``, as ``HierarchyConfig.command`` has it.

    Raises:
        ConfigurationError: If it is neither.

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
    raise ConfigurationError(f"--command must be SIZE,LOW,HIGH, as in 2,-1,1, or a number of choices, got {text!r}")


def parse_goal(text: str) -> tuple[int, int]:
    """``FIRST,LAST``, two entries of an observation.

    Raises:
        ConfigurationError: If it is not.
    """
    try:
        first, last = text.split(",")
        return int(first), int(last)
    except ValueError:
        raise ConfigurationError(f"--goal must be FIRST,LAST, as in 2,4, got {text!r}") from None
