"""What both ways have in common."""

import asyncio
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


class Outlet:
    """A stream's writer that sends what is written within one turn of the loop by one system call."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._buffer = bytearray()

    def write(self, data: bytes) -> None:
        if not self._buffer:
            asyncio.get_running_loop().call_soon(self.flush)
        self._buffer += data

    def flush(self) -> None:
        if self._buffer and not self._writer.is_closing():
            self._writer.write(bytes(self._buffer))
        self._buffer.clear()

    def close(self) -> None:
        self.flush()
        self._writer.close()
