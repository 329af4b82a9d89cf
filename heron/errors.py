"""Every error that HERON raises on purpose.

HeronError
├── MessagingError
│   ├── InvalidMessageError (ValueError)     a bad id, payload, channel or lane row
│   ├── BrokerClosedError (RuntimeError)     any use of a broker after ``close()``
│   └── QueueFullError (RuntimeError)        a bounded queue that may not drop
├── AgentError (RuntimeError)                an agent without a broker or an upstream
├── HierarchyError (ValueError)              a tree that is no tree, or does not fit its environment
├── ConfigurationError (ValueError)          an option, space or policy that cannot work
│   ├── UnknownGroupError (KeyError)         a group of agents that does not exist
│   ├── InvalidMaskError (TypeError)         a mask of wrong type, shape, dtype or content
│   └── PolicyError (RuntimeError)           a policy that raised, or returned what is no action
├── RunError (ValueError)                    a folder that holds no readable run
├── ContractError (AssertionError)           a check of heron.testing that found something
└── EnvError
    ├── EnvCreationError (RuntimeError)      a factory that raised, or made something unusable
    ├── EnvStepError (RuntimeError)          an environment that raised in ``reset`` or ``step``
    ├── UnknownEnvError (KeyError)           an env_id or index that does not exist
    ├── UnknownAgentError (KeyError)         an agent that no environment copy has
    ├── ResetRequiredError (RuntimeError)    a step before the first reset or after the episode's end
    ├── DecisionRequiredError (RuntimeError) an environment step while a coordinator's decision is due
    ├── EnvClosedError (RuntimeError)        any use of a vector env after ``close()``
    ├── WorkerError (RuntimeError)           a worker process that died
    │   └── WorkerTimeoutError (TimeoutError)  one that gave no answer in time
    ├── InvalidActionError (ValueError)      wrong shape or dtype, NaN, or outside its space
    └── InvalidObservationError (ValueError) an observation outside its space
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any


class HeronError(Exception):
    """Base of every error that HERON raises on purpose."""

    def __str__(self) -> str:
        # KeyError would show the message as a quoted repr.
        return Exception.__str__(self)


class MessagingError(HeronError):
    """Something went wrong between a sender and a recipient."""


class InvalidMessageError(MessagingError, ValueError):
    """An id, payload, channel name or lane row is not what messaging can carry."""


class BrokerClosedError(MessagingError, RuntimeError):
    """The broker was used after ``close()``."""


class QueueFullError(MessagingError, RuntimeError):
    """A queue with ``overflow="error"`` is full; the message was not accepted."""


class AgentError(HeronError, RuntimeError):
    """An agent was asked for something that it is not set up for."""


class HierarchyError(HeronError, ValueError):
    """The hierarchy is not a tree, or does not fit the environment's agents."""


class ConfigurationError(HeronError, ValueError):
    """An option, a space or a policy cannot work as given."""


class UnknownGroupError(ConfigurationError, KeyError):
    """No group of agents has this name."""


class InvalidMaskError(ConfigurationError, TypeError):
    """A mask does not say which copies or slots are meant."""


class PolicyError(ConfigurationError, RuntimeError):
    """A policy raised when it was asked, or returned what is no action of its group."""


class RunError(HeronError, ValueError):
    """A folder does not hold a run that can be read."""


class EnvError(HeronError):
    """Something about one or more environment copies."""


class EnvCreationError(EnvError, RuntimeError):
    """A factory raised, or returned something that is not a usable environment."""


class EnvStepError(EnvError, RuntimeError):
    """An environment copy raised in ``reset`` or ``step``."""


class UnknownEnvError(EnvError, KeyError):
    """No environment copy has this id or index."""


class UnknownAgentError(EnvError, KeyError):
    """No environment copy has an agent of this id."""


class ResetRequiredError(EnvError, RuntimeError):
    """A copy was used before its first reset, or stepped after its episode ended."""


class DecisionRequiredError(EnvError, RuntimeError):
    """The environment was stepped while a coordinator's decision was due."""


class EnvClosedError(EnvError, RuntimeError):
    """The vector env was used after ``close()``."""


class WorkerError(EnvError, RuntimeError):
    """A worker process died, and the copies that it stepped are gone.

    Args:
        message: What happened.
        worker: The worker's number; the first one is 1.
        env_ids: The copies that it stepped.
    """

    def __init__(self, message: str, worker: int, env_ids: tuple[str, ...]) -> None:
        super().__init__(message, worker, env_ids)
        self.worker = worker
        self.env_ids = env_ids

    def __str__(self) -> str:
        return str(self.args[0])


class WorkerTimeoutError(WorkerError, TimeoutError):
    """A worker process gave no answer in time, and was killed."""


class InvalidActionError(EnvError, ValueError):
    """An action has the wrong shape or dtype, holds NaN, or lies outside its space."""


class InvalidObservationError(EnvError, ValueError):
    """An environment returned an observation outside its declared space."""


class ContractError(HeronError, AssertionError):
    """A part does not keep what its interface promises.

    Args:
        message: What fails, how, and where.
        findings: One record for each thing that was found.
    """

    def __init__(self, message: str, findings: tuple[Any, ...] = ()) -> None:
        super().__init__(message, findings)
        self.findings = findings

    def __str__(self) -> str:
        return str(self.args[0])


def check_id(what: str, value: object) -> str:
    """Return ``value`` if it is a non-empty string.

    Args:
        what: The name of the id in the error message, such as ``"env_id"``.
        value: What was given.

    Raises:
        InvalidMessageError: If ``value`` is not a string, or is empty.
    """
    if not isinstance(value, str) or not value:
        raise InvalidMessageError(f"{what} must be a non-empty string, got {value!r}")
    return value


def meant(name: Any, known: Iterable[str]) -> str:
    """A question for the end of a message about a name that is none, or nothing if it is like no other.

    >>> meant("feild", ["field", "coordinator"]), meant("x", ["field"])
    ("; did you mean 'field'?", '')
    """
    if not isinstance(name, str):
        return ""
    # Another number is hardly a slip: who asks for env_9 does not mean env_1.
    by_lower = {one.lower(): one for one in known if _digits(one) == _digits(name)}
    close = get_close_matches(name.lower(), by_lower, 1)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""


def shown(env_ids: Sequence[str]) -> str:
    """The first few names and the last one, for messages.

    >>> shown(["env_0", "env_1"])
    'env_0, env_1'
    """
    few = 6
    return ", ".join(env_ids[:few]) + (f", ... {env_ids[-1]}" if len(env_ids) > few else "")


def summary(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}"


def _digits(name: str) -> str:
    return "".join(filter(str.isdigit, name))
