"""Names of the user's own domain, with a description of each."""

from typing import ClassVar

from heron.errors import check_id


class NameRegistry:
    """Names with descriptions, one registry a subclass for the whole process."""

    _descriptions: ClassVar[dict[str, str]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._descriptions = {}

    @classmethod
    def register(cls, name: str, description: str = "") -> None:
        """Register a name; registering it again replaces the description.

        Raises:
            InvalidMessageError: If the name is empty or no string.
        """
        cls._descriptions[check_id(f"a name of {cls.__name__}", name)] = description

    @classmethod
    def is_registered(cls, name: str) -> bool:
        """Whether the name is registered."""
        return name in cls._descriptions

    @classmethod
    def get_all(cls) -> dict[str, str]:
        """All names with their descriptions, as a new dict."""
        return dict(cls._descriptions)


class MessageTypeRegistry(NameRegistry):
    """The custom message types of the user's domain.

    A message of a custom type is of ``MessageType.CUSTOM`` and names its type in ``payload["custom_type"]``.
    """


class ChannelRegistry(NameRegistry):
    """The custom channel types of the user's domain.

    It documents; ``ChannelManager.custom_channel`` does not require it.
    """
