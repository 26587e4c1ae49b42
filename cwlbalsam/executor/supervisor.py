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
from pathlib import Path

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.removal import remove_tree
from cwlbalsam.cwl.tasks import Settings
from cwlbalsam.executor.capacity import Machine, detect_machine
from cwlbalsam.executor.forkserver import RECORD_BYTES, fork_server, request_worker, unpack_death
from cwlbalsam.executor.frames import Inbox, Outbox
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
from cwlbalsam.executor.pilot import Pilot, SupervisorCall, read_pilot
from cwlbalsam.executor.pool import how_it_died
from cwlbalsam.executor.spawn import become_subreaper
from cwlbalsam.executor.wires.proof import is_proof, nonce, proof, read_token
from cwlbalsam.executor.worker import work

CALL_SECONDS = 20.0
SIGN_SECONDS = 2.0
SILENCE_SECONDS = 20.0
"""So long after the last sign of the launcher its jobs are ended: the launcher waits longer before it says that."""
BURY_SECONDS = 40.0


class _Begin(Struct, array_like=True):
    """The first frame on the connection to a worker."""

    settings: Settings
    folder: str
    journal: str


class _Peer(Struct, eq=False):
    """A connection of the supervisor's."""

    socket: socket.socket
    inbox: Inbox = msgspec.field(default_factory=Inbox)
    outbox: Outbox = msgspec.field(default_factory=Outbox)
    worker: int = -1


class Supervisor:
    def __init__(self, launcher: socket.socket, server: socket.socket, scratch: str) -> None:
        self._server = server
        self._scratch = scratch
        self._launcher = _Peer(launcher)
        self._workers: dict[int, _Peer] = {}
        self._deaths = bytearray()
        self._selector = selectors.DefaultSelector()
        self._heard = time.monotonic()
        self._signed = 0.0
        self._over = False

    def say_up(self, node: int, name: str, machine: Machine, seconds: float) -> None:
        self._say(framed(NodeUp(node, name, machine, seconds)))

    def run(self) -> None:
        """Until the launcher says so, or is silent for too long."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "_over", True))
        for handle in (self._launcher.socket, self._server):
            handle.setblocking(False)
        self._selector.register(self._launcher.socket, selectors.EVENT_READ, self._launcher)
        self._selector.register(self._server, selectors.EVENT_READ, None)
        while not self._over:
            for key, mask in self._selector.select(SIGN_SECONDS):
                if key.data is None:
                    self._read_deaths()
                elif mask & selectors.EVENT_READ:
                    self._read(key.data)
            self._sign()
            for peer in (self._launcher, *list(self._workers.values())):
                self._flush(peer)
        self._end()

    def _read(self, peer: _Peer) -> None:
        try:
            data = peer.socket.recv(1 << 18)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if peer is self._launcher:
            self._heard = time.monotonic()
            self._over = self._over or not data
            for body in peer.inbox.feed(data):
                if body:
                    self._obey(body)
        elif not data:
            self._selector.unregister(peer.socket)  # the fork server says that it has died
            self._workers.pop(peer.worker, None)
            peer.socket.close()
        else:
            for body in peer.inbox.feed(data):
                self._say(framed(FromWorker(peer.worker, body)))

    def _obey(self, body: bytes) -> None:
        match to_node.decode(body):
            case StartWorker(_, worker, settings, journal):
                peer = self._workers[worker] = _Peer(request_worker(self._server, worker), worker=worker)
                peer.socket.setblocking(False)
                begin = msgspec.msgpack.encode(_Begin(settings, f"{self._scratch}/w{worker}", journal))
                peer.outbox.add(len(begin).to_bytes(4, "little") + begin)
                self._selector.register(peer.socket, selectors.EVENT_READ, peer)
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
            self._launcher.outbox.add(bytes(4))  # an empty frame
        if now - self._heard > SILENCE_SECONDS:
            self._over = True

    def _say(self, frame: bytes) -> None:
        self._launcher.outbox.add(frame)

    def _flush(self, peer: _Peer) -> None:
        try:
            while peer.outbox:
                with peer.outbox.peek() as data:
                    count = peer.socket.send(data)
                peer.outbox.sent(count)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._over = self._over or peer is self._launcher
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.outbox else 0)
        with contextlib.suppress(KeyError, ValueError):
            if self._selector.get_key(peer.socket).events != events:
                self._selector.modify(peer.socket, events, peer)

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


def serve(connection: socket.socket, _: int) -> None:
    """The life of a worker: what it is for comes as its first frame."""
    length = int.from_bytes(_exactly(connection, 4), "little")
    begin = msgspec.msgpack.decode(_exactly(connection, length), type=_Begin)
    work(connection, begin.settings, begin.folder, journal=begin.journal, remote=True)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            os._exit(0)
        data += more
    return data


def call_launcher(folder: Path, pilot: Pilot, node: int) -> socket.socket:
    """Raises OSError."""
    token = read_token(folder / "token")
    until = time.monotonic() + CALL_SECONDS
    while True:
        for host, port in pilot.launcher:
            with contextlib.suppress(OSError):
                connection = socket.create_connection((host, port), timeout=CALL_SECONDS)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _greet(connection, token, pilot.session, node)
                connection.settimeout(None)
                return connection
        if time.monotonic() > until:
            raise OSError(f"no launcher answers at {pilot.launcher}")
        time.sleep(0.1)


def _greet(connection: socket.socket, token: bytes, session: str, node: int) -> None:
    ours, name = nonce(), f"{session}/{node}"
    theirs = _exactly(connection, 16)
    shown = proof(token, "caller", name, ours, theirs)
    call = msgspec.msgpack.encode(SupervisorCall(node, ours, shown))
    connection.sendall(len(call).to_bytes(4, "little") + call)
    if not is_proof(_exactly(connection, 32), token, "listener", name, ours, theirs):
        connection.close()
        raise OSError("whoever listens there does not know the token")


def supervise(folder: Path, node: int) -> None:
    from cwlbalsam.cwl import execution  # noqa: F401 -- once for all workers, which are forked from here

    pilot = read_pilot(folder)
    scratch = tempfile.mkdtemp(prefix=f"cwlbalsam-{node}-", dir=pilot.scratch or None)
    server, pid = fork_server(serve)
    try:
        supervisor = Supervisor(call_launcher(folder, pilot, node), server, scratch)
        machine = detect_machine(Path(scratch))
        supervisor.say_up(node, pilot.nodes[node], pilot.machine_of(machine, os.environ), pilot.seconds_left())
        supervisor.run()
    finally:
        server.close()
        os.waitpid(pid, 0)
        remove_tree(scratch)


def main(arguments: list[str]) -> int:
    """Supervise from a child process, and outlive all that it leaves: so our end means that nothing lives here."""
    become_subreaper()
    child = os.fork()
    if not child:
        supervise(Path(arguments[0]), int(arguments[1]))
        return 0
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGTERM))
    _, status = os.waitpid(child, 0)
    until = time.monotonic() + BURY_SECONDS
    while time.monotonic() < until:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            break
    return 0 if status == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
