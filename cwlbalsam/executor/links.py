"""How a supervisor and its launcher reach each other. Frames as of `frames.Inbox`; an empty one is a sign of life."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from cwlbalsam.executor.frames import Inbox, Outbox
from cwlbalsam.executor.pilot import Pilot, SupervisorCall
from cwlbalsam.executor.wires.proof import is_proof, nonce, proof, read_token

CALL_SECONDS = 20.0
SIGN_SECONDS = 2.0
SILENCE_SECONDS = 20.0
"""So long after the last sign of the launcher its jobs are ended: the launcher waits longer before it says that."""
SIGN = bytes(4)


class LinkLost(Exception):
    """The launcher has hung up, or cannot be reached any more."""


class Link(Protocol):
    """A supervisor's side."""

    @property
    def handle(self) -> socket.socket | None:
        """What a selector can wait for; None: only looking helps."""

    @property
    def patience(self) -> float:
        """Seconds until something may have come of which `handle` does not tell."""

    def receive(self) -> Iterator[bytes]:
        """The bodies that have come. Never waits. Raises LinkLost."""

    def send(self, frame: bytes) -> None:
        """Never waits, never fails."""

    def sign(self) -> None:
        """Show that we live."""

    def flush(self) -> bool:
        """Give away what was sent; whether something is left. Never waits. Raises LinkLost."""

    def close(self) -> None:
        """What is left is lost."""


class TcpLink:
    """To the launcher itself."""

    patience = SIGN_SECONDS

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.handle = connection
        self._inbox, self._outbox = Inbox(), Outbox()

    def receive(self) -> Iterator[bytes]:
        try:
            data = self.handle.recv(1 << 18)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            raise LinkLost(f"the launcher cannot be reached: {error}") from error
        if not data:
            raise LinkLost("the launcher has hung up")
        yield from self._inbox.feed(data)

    def send(self, frame: bytes) -> None:
        self._outbox.add(frame)

    def sign(self) -> None:
        self.send(SIGN)

    def flush(self) -> bool:
        try:
            send_some(self.handle, self._outbox)
        except OSError as error:
            raise LinkLost(f"the launcher cannot be reached: {error}") from error
        return bool(self._outbox)

    def close(self) -> None:
        self.handle.close()


def send_some(connection: socket.socket, outbox: Outbox) -> None:
    """As much as the socket takes. Raises OSError."""
    with contextlib.suppress(BlockingIOError, InterruptedError):
        while outbox:
            with outbox.peek() as data:
                count = connection.send(data)
            outbox.sent(count)


def call_launcher(folder: Path, pilot: Pilot, node: int) -> TcpLink:
    """Raises OSError."""
    token = read_token(folder / "token")
    until = time.monotonic() + CALL_SECONDS
    while True:
        for host, port in pilot.launcher:
            with contextlib.suppress(OSError):
                connection = socket.create_connection((host, port), timeout=CALL_SECONDS)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _greet(connection, token, pilot.session, node)
                return TcpLink(connection)
        if time.monotonic() > until:
            raise OSError(f"no launcher answers at {pilot.launcher}")
        time.sleep(0.1)


def _greet(connection: socket.socket, token: bytes, session: str, node: int) -> None:
    ours, name = nonce(), f"{session}/{node}"
    theirs = exactly(connection.recv, 16)
    shown = proof(token, "caller", name, ours, theirs)
    call = msgspec.msgpack.encode(SupervisorCall(node, ours, shown))
    connection.sendall(len(call).to_bytes(4, "little") + call)
    if not is_proof(exactly(connection.recv, 32), token, "listener", name, ours, theirs):
        connection.close()
        raise OSError("whoever listens there does not know the token")


def exactly(receive: Callable[[int], bytes], count: int) -> bytes:
    """Raises OSError if the other side hangs up before."""
    data = b""
    while len(data) < count:
        more = receive(count - len(data))
        if not more:
            raise OSError("the other side has hung up")
        data += more
    return data
