"""The MPI ensemble: the supervisors of all nodes of a pilot as one MPI program, where only MPI reaches the nodes.

The launch command of the site starts `python -m cwlbalsam.executor.ensemble PILOT_FOLDER` once on each node. Rank 0
relays between the launcher, which it calls by TCP, and the others. What forks, forks before MPI_Init.
"""

import os
import sys
import time
from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from cwlbalsam.executor.frames import Inbox
from cwlbalsam.executor.links import SIGN, SIGN_SECONDS, SILENCE_SECONDS, Link, LinkLost, TcpLink, call_launcher
from cwlbalsam.executor.messages import Leave, framed, to_node
from cwlbalsam.executor.pilot import Pilot, read_pilot
from cwlbalsam.executor.supervisor import outlive, supervise

LEAST_SECONDS, MOST_SECONDS, GROWTH = 0.0005, 0.01, 1.5
"""Between two looks for messages: MPI has nothing that one could wait for but by a core that does nothing else."""
MESSAGE_BYTES = 1 << 16
END_SECONDS = 15.0
"""For all ranks to have ended their workers."""
NO_MPI4PY = "the MPI ensemble needs mpi4py, built for the MPI of this machine: {}"


class _Rank(Struct, eq=False):
    """Another rank: a stream of bytes from it, and one to it."""

    inbox: Inbox
    outbox: bytearray
    heard: float


class World:
    """All ranks. What goes from one to another are streams of bytes, in messages of a bounded size."""

    def __init__(self) -> None:
        """MPI_Init: returns when all ranks are there. Raises ImportError."""
        import mpi4py

        mpi4py.rc.initialize = mpi4py.rc.finalize = False
        from mpi4py import MPI

        MPI.Init_thread(MPI.THREAD_SINGLE)
        self._mpi = MPI
        self._comm: Any = MPI.COMM_WORLD.Dup()
        self.rank, self.size = self._comm.Get_rank(), self._comm.Get_size()
        now = time.monotonic()
        self._ranks = {each: _Rank(Inbox(), bytearray(), now) for each in range(self.size) if each != self.rank}
        self._leaving: deque[tuple[Any, bytes]] = deque()  # MPI reads the bytes until the request is done
        self._coming: deque[tuple[int, bytearray, Any]] = deque()
        self.patience = LEAST_SECONDS

    @property
    def others(self) -> list[int]:
        return list(self._ranks)

    def gather(self, number: int) -> list[int]:
        """The numbers of all ranks, in their order."""
        numbers = array("i", [0] * self.size)
        self._comm.Allgather([array("i", [number]), self._mpi.INT], [numbers, self._mpi.INT])
        return list(numbers)

    def send(self, rank: int, frame: bytes) -> None:
        self._ranks[rank].outbox += frame

    def receive(self) -> Iterator[tuple[int, bytes]]:
        """Ranks, and the bodies that came from them. Raises LinkLost if one is silent."""
        now = time.monotonic()
        self.patience = min(self.patience * GROWTH, MOST_SECONDS)
        while (probed := self._comm.Improbe(status=(status := self._mpi.Status()))) is not None:
            buffer = bytearray(status.Get_count(self._mpi.BYTE))
            self._coming.append((status.Get_source(), buffer, probed.Irecv([buffer, self._mpi.BYTE])))
        while self._coming and self._coming[0][2].Test():
            source, data, _ = self._coming.popleft()
            self.patience = LEAST_SECONDS
            self._ranks[source].heard = now
            for body in self._ranks[source].inbox.feed(bytes(data)):
                yield source, body
        for number, rank in self._ranks.items():
            if now - rank.heard > SILENCE_SECONDS and 0 in (number, self.rank):  # others never talk to each other
                raise LinkLost(f"rank {number} is silent")

    def flush(self) -> None:
        while self._leaving and self._leaving[0][0].Test():
            self._leaving.popleft()
        for number, rank in self._ranks.items():
            for start in range(0, len(rank.outbox), MESSAGE_BYTES):
                data = bytes(rank.outbox[start : start + MESSAGE_BYTES])
                self._leaving.append((self._comm.Isend([data, self._mpi.BYTE], number), data))
                self.patience = LEAST_SECONDS
            rank.outbox.clear()

    def finish(self) -> bool:
        """Whether all ranks have come to their end, and MPI to its own."""
        request = self._comm.Ibarrier()
        until = time.monotonic() + END_SECONDS
        while not request.Test():
            if time.monotonic() > until:
                return False
            for _ in self.receive():
                pass  # it would not end while messages are under way
            self.flush()
            time.sleep(MOST_SECONDS)
        self._mpi.Finalize()
        return True


class RankLink:
    """By way of rank 0."""

    handle = None

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def patience(self) -> float:
        return self._world.patience

    def receive(self) -> Iterator[bytes]:
        return (body for _, body in self._world.receive())

    def send(self, frame: bytes) -> None:
        self._world.send(0, frame)

    def sign(self) -> None:
        self.send(SIGN)

    def flush(self) -> bool:
        self._world.flush()
        return False

    def close(self) -> None:
        """The world outlives its links."""


class RelayLink:
    """Of rank 0: to the launcher, for all. nodes: the number of each rank's node, by rank."""

    def __init__(self, world: World, launcher: TcpLink, nodes: list[int]) -> None:
        self._world, self._launcher = world, launcher
        self._ranks = {node: rank for rank, node in enumerate(nodes)}
        self.handle = launcher.handle

    @property
    def patience(self) -> float:
        return min(self._world.patience, SIGN_SECONDS)

    def receive(self) -> Iterator[bytes]:
        for body in self._launcher.receive():
            rank = self._ranks.get(to_node.decode(body).node, 0) if body else 0
            if rank:
                self._world.send(rank, len(body).to_bytes(4, "little") + body)
            else:
                yield body
        for _, body in self._world.receive():
            if body:
                self._launcher.send(len(body).to_bytes(4, "little") + body)

    def send(self, frame: bytes) -> None:
        self._launcher.send(frame)

    def sign(self) -> None:
        self._launcher.sign()
        for rank in self._world.others:
            self._world.send(rank, SIGN)

    def flush(self) -> bool:
        self._world.flush()
        return self._launcher.flush()

    def close(self) -> None:
        for rank in self._world.others:
            self._world.send(rank, framed(Leave()))
        self._world.flush()
        self._launcher.close()


def connect(world: World, folder: Path, pilot: Pilot) -> tuple[int, Link]:
    """The number of our node, and the way to the launcher. Raises OSError."""
    nodes = world.gather(_own_number(pilot.nodes))
    if sorted(nodes) != list(range(world.size)):  # names that say nothing
        nodes = list(range(world.size))
    if world.rank:
        return nodes[world.rank], RankLink(world)
    return nodes[0], RelayLink(world, call_launcher(folder, pilot, 0), nodes)


def _own_number(names: list[str]) -> int:
    """Of this node; -1 if its name is not among them. Launch commands have their own order of nodes."""
    own = os.uname().nodename.partition(".")[0]
    return next((number for number, name in enumerate(names) if name.partition(".")[0] == own), -1)


def take_part(folder: Path) -> int:
    """Exit code."""
    for entry in Path("/proc/self/fd").iterdir():  # by which MPI talks to what started us: no job's business
        if int(entry.name) > 2:
            with suppress(OSError):
                os.set_inheritable(int(entry.name), False)
    pilot = read_pilot(folder)
    world: World | None = None

    def join() -> tuple[int, Link]:
        nonlocal world
        world = World()
        return connect(world, folder, pilot)

    try:
        supervise(pilot, join)
        finished = world is not None and world.finish()
    except ImportError as error:
        print(NO_MPI4PY.format(error), file=sys.stderr)
        finished = False
    except LinkLost:
        finished = False
    sys.stderr.flush()
    os._exit(0 if finished else 1)  # MPI that was not finished would wait for ranks that are gone


def main(arguments: list[str]) -> int:
    return outlive(lambda: take_part(Path(arguments[0])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
