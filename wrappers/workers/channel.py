"""The connection between the driver and a worker process: one byte, and a pickle where there is more to say."""

import socket
from collections.abc import Mapping

from heron.wrappers.workers.orders import Task

KINDS: Mapping[Task, bytes] = {"step": b"s", "reset": b"r", "call": b"c", "close": b"q"}
"""The first byte of each order. A reset and a call carry their pickled arguments; the actions are in shared memory."""
DONE = b"."
"""The answer ``NOTHING_TO_ADD``."""
ANSWER = b"a"
"""Any other answer; carries it as a pickle."""

_BARE = (KINDS["step"], KINDS["close"], DONE)
_HEADER = 9
_CHUNK = 4096


class Channel:
    """One end of a connection between driver and worker.

    Args:
        connection: The socket. The channel owns it from now on.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._timeout: float | None = None
        connection.settimeout(None)
        # Part of a message is kept until the rest has come, so that an interrupted wait can be repeated.
        self._received = bytearray()

    def send(self, kind: bytes, body: bytes | None = None, timeout: float | None = None) -> None:
        """Send a message, waiting at most ``timeout`` s.

        Raises:
            OSError: If the other side is gone (``ConnectionError``) or does not listen in time (``TimeoutError``).
        """
        self._set_timeout(timeout)
        frame = kind if body is None else kind + len(body).to_bytes(_HEADER - 1) + body
        self._connection.sendall(frame)

    def receive(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Wait for a message, each part of it at most ``timeout`` s.

        Returns:
            Its kind and its body.

        Raises:
            EOFError: If the other side is gone.
            OSError: If the other side is gone (``ConnectionError``) or nothing comes in time (``TimeoutError``).
        """
        self._set_timeout(timeout)
        while (missing := self._missing()) > 0:
            data = self._connection.recv(max(missing, _CHUNK))
            if not data:
                raise EOFError("the other side is gone")
            self._received += data
        received, self._received = self._received, bytearray()
        return bytes(received[:1]), bytes(received[_HEADER:])

    def close(self) -> None:
        """End the connection, also for processes that have inherited this end of it."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side is gone already
        finally:
            self._connection.close()

    def _set_timeout(self, timeout: float | None) -> None:
        if timeout != self._timeout:  # a system call
            self._connection.settimeout(timeout)
            self._timeout = timeout

    def _missing(self) -> int:
        """Return the number of bytes that a message lacks. Each side waits for the other, so there is only one."""
        received = self._received
        if not received:
            return 1
        if received[:1] in _BARE:
            return 0
        if len(received) < _HEADER:
            return _HEADER - len(received)
        return _HEADER + int.from_bytes(received[1:_HEADER]) - len(received)
