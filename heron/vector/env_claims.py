"""Claims of vector envs to env_ids on a broker: two with the same would consume each other's messages."""

import weakref
from collections.abc import Sequence

from heron.errors import ConfigurationError
from heron.messaging import BrokerWrapper, MessageBroker

_Holders = weakref.WeakValueDictionary[str, object]

_holders: dict[int, _Holders] = {}
"""Claims by the identity of the innermost broker, since a user's broker need not be hashable."""


def claim(broker: MessageBroker, env_ids: Sequence[str], holder: object) -> None:
    """Reserve ``env_ids`` on ``broker`` for the life of ``holder``, or until ``release``.

    Raises:
        ConfigurationError: If another holder has one of them on this broker, wrapped or not; nothing is reserved then.
    """
    broker = _innermost(broker)
    held = _holders.get(id(broker))
    if held is None:
        held = _holders[id(broker)] = _Holders()
        weakref.finalize(broker, _holders.pop, id(broker), None)
    if taken := [env_id for env_id in env_ids if env_id in held]:
        raise ConfigurationError(
            f"env_ids {taken} belong to another open vector env on this broker: use other env_ids or another broker"
        )
    held.update(dict.fromkeys(env_ids, holder))


def release(broker: MessageBroker, env_ids: Sequence[str]) -> None:
    """Release reserved ``env_ids``."""
    held = _holders.get(id(_innermost(broker)))
    if held is not None:
        for env_id in env_ids:
            held.pop(env_id, None)


def _innermost(broker: MessageBroker) -> MessageBroker:
    while isinstance(broker, BrokerWrapper):
        broker = broker.broker
    return broker
