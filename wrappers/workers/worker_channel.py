"""How the driver and a worker process speak: one byte where there is nothing to say, pickles otherwise."""

import pickle
import socket
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cloudpickle

from heron.errors import EnvError

START = b"b"
"""Never sent: a process that starts owes the first answer."""
STEP = b"s"
"""Step the masked copies; the actions are in shared memory."""
RESET = b"r"
"""Reset the masked copies; carries their seeds and options."""
CALL = b"c"
"""Call a method of the shard; carries its name and arguments."""
CLOSE = b"q"
"""Close the shard and exit."""
DONE = b"."
"""The answer, if all went well and there is nothing to add."""
ANSWER = b"a"
"""The answer, which carries an ``Answer``."""

_BARE = (STEP, CLOSE, DONE)
_HEADER = 9
_CHUNK = 4096

Infos = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Failure:
    """An error of a worker, on its way to the driver.

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
        """Pack up an error; one that cannot be pickled is told of in words."""
        trace = "".join(traceback.format_exception(error))
        known: Exception = error if _travels(error) else EnvError(f"{type(error).__name__}: {error}")
        return cls(known, error.__cause__ if _travels(error.__cause__) else None, trace)

    def unpack(self, where: str) -> Exception:
        """The error, with a note of where it came from."""
        self.error.__cause__ = self.cause
        self.error.add_note(f"raised in {where}:\n{self.trace}")
        return self.error


@dataclass(frozen=True)
class Answer:
    """What a worker answers.

    Attributes:
        value: What a call returned.
        infos: Row in the shard -> infos that are not empty, of the copies that were stepped or reset.
        failure: What went wrong.
    """

    value: Any = None
    infos: Mapping[int, Infos] = field(default_factory=dict)
    failure: Failure | None = None


NOTHING_TO_ADD = Answer()


class Channel:
    """One end of a connection between driver and worker.

    Args:
        connection: The socket, which the channel owns from now on.
        timeout: Longest wait in s for the other side; None for as long as it takes.
    """

    def __init__(self, connection: socket.socket, timeout: float | None = None) -> None:
        connection.settimeout(timeout)
        self._connection = connection
        # What has come stays here until it is a whole message, so that an interrupted wait can be taken up again.
        self._received = bytearray()

    def send(self, kind: bytes, body: bytes | None = None) -> None:
        """Send a message.

        Raises:
            OSError: If the other side is gone (``ConnectionError``) or does not listen in time (``TimeoutError``).
        """
        frame = kind if body is None else kind + len(body).to_bytes(_HEADER - 1) + body
        self._connection.sendall(frame)

    def receive(self) -> tuple[bytes, bytes]:
        """Wait for a message.

        Returns:
            Its kind and its body.

        Raises:
            EOFError: If the other side is gone.
            OSError: Likewise (``ConnectionError``), or if nothing comes in time (``TimeoutError``).
        """
        while (missing := self._missing()) > 0:
            data = self._connection.recv(max(missing, _CHUNK))
            if not data:
                raise EOFError("the other side is gone")
            self._received += data
        received, self._received = self._received, bytearray()
        return bytes(received[:1]), bytes(received[_HEADER:])

    def set_timeout(self, timeout: float | None) -> None:
        """Wait at most so many s for the other side."""
        self._connection.settimeout(timeout)

    def close(self) -> None:
        """End the connection, also for processes that have inherited this end of it."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side is gone already
        finally:
            self._connection.close()

    def _missing(self) -> int:
        """Bytes that are missing to a whole message. Each side waits for the other, so there is never a second."""
        received = self._received
        if not received:
            return 1
        if received[:1] in _BARE:
            return 0
        if len(received) < _HEADER:
            return _HEADER - len(received)
        return _HEADER + int.from_bytes(received[1:_HEADER]) - len(received)


def pack(value: Any) -> bytes:
    """Pickle something for the other side.

    Raises:
        Exception: Whatever the value raises when it cannot be pickled.
    """
    try:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception:  # noqa: BLE001 -- functions and classes without a name that can be imported
        return bytes(cloudpickle.dumps(value))


def _travels(error: BaseException | None) -> bool:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 -- pickled right here
    except Exception:  # noqa: BLE001 -- users' errors fail in their own ways
        return False
    return True
