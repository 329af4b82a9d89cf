"""The error tree of HERON, and the words that error messages share.

HeronError
├── MessagingError
│   ├── InvalidMessageError (ValueError)     an invalid id, payload, channel or lane row
│   ├── BrokerClosedError (RuntimeError)     use of a broker after ``close()``
│   └── QueueFullError (RuntimeError)        a full queue that may not drop messages
├── AgentError (RuntimeError)                an agent without a broker or an upstream
├── HierarchyError (ValueError)              a hierarchy that is not a tree, or does not fit its environment
├── ConfigurationError (ValueError)          an invalid option, space or policy
│   ├── UnknownGroupError (KeyError)         an agent group that does not exist
│   ├── InvalidMaskError (TypeError)         a mask of the wrong type, shape, dtype or content
│   └── PolicyError (RuntimeError)           a policy that raised, or returned an invalid action
├── RunError (ValueError)                    a folder without a readable run
├── ContractError (AssertionError)           a failed check of heron.testing
└── EnvError
    ├── EnvCreationError (RuntimeError)      a factory that raised, or returned an unusable environment
    ├── EnvStepError (RuntimeError)          an environment that raised in ``reset`` or ``step``
    ├── UnknownEnvError (KeyError)           an env_id or index that does not exist
    ├── UnknownAgentError (KeyError)         an agent id that no environment copy has
    ├── ResetRequiredError (RuntimeError)    a step before the first reset or after the end of an episode
    ├── DecisionRequiredError (RuntimeError) an environment step while a coordinator's decision is due
    ├── EnvClosedError (RuntimeError)        use of a vector env after ``close()``
    ├── WorkerError (RuntimeError)           a worker process that died
    │   └── WorkerTimeoutError (TimeoutError)  a worker process that did not answer in time
    ├── InvalidActionError (ValueError)      an action of the wrong shape or dtype, with NaN, or outside its space
    └── InvalidObservationError (ValueError) an observation outside its space
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from numbers import Integral
from typing import Any


class HeronError(Exception):
    """Base class of every deliberate error."""

    def __str__(self) -> str:
        # KeyError would show the message as a quoted repr.
        return Exception.__str__(self)


class MessagingError(HeronError):
    """Base class of errors between a sender and a recipient."""


class InvalidMessageError(MessagingError, ValueError):
    """An id, payload, channel name or lane row is invalid."""


class BrokerClosedError(MessagingError, RuntimeError):
    """The broker was used after ``close()``."""


class QueueFullError(MessagingError, RuntimeError):
    """A queue with ``overflow="error"`` is full; the message was not accepted."""


class AgentError(HeronError, RuntimeError):
    """An agent lacks the broker, upstream or subordinate that a call needs."""


class HierarchyError(HeronError, ValueError):
    """A hierarchy is not a tree, or does not fit the agents of its environment."""


class ConfigurationError(HeronError, ValueError):
    """An option, a space or a policy is invalid."""


class UnknownGroupError(ConfigurationError, KeyError):
    """No agent group has this name."""


class InvalidMaskError(ConfigurationError, TypeError):
    """A mask has the wrong type, shape, dtype or content."""


class PolicyError(ConfigurationError, RuntimeError):
    """A policy raised, or returned an invalid action."""


class RunError(HeronError, ValueError):
    """A folder does not hold a readable run."""


class EnvError(HeronError):
    """Base class of errors in environment copies."""


class EnvCreationError(EnvError, RuntimeError):
    """A factory raised, or returned an unusable environment."""


class EnvStepError(EnvError, RuntimeError):
    """An environment copy raised in ``reset`` or ``step``."""


class UnknownEnvError(EnvError, KeyError):
    """No environment copy has this id or index."""


class UnknownAgentError(EnvError, KeyError):
    """No environment copy has an agent with this id."""


class ResetRequiredError(EnvError, RuntimeError):
    """A copy was used before its first reset, or stepped after its episode ended."""


class DecisionRequiredError(EnvError, RuntimeError):
    """The environment was stepped while a coordinator's decision was due."""


class EnvClosedError(EnvError, RuntimeError):
    """The vector env was used after ``close()``."""


class WorkerError(EnvError, RuntimeError):
    """A worker process died, and the copies that it stepped are lost.

    Args:
        message: The text of the error.
        worker: Number of the worker, from 1.
        env_ids: Ids of the copies that it stepped.
    """

    def __init__(self, message: str, worker: int, env_ids: tuple[str, ...]) -> None:
        super().__init__(message, worker, env_ids)
        self.worker = worker
        self.env_ids = env_ids

    def __str__(self) -> str:
        return str(self.args[0])


class WorkerTimeoutError(WorkerError, TimeoutError):
    """A worker process did not answer in time, and was killed."""


class InvalidActionError(EnvError, ValueError):
    """An action has the wrong shape or dtype, holds NaN, or lies outside its space."""


class InvalidObservationError(EnvError, ValueError):
    """An environment returned an observation outside its declared space."""


class ContractError(HeronError, AssertionError):
    """An implementation violates the contract of its interface.

    Args:
        message: The text of the error.
        findings: One record for each violation.
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
        value: The value to check.

    Raises:
        InvalidMessageError: If ``value`` is not a non-empty string.
    """
    if not isinstance(value, str) or not value:
        raise InvalidMessageError(f"{what} must be a non-empty string, got {value!r}")
    return value


def checked_count(what: str, value: Any, least: int = 1, kind: type[HeronError] = ConfigurationError) -> int:
    """Return ``value`` as an int of at least ``least``, which is 0 or 1.

    Args:
        what: The name of the value in the error message.
        value: The value to check.
        least: The smallest valid value.
        kind: The type of the error.

    Raises:
        HeronError: Of this type, if ``value`` is not such an integer.
    """
    # NumPy's integers are Integral as well; NumPy itself is not imported here, so that `import heron` is quick.
    count = None if isinstance(value, bool) or not isinstance(value, Integral) else int(value)
    if count is not None and count >= least:
        return count
    raise kind(f"{what} must be a {'positive' if least else 'non-negative'} integer, got {value!r}")


def meant(name: Any, known: Iterable[str]) -> str:
    """Return a question for the end of a message about an unknown name, or ``""`` if no known name is similar.

    >>> meant("feild", ["field", "coordinator"]), meant("x", ["field"])
    ("; did you mean 'field'?", '')
    """
    if not isinstance(name, str):
        return ""
    # A different number is rarely a typo: env_9 does not stand for env_1.
    by_lower = {one.lower(): one for one in known if _digits(one) == _digits(name)}
    close = get_close_matches(name.lower(), by_lower, 1)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""


def shown(names: Sequence[str]) -> str:
    """Return the first few names and the last one as text.

    >>> shown(["env_0", "env_1"])
    'env_0, env_1'
    """
    few = 6
    return ", ".join(names[:few]) + (f", ... {names[-1]}" if len(names) > few else "")


def summary(error: Exception) -> str:
    """Return the type and the text of an error in one line."""
    return f"{type(error).__name__}: {error}"


def raise_first(errors: Sequence[Exception]) -> None:
    """Raise the first error, if any, with the others and their notes in its notes."""
    if not errors:
        return
    for other in errors[1:]:
        for note in (f"beside it, {other}", *getattr(other, "__notes__", ())):
            errors[0].add_note(note)
    raise errors[0]


def _digits(name: str) -> str:
    return "".join(filter(str.isdigit, name))
