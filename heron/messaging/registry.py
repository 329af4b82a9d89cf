"""Names from the user's own domain, with descriptions."""

from typing import ClassVar

from heron.errors import check_id


class NameRegistry:
    """Names with descriptions; each subclass is one registry for the whole process."""

    _descriptions: ClassVar[dict[str, str]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._descriptions = {}

    @classmethod
    def register(cls, name: str, description: str = "") -> None:
        """Register a name, or replace its description.

        Raises:
            InvalidMessageError: If the name is not a non-empty string.
        """
        cls._descriptions[check_id(f"a name of {cls.__name__}", name)] = description

    @classmethod
    def is_registered(cls, name: str) -> bool:
        """Return True if the name is registered."""
        return name in cls._descriptions

    @classmethod
    def get_all(cls) -> dict[str, str]:
        """Return all names with their descriptions, as a new dict."""
        return dict(cls._descriptions)


class MessageTypeRegistry(NameRegistry):
    """The custom message types of the user's domain.

    A message of a custom type has the ``MessageType.CUSTOM``, and the name of its type in ``payload["custom_type"]``.
    """


class ChannelRegistry(NameRegistry):
    """The custom channel types of the user's domain.

    The registry is documentation; ``ChannelManager.custom_channel`` does not require an entry.
    """
