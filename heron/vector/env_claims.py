"""Which vector env speaks for which env_id on a broker: two at once would consume each other's messages."""

import weakref
from collections.abc import Sequence

from heron.errors import ConfigurationError
from heron.messaging import MessageBroker

_Holders = weakref.WeakValueDictionary[str, object]

_holders: dict[int, _Holders] = {}
"""By the identity of the broker, since a user's broker need not be hashable."""


def claim(broker: MessageBroker, env_ids: Sequence[str], holder: object) -> None:
    """Reserve ``env_ids`` on ``broker`` for ``holder``, as long as it lives or until ``release``.

    Raises:
        ConfigurationError: If another holder has one of them; nothing is reserved then.
    """
    held = _holders.get(id(broker))
    if held is None:
        held = _holders[id(broker)] = _Holders()
        weakref.finalize(broker, _holders.pop, id(broker), None)
    if taken := [env_id for env_id in env_ids if env_id in held]:
        raise ConfigurationError(
            f"another open vector env on this broker has env_ids {taken}: give this one other env_ids, "
            "or a broker of its own"
        )
    held.update(dict.fromkeys(env_ids, holder))


def release(broker: MessageBroker, env_ids: Sequence[str]) -> None:
    """Give the reserved ``env_ids`` back."""
    held = _holders.get(id(broker))
    if held is not None:
        for env_id in env_ids:
            held.pop(env_id, None)
