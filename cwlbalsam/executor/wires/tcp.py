"""The way over TCP: the agent listens, launchers call, prove that they know the token of their session, and call again.

Handshake, each message behind its length in four bytes: caller sends (version, session, nonce); listener (nonce,
proof); caller (proof, number received); listener (number received). Then frames of a Stream both ways.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from cwlbalsam import __version__
from cwlbalsam.executor.wires.base import SIGN_SECONDS, OnMessage, Outlet
from cwlbalsam.executor.wires.proof import is_proof, nonce, proof
from cwlbalsam.executor.wires.stream import BrokenStream, Reader, Stream

HANDSHAKE_SECONDS = 10.0
MAX_HANDSHAKE = 4096
RETRY_SECONDS = (0.1, 0.3, 1.0, 2.0)
CLOSE_SECONDS = 5.0
READ_BYTES = 1 << 18


class _Call(Struct, array_like=True):
    version: str
    session: str
    nonce: bytes


class _Answer(Struct, array_like=True):
    nonce: bytes
    proof: bytes


class _Confirm(Struct, array_like=True):
    proof: bytes
    received: int


class _Welcome(Struct, array_like=True):
    received: int
    refused: str = ""


class Refused(Exception):
    """The agent does not know the session (any more), or is of another version."""


class TcpWire:
    """One side. It keeps its Stream from connection to connection."""

    ahead_seconds = 0.2

    def __init__(self, on_message: OnMessage, *, echoes: bool) -> None:
        """echoes: our frames carry the other side's last stamp, not our own clock."""
        self.stream = Stream()
        self.heard = time.monotonic()
        self.confirmed = time.monotonic()
        self._on_message = on_message
        self._echoes = echoes
        self._outlet: Outlet | None = None

    @property
    def is_connected(self) -> bool:
        return self._outlet is not None

    def send(self, body: bytes) -> None:
        frame = self.stream.send(body, self._stamp())
        if self._outlet is not None:
            self._outlet.write(frame)

    def sign(self) -> None:
        if self._outlet is not None:
            self._outlet.write(self.stream.sign_of_life(self._stamp()))

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: int) -> None:
        """Over this connection, until it ends. received: by the other side, as the handshake said."""
        frames = Reader()
        self.hang_up()
        outlet = self._outlet = Outlet(writer)
        try:
            for frame in self.stream.resend(received, self._stamp()):
                outlet.write(frame)
            while data := await reader.read(READ_BYTES):
                self.heard = time.monotonic()
                for arrived in frames.feed(data):
                    body = self.stream.accept(arrived)
                    if not self._echoes:
                        self.confirmed = max(self.confirmed, arrived.stamp)
                    if body is not None:
                        self._on_message(body)
                    elif (
                        self._echoes
                    ):  # a lease lasts as long as we hear its owner, whether or not we have anything to say
                        self.sign()
        except (OSError, BrokenStream):
            pass
        finally:
            if self._outlet is outlet:
                self._outlet = None
            outlet.close()

    def hang_up(self) -> None:
        if self._outlet is not None:
            self._outlet.close()
            self._outlet = None

    async def close(self) -> None:
        until = time.monotonic() + CLOSE_SECONDS
        while self._outlet is not None and self.stream.unconfirmed and time.monotonic() < until:
            self.sign()
            await asyncio.sleep(0.02)
        self.hang_up()

    def _stamp(self) -> float:
        return self.stream.stamp if self._echoes else time.monotonic()


class TcpCaller(TcpWire):
    """The launcher's side. addresses: of the agent, tried in turn; asked for anew at each attempt."""

    def __init__(
        self, session: str, token: bytes, addresses: Callable[[], Sequence[tuple[str, int]]], on_message: OnMessage
    ) -> None:
        super().__init__(on_message, echoes=False)
        self._session, self._token, self._addresses = session, token, addresses
        self.was_connected = False

    async def run(self) -> None:
        """Call, talk, call again; for ever. Raises Refused."""
        signs = asyncio.create_task(every(SIGN_SECONDS, self.sign))
        try:
            failures = 0
            while True:
                failures = 0 if await self._call() else failures + 1
                await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
        finally:
            signs.cancel()

    async def _call(self) -> bool:
        for host, port in self._addresses():
            try:
                async with asyncio.timeout(HANDSHAKE_SECONDS):
                    reader, writer = await asyncio.open_connection(host, port)
                    received = await self._greet(reader, writer)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, msgspec.DecodeError):
                continue
            self.was_connected = True
            await self.talk(reader, writer, received)
            return True
        return False

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        ours = nonce()
        _put(writer, _Call(__version__, self._session, ours))
        answer = await _get(reader, _Answer)
        if not is_proof(answer.proof, self._token, "listener", self._session, ours, answer.nonce):
            writer.close()
            raise OSError("whoever listens there does not know the token")
        shown = proof(self._token, "caller", self._session, ours, answer.nonce)
        _put(writer, _Confirm(shown, self.stream.received))
        welcome = await _get(reader, _Welcome)
        if welcome.refused:
            writer.close()
            raise Refused(welcome.refused)
        return welcome.received


Known = Callable[[str], "tuple[bytes, TcpWire] | None"]
"""The token and the wire of a session."""


async def listen(known: Known, at: socket.socket) -> asyncio.Server:
    """Take calls."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, msgspec.DecodeError):
            found = await _welcome(known, reader, writer)
            if found is not None:
                await found(reader, writer)
        writer.close()

    return await asyncio.start_server(answer, sock=at)


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _welcome(known: Known, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Talk | None:
    async with asyncio.timeout(HANDSHAKE_SECONDS):
        call = await _get(reader, _Call)
        found = known(call.session)
        token = found[0] if found is not None else nonce()  # who does not know it learns nothing, not even that
        ours = nonce()
        _put(writer, _Answer(ours, proof(token, "listener", call.session, call.nonce, ours)))
        confirm = await _get(reader, _Confirm)
        if found is None or not is_proof(confirm.proof, token, "caller", call.session, call.nonce, ours):
            return None
        if call.version != __version__:
            _put(writer, _Welcome(0, f"the agent is of version {__version__}, the launcher of {call.version}"))
            return None
        wire = found[1]
        if confirm.received > wire.stream.sent:
            _put(writer, _Welcome(0, "the agent is another one than before"))
            return None
        _put(writer, _Welcome(wire.stream.received))
    return lambda reader, writer: wire.talk(reader, writer, confirm.received)


async def every(seconds: float, action: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        action()


def _put(writer: asyncio.StreamWriter, message: Struct) -> None:
    body = msgspec.msgpack.encode(message)
    writer.write(len(body).to_bytes(4, "little") + body)


T = TypeVar("T", bound=Struct)


async def _get(reader: asyncio.StreamReader, kind: type[T]) -> T:
    length = int.from_bytes(await reader.readexactly(4), "little")
    if length > MAX_HANDSHAKE:
        raise OSError(f"a handshake of {length} bytes")
    return msgspec.msgpack.decode(await reader.readexactly(length), type=kind)
