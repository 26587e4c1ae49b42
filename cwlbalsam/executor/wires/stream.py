"""One side of a conversation of numbered messages: each arrives once and in order, whatever becomes of connections.

No I/O. A frame is a header (length of the body, number, number of the last message from the other side, stamp)
and the body. Number 0: no message, only a sign of life. Stamp: the sender's clock, or an echo of the other side's.
"""

import struct
from collections import deque
from collections.abc import Iterable, Iterator

from msgspec import Struct

HEAD = struct.Struct("<IQQd")
MAX_BODY = 1 << 30


class Frame(Struct, frozen=True):
    number: int
    received: int
    stamp: float
    body: bytes


class BrokenStream(Exception):
    """What came is no frame of this conversation."""


class Stream:
    """sent: number of our last message; received: of the last that came; stamp: the last that came."""

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0
        self.stamp = 0.0
        self._unconfirmed: deque[tuple[int, bytes]] = deque()

    def send(self, body: bytes, stamp: float) -> bytes:
        """The frame of a new message, which is kept until the other side has confirmed it."""
        self.sent += 1
        self._unconfirmed.append((self.sent, body))
        return self._pack(self.sent, body, stamp)

    def sign_of_life(self, stamp: float) -> bytes:
        return self._pack(0, b"", stamp)

    def resend(self, received: int, stamp: float) -> Iterator[bytes]:
        """On a new connection: all that the other side, which has received so much, does not have."""
        self.confirm(received)
        return (self._pack(number, body, stamp) for number, body in list(self._unconfirmed))

    def confirm(self, received: int) -> None:
        if received > self.sent:
            raise BrokenStream(f"message {received} is confirmed, {self.sent} were sent")
        while self._unconfirmed and self._unconfirmed[0][0] <= received:
            self._unconfirmed.popleft()

    def accept(self, frame: Frame) -> bytes | None:
        """The message in a frame; None if it has none, or one that came before. Raises BrokenStream at a gap."""
        self.stamp = frame.stamp
        self.confirm(frame.received)
        if frame.number == 0 or frame.number <= self.received:
            return None
        if frame.number != self.received + 1:
            raise BrokenStream(f"message {frame.number} follows message {self.received}")
        self.received = frame.number
        return frame.body

    @property
    def unconfirmed(self) -> int:
        return len(self._unconfirmed)

    def _pack(self, number: int, body: bytes, stamp: float) -> bytes:
        return HEAD.pack(len(body), number, self.received, stamp) + body


class Reader:
    """Bytes in, frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterable[Frame]:
        """Raises BrokenStream."""
        buffer = self._buffer
        buffer += data
        start = 0
        frames = []
        while len(buffer) - start >= HEAD.size:
            length, number, received, stamp = HEAD.unpack_from(buffer, start)
            if length > MAX_BODY:
                raise BrokenStream(f"a message of {length} bytes")
            end = start + HEAD.size + length
            if len(buffer) < end:
                break
            frames.append(Frame(number, received, stamp, bytes(memoryview(buffer)[start + HEAD.size : end])))
            start = end
        del buffer[:start]
        return frames
