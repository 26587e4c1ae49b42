"""The supervisor of one node: it starts workers, hands on what they and their agent say, and ends them.

`python -m cwlbalsam.executor.supervisor PILOT_FOLDER NODE` calls the launcher, whose address is in the pilot's folder.
When the launcher is gone, so are the workers soon, with all that they run, and then the supervisor.
"""

import contextlib
import os
import selectors
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.removal import remove_tree
from cwlbalsam.cwl.tasks import Settings
from cwlbalsam.executor.capacity import Machine, detect_machine
from cwlbalsam.executor.forkserver import RECORD_BYTES, fork_server, request_worker, unpack_death
from cwlbalsam.executor.frames import Inbox, Outbox
from cwlbalsam.executor.links import (
    SIGN_SECONDS,
    SILENCE_SECONDS,
    Link,
    LinkLost,
    call_launcher,
    exactly,
    send_some,
)
from cwlbalsam.executor.messages import (
    EndWorker,
    FromWorker,
    NodeUp,
    StartWorker,
    ToWorker,
    WorkerDied,
    framed,
    to_node,
)
from cwlbalsam.executor.pilot import Pilot, read_pilot
from cwlbalsam.executor.pool import how_it_died
from cwlbalsam.executor.spawn import become_subreaper
from cwlbalsam.executor.worker import work

BURY_SECONDS = 40.0


class _Begin(Struct, array_like=True):
    """The first frame on the connection to a worker."""

    settings: Settings
    folder: str
    journal: str


class _Peer(Struct, eq=False):
    """A worker, and the connection to it."""

    socket: socket.socket
    worker: int
    inbox: Inbox = msgspec.field(default_factory=Inbox)
    outbox: Outbox = msgspec.field(default_factory=Outbox)


class Supervisor:
    def __init__(self, link: Link, server: socket.socket, scratch: str) -> None:
        self._link = link
        self._server = server
        self._scratch = scratch
        self._workers: dict[int, _Peer] = {}
        self._deaths = bytearray()
        self._selector = selectors.DefaultSelector()
        self._parent = os.getppid()
        self._heard = time.monotonic()
        self._signed = 0.0
        self._over = False

    def say_up(self, node: int, name: str, machine: Machine, seconds: float) -> None:
        self._say(framed(NodeUp(node, name, machine, seconds)))

    def run(self) -> None:
        """Until the launcher says so, or is silent for too long."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "_over", True))
        self._server.setblocking(False)
        self._selector.register(self._server, selectors.EVENT_READ, self._read_deaths)
        if self._link.handle is not None:
            self._selector.register(self._link.handle, selectors.EVENT_READ, lambda: None)
        while not self._over:
            for key, mask in self._selector.select(min(SIGN_SECONDS, self._link.patience)):
                if mask & selectors.EVENT_READ:
                    key.data()
            self._turn()
        self._end()

    def _turn(self) -> None:
        try:
            for body in self._link.receive():
                self._heard = time.monotonic()
                if body:
                    self._obey(body)
            self._sign()
            for peer in list(self._workers.values()):
                self._flush(peer)
            left = self._link.flush()
        except LinkLost as lost:
            print(f"{os.uname().nodename}: {lost}", file=sys.stderr, flush=True)
            self._over = True
            return
        if self._link.handle is not None:
            self._wait_for(self._link.handle, writable=left)

    def _read(self, peer: _Peer) -> None:
        try:
            data = peer.socket.recv(1 << 18)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(peer.socket)  # the fork server says that it has died
            self._workers.pop(peer.worker, None)
            peer.socket.close()
        for body in peer.inbox.feed(data):
            self._say(framed(FromWorker(peer.worker, body)))

    def _obey(self, body: bytes) -> None:
        match to_node.decode(body):
            case StartWorker(_, worker, settings, journal):
                peer = self._workers[worker] = _Peer(request_worker(self._server, worker), worker)
                peer.socket.setblocking(False)
                begin = msgspec.msgpack.encode(_Begin(settings, f"{self._scratch}/w{worker}", journal))
                peer.outbox.add(len(begin).to_bytes(4, "little") + begin)
                self._selector.register(peer.socket, selectors.EVENT_READ, partial(self._read, peer))
            case ToWorker(_, worker, frame):
                if worker in self._workers:
                    self._workers[worker].outbox.add(frame)
            case EndWorker(_, worker):
                if worker in self._workers:
                    with contextlib.suppress(OSError):
                        self._workers[worker].socket.shutdown(socket.SHUT_WR)
            case _:
                self._over = True

    def _sign(self) -> None:
        now = time.monotonic()
        if now - self._signed >= SIGN_SECONDS:
            self._signed = now
            self._link.sign()
        # Who outlives us is gone: nobody would know that our workers live.
        if now - self._heard > SILENCE_SECONDS or os.getppid() != self._parent:
            print(f"{os.uname().nodename}: nobody is left above", file=sys.stderr, flush=True)
            self._over = True

    def _say(self, frame: bytes) -> None:
        self._link.send(frame)

    def _flush(self, peer: _Peer) -> None:
        with contextlib.suppress(OSError):  # it has died: the fork server will say so
            send_some(peer.socket, peer.outbox)
        self._wait_for(peer.socket, writable=bool(peer.outbox))

    def _wait_for(self, connection: socket.socket, *, writable: bool) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writable else 0)
        with contextlib.suppress(KeyError, ValueError):
            key = self._selector.get_key(connection)
            if key.events != events:
                self._selector.modify(connection, events, key.data)

    def _read_deaths(self) -> None:
        try:
            data = self._server.recv(4096)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._over = True  # nobody can start workers any more
        self._deaths += data
        while len(self._deaths) >= RECORD_BYTES:
            number, code = unpack_death(bytes(self._deaths[:RECORD_BYTES]))
            del self._deaths[:RECORD_BYTES]
            self._say(framed(WorkerDied(number, how_it_died(code))))

    def _end(self) -> None:
        """Workers that lose their connection end their jobs; the fork server outlives them."""
        for peer in self._workers.values():
            peer.socket.close()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._link.close()


def serve(connection: socket.socket, _: int) -> None:
    """The life of a worker: what it is for comes as its first frame."""
    try:
        length = int.from_bytes(exactly(connection.recv, 4), "little")
        begin = msgspec.msgpack.decode(exactly(connection.recv, length), type=_Begin)
    except OSError:
        return
    work(connection, begin.settings, begin.folder, journal=begin.journal, remote=True)


def supervise(pilot: Pilot, connect: Callable[[], tuple[int, Link]]) -> None:
    """Until the launcher needs us no longer. connect: gives the number of our node, too; called in a process that has
    forked all that it has to."""
    from cwlbalsam.cwl import execution  # noqa: F401 -- once for all workers, which are forked from here

    scratch = tempfile.mkdtemp(prefix="cwlbalsam-", dir=pilot.scratch or None)
    server, pid = fork_server(serve)
    try:
        node, link = connect()
        supervisor = Supervisor(link, server, scratch)
        machine = detect_machine(Path(scratch))
        supervisor.say_up(node, pilot.nodes[node], pilot.machine_of(machine, os.environ), pilot.seconds_left())
        supervisor.run()
    finally:
        server.close()
        os.waitpid(pid, 0)
        remove_tree(scratch)


def outlive(life: Callable[[], int]) -> int:
    """Its exit code, lived in a child process, once nothing of what that has left lives any more."""
    become_subreaper()
    child = os.fork()
    if not child:
        return life()

    def hand_on(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, hand_on)
    _, status = os.waitpid(child, 0)
    until = time.monotonic() + BURY_SECONDS
    while time.monotonic() < until:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            break
    return 0 if status == 0 else 1


def main(arguments: list[str]) -> int:
    folder, node = Path(arguments[0]), int(arguments[1])

    def life() -> int:
        pilot = read_pilot(folder)
        supervise(pilot, lambda: (node, call_launcher(folder, pilot, node)))
        return 0

    return outlive(life)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
