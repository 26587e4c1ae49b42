"""The launcher: what a pilot runs in its allocation. It starts a supervisor on each node, hands on what they and the
agent say, holds the lease of its session, and ends all when that or the allocation ends.

It places nothing and decides on no job; it opens no store.
"""

import asyncio
import contextlib
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from cwlbalsam.executor.allocation import addresses, granted_machine, is_here, listening_socket
from cwlbalsam.executor.capacity import Machine
from cwlbalsam.executor.frames import Inbox
from cwlbalsam.executor.links import SIGN, SILENCE_SECONDS
from cwlbalsam.executor.messages import Leave, Leaving, NodeDown, pack_message, to_node
from cwlbalsam.executor.mpi_jobs import USUAL
from cwlbalsam.executor.pilot import AgentFile, NodeFile, PilotFile, SupervisorCall, read_record, write_record
from cwlbalsam.executor.supervisor import BURY_SECONDS
from cwlbalsam.executor.wires.base import Outlet
from cwlbalsam.executor.wires.proof import is_proof, nonce, proof, read_token
from cwlbalsam.executor.wires.spool import SpoolWire
from cwlbalsam.executor.wires.tcp import Refused, TcpCaller
from cwlbalsam.sites.mpi import LAUNCHERS
from cwlbalsam.sites.mpi.base import Launch, MpiRun
from cwlbalsam.sites.schedulers.allocation import read_allocation

SIGN_SECONDS = 2.0
TCP_SECONDS = 10.0
"""After which the agent is taken to be out of reach but for files."""
READ_BYTES = 1 << 18
STARTING_SECONDS = 120.0
GRACE_SECONDS = 12.0
"""What workers take to end their jobs once nobody is left to tell them anything."""


class _Crew(Struct, eq=False):
    """One supervisor, or the ensemble of all, as their launcher sees them. nodes: their numbers.

    process: what started them; it lasts as long as they do.
    """

    nodes: list[int]
    process: asyncio.subprocess.Process
    writer: Outlet | None = None
    heard: float = 0.0
    early: list[bytes] = msgspec.field(default_factory=list)  # for who has not called yet


class Launcher:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pilot = read_record(folder / "pilot.json", PilotFile)
        self._token = read_token(folder / "token")
        self._crews: dict[int, _Crew] = {}  # by node
        self._over = asyncio.Event()
        self._why = ""
        self._wire: TcpCaller | SpoolWire = TcpCaller(self._pilot.session, self._token, self._agents, self._obey)

    def _agents(self) -> Sequence[tuple[str, int]]:
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return read_record(self._folder / "agent.json", AgentFile).addresses
        return ()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: self._end("the batch system ends the pilot"))
        allocation = read_allocation(os.environ)
        ends = (allocation.ends or time.time() + self._pilot.wall_seconds) - self._pilot.margin_seconds
        server = await asyncio.start_server(self._answer, sock=listening_socket())
        port = server.sockets[0].getsockname()[1]
        names = list(allocation.hosts)
        write_record(self._folder / "node.json", NodeFile(names, addresses(port), ends))
        calling = await self._choose_wire()
        watching = [asyncio.create_task(self._watch(*started)) for started in self._commands(names)]
        clock = asyncio.create_task(self._keep_time(ends))
        await self._over.wait()
        clock.cancel()
        self._wire.send(pack_message(Leaving(self._why)))
        for crew in self._crews.values():
            if crew.writer is not None:
                crew.writer.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BURY_SECONDS):
                await asyncio.gather(*watching)
        await self._wire.close()
        calling.cancel()
        server.close()

    async def _choose_wire(self) -> asyncio.Task[None]:
        """By TCP if the agent can be reached, and it is not forbidden; else by files."""
        if self._pilot.transport != "spool":
            calling = asyncio.create_task(self._call())
            until = time.monotonic() + (TCP_SECONDS if self._pilot.transport == "auto" else math.inf)
            while time.monotonic() < until and not self._over.is_set():
                if isinstance(self._wire, TcpCaller) and self._wire.was_connected:
                    return calling
                await asyncio.sleep(0.02)
            calling.cancel()
        spool = self._folder / "spool"
        spool.mkdir(mode=0o700, exist_ok=True)
        self._wire = SpoolWire(spool, "launcher", self._obey, echoes=False)
        return asyncio.create_task(self._wire.run())

    async def _call(self) -> None:
        try:
            await self._wire.run()
        except Refused as refused:
            self._end(str(refused))

    def _end(self, why: str) -> None:
        self._why = self._why or why
        self._over.set()

    async def _keep_time(self, ends: float) -> None:
        """The lease counts from before the agent was asked for it, by our own clock."""
        while True:
            await asyncio.sleep(SIGN_SECONDS / 2)
            if time.monotonic() - self._wire.confirmed > self._pilot.lease_seconds:
                self._end("the agent is silent")
            if time.time() > ends:
                self._end("the time of the allocation is over")
            for crew in set(self._crews.values()):
                if crew.writer is not None:
                    crew.writer.write(SIGN)
                    if time.monotonic() - crew.heard > SILENCE_SECONDS:
                        crew.writer.close()

    # --- from the agent ---

    def _obey(self, body: bytes) -> None:
        message = to_node.decode(body)
        if isinstance(message, Leave):
            self._end("the agent needs it no longer")
            return
        crew = self._crews.get(message.node)
        if crew is None:
            return
        frame = len(body).to_bytes(4, "little") + body
        if crew.writer is None:
            crew.early.append(frame)
        else:
            crew.writer.write(frame)

    # --- supervisors ---

    def _commands(self, names: Sequence[str]) -> list[tuple[list[int], Launch, Path]]:
        """What is to be started: nodes, command, log."""
        pilot, folder = self._pilot, self._folder
        if pilot.starter == "mpi":
            return [(list(range(len(names))), ensemble_command(pilot, folder, names), folder / "ensemble.log")]
        return [
            ([number], Launch(supervisor_command(pilot, folder, number, name)), folder / f"node-{number}.log")
            for number, name in enumerate(names)
        ]

    async def _watch(self, nodes: list[int], launch: Launch, log: Path) -> None:
        """Start the supervisors of these nodes; when they have ended, nothing lives there."""
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *launch.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **launch.environment},
                start_new_session=True,
            )
        crew = _Crew(nodes, process)
        self._crews |= dict.fromkeys(nodes, crew)
        starting = asyncio.create_task(self._expect(crew))
        code = await process.wait()
        starting.cancel()
        if crew.writer is not None:
            crew.writer.close()
            if code and not self._over.is_set():  # workers may have outlived it for as long as they need to end
                await asyncio.sleep(GRACE_SECONDS)
        why = self._why or f"its supervisor ended with code {code}; see {log}"
        for node in nodes:
            del self._crews[node]
            self._wire.send(pack_message(NodeDown(node, why)))
        if not self._crews:
            self._end("no node is left")

    async def _expect(self, crew: _Crew) -> None:
        await asyncio.sleep(STARTING_SECONDS)
        if crew.writer is None:
            with contextlib.suppress(ProcessLookupError):
                crew.process.terminate()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, msgspec.DecodeError):
            async with asyncio.timeout(10):
                crew = await self._welcome(reader, writer)
            if crew is not None:
                await self._listen(crew, reader, writer)
        writer.close()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Crew | None:
        ours = nonce()
        writer.write(ours)
        length = int.from_bytes(await reader.readexactly(4), "little")
        call = msgspec.msgpack.decode(await reader.readexactly(min(length, 4096)), type=SupervisorCall)
        name = f"{self._pilot.session}/{call.node}"
        crew = self._crews.get(call.node)
        known = is_proof(call.proof, self._token, "caller", name, call.nonce, ours)
        if not known or crew is None or crew.writer is not None:
            return None
        writer.write(proof(self._token, "listener", name, call.nonce, ours))
        return crew

    async def _listen(self, crew: _Crew, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inbox = Inbox()
        outlet = Outlet(writer)
        crew.writer, crew.heard = outlet, time.monotonic()
        outlet.write(b"".join(crew.early))
        crew.early.clear()
        while data := await reader.read(READ_BYTES):
            crew.heard = time.monotonic()
            for body in inbox.feed(data):
                if body:
                    self._wire.send(body)


def supervisor_command(pilot: PilotFile, folder: Path, number: int, name: str) -> list[str]:
    """Starts the supervisor of one node, and lasts as long as it does."""
    own = [pilot.python, "-m", "cwlbalsam.executor.supervisor", str(folder), str(number)]
    if pilot.starter == "local" or (pilot.starter == "ssh" and is_here(name)):
        return own
    if pilot.starter == "srun":
        options = ["--overlap", "--mem=0", "--mpi=none", "--kill-on-bad-exit=0", "--wait=0", "--input=none"]
        return ["srun", *options, "--nodes=1", "--ntasks=1", f"--nodelist={name}", *own]
    if pilot.starter == "ssh":
        import shlex

        return ["ssh", "-o", "BatchMode=yes", "-tt", name, shlex.join(own)]
    return ["mpiexec", "-n", "1", "-host", name, *own]


def ensemble_command(pilot: PilotFile, folder: Path, names: Sequence[str]) -> Launch:
    """Starts the supervisors of all nodes as one MPI program, as the site starts MPI programs. Raises UserError."""
    cores = int(granted_machine(Machine(cores=1, ram=0, tmpdir=0), os.environ).cores)
    run = MpiRun(
        argv=(pilot.python, "-m", "cwlbalsam.executor.ensemble", str(folder)),
        ranks=len(names),
        hosts=tuple(names),
        ranks_per_node=1,
        threads=cores,  # jobs share what their supervisor has
        binding="none",
        here=next(filter(is_here, names), ""),
        pmi=pilot.mpi.pmi,
        options=pilot.mpi.options,
    )
    return LAUNCHERS[pilot.mpi.launcher or USUAL].launch_command(run)


def is_first(folder: Path) -> bool:
    """Whether no launcher has served this pilot before: batch systems start a preempted batch job again.

    What ran in its first life may still be ending elsewhere, so a second one has nothing to do: the agent asks for
    another pilot.
    """
    try:
        os.close(os.open(folder / "launched", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    return True


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0])
    if is_first(folder):
        asyncio.run(Launcher(folder).run())


if __name__ == "__main__":
    main(sys.argv[1:])
