"""What both ways have in common."""

from collections.abc import Callable
from typing import Protocol

OnMessage = Callable[[bytes], None]
SIGN_SECONDS = 2.0
"""Between two signs of life, in both directions."""


class Wire(Protocol):
    """One side of a conversation."""

    @property
    def ahead_seconds(self) -> float:
        """Work to send ahead, so that nobody waits while a message is under way and is answered."""

    def send(self, body: bytes) -> None:
        """Keep a message until the other side has it. Never waits."""

    @property
    def confirmed(self) -> float:
        """The monotonic clock's time of the newest word of ours that the other side is known to have heard."""

    @property
    def heard(self) -> float:
        """The monotonic clock's time when something came last from the other side."""

    async def close(self) -> None:
        """Give what was sent a moment to leave, then hang up for good."""
