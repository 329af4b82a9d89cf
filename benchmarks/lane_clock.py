"""A broker that tells how much of the time its lanes take."""

from collections.abc import Iterable

from benchmarks.stopwatch import Stopwatch
from heron.messaging import InMemoryBroker, Lane, MessageType, Route, Schema

MESSAGES = "messages"


class ClockedBroker(InMemoryBroker):
    """An in-memory broker whose calls during steps and resets are timed.

    Args:
        watch: Where the time goes, under ``MESSAGES``.
    """

    def __init__(self, watch: Stopwatch) -> None:
        super().__init__()
        self._watch = watch
        watch.watch(self, "clear_environment", MESSAGES)

    def open_lane(self, routes: Iterable[Route], schema: Schema, message_type: MessageType) -> Lane:
        lane = super().open_lane(routes, schema, message_type)
        self._watch.watch(lane, "send", MESSAGES)
        self._watch.watch(lane, "receive", MESSAGES)
        return lane
