"""A pair of byte streams between two processes that outlives the connections which carry it.

Both ends keep what the other has not confirmed, and send it again on the next connection (`Stream`). So a run whose
ssh is cut only waits, and its agent goes on meanwhile. An empty message is the end of a direction.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Struct

from cwlbalsam.errors import UserError
from cwlbalsam.executor.wires.base import Outlet
from cwlbalsam.executor.wires.stream import BrokenStream, Reader, Stream

SIGN_SECONDS = 10.0
SILENCE_SECONDS = 60.0
"""After which a connection counts as cut: networks may lose one without telling."""
KEEP_SECONDS = 1800.0
"""So long the listening end keeps a line that nobody calls for."""
LONGEST_PAUSE_SECONDS = 30.0
GOODBYE_SECONDS = 10.0
CHUNK_BYTES = 1 << 16
MAX_HELLO = 4096

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Hello(Struct, frozen=True, array_like=True):
    """Of the calling end. key: what only one line may be about at a time: a new one ends an older one."""

    key: str
    line: str
    fresh: bool
    received: int


class Welcome(Struct, frozen=True, array_like=True):
    """known: false for a line that the listening end has given up, or that it had in an earlier life."""

    known: bool
    received: int


class Line:
    """One end. `reader` and this object are a connection's two streams to whoever uses them."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self.idle_since = time.monotonic()
        self._stream = Stream()
        self._outlet: Outlet | None = None
        self._carrier: asyncio.StreamWriter | None = None
        self._closing = False
        self._confirmed = asyncio.Event()
        self._ended = False

    @property
    def received(self) -> int:
        return self._stream.received

    @property
    def over(self) -> bool:
        """Nothing more comes or goes."""
        return self._ended and self._closing and not self._stream.unconfirmed

    # --- what a StreamWriter has ---

    def write(self, data: bytes) -> None:
        for first in range(0, len(data), CHUNK_BYTES):
            self._send(data[first : first + CHUNK_BYTES])

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._send(b"")

    async def wait_closed(self) -> None:
        """Until the other end has all, a moment at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                while self._stream.unconfirmed:
                    self._confirmed.clear()
                    await self._confirmed.wait()

    def _send(self, body: bytes) -> None:
        frame = self._stream.send(body, 0.0)
        if self._outlet is not None:
            self._outlet.write(frame)

    # --- connections ---

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: int) -> None:
        """Use a connection until it is cut; another one that is used already is cut. received: by the other end."""
        if self._carrier is not None:
            self._carrier.close()
        outlet = Outlet(writer)
        self._carrier, self._outlet = writer, outlet
        signing = asyncio.create_task(self._sign(outlet))
        try:
            for frame in self._stream.resend(received, 0.0):
                outlet.write(frame)
            await self._listen(reader, outlet)
        except (OSError, BrokenStream, TimeoutError):
            pass
        finally:
            signing.cancel()
            writer.close()
            if self._carrier is writer:
                self._carrier = self._outlet = None
                self.idle_since = time.monotonic()

    async def _listen(self, reader: asyncio.StreamReader, outlet: Outlet) -> None:
        frames = Reader()
        while not self.over:
            async with asyncio.timeout(SILENCE_SECONDS):
                data = await reader.read(CHUNK_BYTES)
            if not data:
                return
            before = self._stream.received
            for frame in frames.feed(data):
                body = self._stream.accept(frame)
                if body:
                    self.reader.feed_data(body)
                elif body is not None:
                    self.end()
            if self._stream.received != before:
                outlet.write(self._stream.sign_of_life(0.0))
            if not self._stream.unconfirmed:
                self._confirmed.set()
        outlet.flush()

    async def _sign(self, outlet: Outlet) -> None:
        while True:
            await asyncio.sleep(SIGN_SECONDS)
            outlet.write(self._stream.sign_of_life(0.0))

    def end(self) -> None:
        """Nothing more will come."""
        if not self._ended:
            self._ended = True
            self.reader.feed_eof()


class Switchboard:
    """The listening end of many lines. serve: is called once for each, with its two streams."""

    def __init__(self, serve: Callable[[asyncio.StreamReader, Any], Awaitable[None]]) -> None:
        self._serve = serve
        self._lines: dict[str, tuple[str, Line]] = {}  # by name: key and line
        self._serving: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._lines)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its call to its end."""
        with (
            contextlib.closing(writer),
            contextlib.suppress(OSError, asyncio.IncompleteReadError, msgspec.DecodeError, BrokenStream),
        ):
            hello = msgspec.msgpack.decode(await _read_body(reader), type=Hello)
            line = self._line(hello)
            writer.write(_body(Welcome(line is not None, line.received if line is not None else 0)))
            if line is not None:
                await line.carry(reader, writer, hello.received)

    def give_up(self) -> None:
        """End the lines that nobody has called for in a long time."""
        for _, line in list(self._lines.values()):
            if line._outlet is None and time.monotonic() - line.idle_since > KEEP_SECONDS:
                line.end()

    def _line(self, hello: Hello) -> Line | None:
        known = self._lines.get(hello.line)
        if known is not None or not hello.fresh:
            return known[1] if known is not None else None
        for key, line in list(self._lines.values()):
            if key == hello.key:
                line.end()
        line = Line()
        self._lines[hello.line] = hello.key, line
        task = asyncio.create_task(self._run(hello.line, line))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        return line

    async def _run(self, name: str, line: Line) -> None:
        try:
            await self._serve(line.reader, line)
            await line.wait_closed()
        finally:
            line.end()
            self._lines.pop(name, None)


class Caller:
    """The calling end of one line. dial: makes a connection to the switchboard; raises OSError or UserError.

    tell: hears of cuts. The line ends when the other end says so, or does not know it any more.
    """

    def __init__(self, key: str, dial: Callable[[], Awaitable[Streams]], tell: Callable[[str], None]) -> None:
        self.line = Line()
        self._key, self._name = key, uuid4().hex
        self._dial, self._tell = dial, tell
        self._task: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def start(self) -> Line:
        """Raises what `dial` raises, for the first connection."""
        streams, received = await self._call(fresh=True)
        self._task = asyncio.create_task(self._run(streams, received))
        return self.line

    async def stop(self) -> None:
        """Nothing is said or heard any more; the connection is cut."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()

    async def _call(self, *, fresh: bool) -> tuple[Streams, int]:
        """Raises OSError, asyncio.IncompleteReadError; BrokenStream if the line is not known."""
        reader, writer = await self._dial()
        self._writer = writer
        try:
            writer.write(_body(Hello(self._key, self._name, fresh, self.line.received)))
            welcome = msgspec.msgpack.decode(await _read_body(reader), type=Welcome)
        except BaseException:
            writer.close()
            raise
        if not welcome.known:
            writer.close()
            raise BrokenStream("the other end does not know the line any more")
        return (reader, writer), welcome.received

    async def _run(self, streams: Streams, received: int) -> None:
        try:
            while True:
                await self.line.carry(*streams, received)
                if self.line.over:
                    return
                streams, received = await self._again()
        except BrokenStream:
            return
        except UserError as error:
            self._tell(str(error))
        finally:
            self.line.end()

    async def _again(self) -> tuple[Streams, int]:
        pause, told = 0.5, False
        while True:
            try:
                return await self._call(fresh=False)
            except (OSError, asyncio.IncompleteReadError, msgspec.DecodeError) as error:
                if not told:
                    self._tell(f"the connection is cut ({error}); it is made again as soon as that can be")
                    told = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


async def _read_body(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(4), "little")
    return await reader.readexactly(min(length, MAX_HELLO))


def _body(message: Struct) -> bytes:
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(4, "little") + body
