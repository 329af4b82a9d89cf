"""Orders to a worker, and the answers to them."""

import pickle
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from heron.errors import EnvError, summary

Task = Literal["start", "step", "reset", "call", "close"]
"""The kinds of order. ``"start"`` is never sent: a worker that starts sends the first answer by itself."""

Infos = Mapping[str, Mapping[str, Any]]
"""Agent id -> info dict, of one copy."""


@dataclass(frozen=True, slots=True)
class Order:
    """One thing for a worker to do with its shard.

    Attributes:
        task: The kind of order.
        arguments: Those of the ``Shard`` method of that name; something else once ``Worker.prepare`` has packed them.
    """

    task: Task
    arguments: Any = ()


STEP = Order("step")
CLOSE = Order("close")


@dataclass(frozen=True)
class Failure:
    """An error of a worker, in a form that can be pickled.

    Attributes:
        error: The error.
        cause: The error that it was raised from, which a pickled error does not keep.
        trace: The worker's traceback.
    """

    error: Exception
    cause: BaseException | None
    trace: str

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """Return the failure for an error; one that cannot be pickled is replaced by an ``EnvError`` with its text."""
        trace = "".join(traceback.format_exception(error))
        known: Exception = error if _can_be_pickled(error) else EnvError(summary(error))
        return cls(known, error.__cause__ if _can_be_pickled(error.__cause__) else None, trace)

    def unpack(self, where: str) -> Exception:
        """Return the error, with the worker's traceback in a note."""
        self.error.__cause__ = self.cause
        self.error.add_note(f"raised in {where}:\n{self.trace}")
        return self.error


@dataclass(frozen=True)
class Answer:
    """The answer to one order. States are not part of it: they are in the driver's arrays by then.

    Attributes:
        value: The return value of a call.
        infos: Row in the shard -> infos that are not empty, of the copies that were stepped or reset.
        failure: The error, if there was one.
    """

    value: Any = None
    infos: Mapping[int, Infos] = field(default_factory=dict)
    failure: Failure | None = None


NOTHING_TO_ADD = Answer()
"""The answer when all went well and there is neither a value nor an info."""


def _can_be_pickled(error: BaseException | None) -> bool:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 -- pickled right here
    except Exception:  # noqa: BLE001 -- users' errors fail in their own ways
        return False
    return True
