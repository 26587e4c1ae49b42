"""A run's side of a site: its tools' jobs go to the site's agent; what needs no command is done right here."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from cwlbalsam.cwl.command_jobs import COMMANDS
from cwlbalsam.cwl.records import Program, ToolProcess
from cwlbalsam.cwl.tasks import Outcome, Task
from cwlbalsam.errors import UserError
from cwlbalsam.executor.crew import by_task, ended
from cwlbalsam.executor.frames import FRAME_TASKS, Inbox, unpack_outcomes
from cwlbalsam.executor.journal import read_journals
from cwlbalsam.executor.messages import (
    CancelJobs,
    Ended,
    LearnProgram,
    Message,
    Notice,
    Opened,
    OpenRun,
    Refusal,
    Reported,
    Started,
    Submit,
    framed,
    to_run,
)
from cwlbalsam.executor.pool import WorkerPool

CLOSE_SECONDS = 30.0
READ_BYTES = 1 << 18
RECONNECTS = 5

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Reach the site's agent, which is started if there is none. Raises UserError."""


class SitePool:
    """local: for what needs no command; closed with us. encoded: Programs by digest. notify: what to tell the user."""

    def __init__(
        self,
        local: WorkerPool,
        program: Program,
        encoded: Mapping[str, bytes],
        opening: OpenRun,
        connect: Connect,
        notify: Callable[[str], None],
    ) -> None:
        self._local = local
        self._program, self._encoded = program, encoded
        self._opening = opening
        self._connect = connect
        self._notify = notify
        self._tasks: dict[int, Task] = {}  # at the agent
        self._writer: asyncio.StreamWriter | None = None
        self._unsent: list[Task] = []
        self._refused: list[Outcome] = []
        self._turn_set = False
        self._reading: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._on_outcomes: Callable[[list[Outcome]], None] = lambda _: None
        self._on_started: Callable[[list[int]], None] = lambda _: None

    def start(self) -> None:
        self._local.start()

    async def open(
        self, on_outcomes: Callable[[list[Outcome]], None], on_started: Callable[[list[int]], None] = lambda _: None
    ) -> None:
        """Raises UserError if the site cannot be used."""
        self._on_outcomes, self._on_started = on_outcomes, on_started
        await self._local.open(on_outcomes, on_started)
        reader = await self._reach()
        self._reading = asyncio.create_task(self._read(reader))

    def submit(self, tasks: list[Task]) -> None:
        here = [task for task in tasks if not self._is_remote(task)]
        if here:
            self._local.submit(here)
        for task in tasks:
            if self._is_remote(task):
                self._tasks[task.job] = task
                self._unsent.append(task)
        self._schedule()

    def cancel(self, jobs: list[int], *, unstarted: bool = False) -> None:
        self._local.cancel([job for job in jobs if job not in self._tasks], unstarted=unstarted)
        self._flush()
        self._say(CancelJobs([job for job in jobs if job in self._tasks], unstarted))

    async def close(self, kill: bool = False) -> None:
        if kill and self._tasks:
            self.cancel(list(self._tasks))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    while self._tasks:
                        self._idle.clear()
                        await self._idle.wait()
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()
        await self._local.close(kill)

    def abandon(self) -> None:
        self._local.abandon()

    def _is_remote(self, task: Task) -> bool:
        if task.program != self._program.digest or task.program == COMMANDS.digest:
            return True
        return task.mode == "run" and isinstance(self._program.processes[task.process], ToolProcess)

    # --- out ---

    def _schedule(self) -> None:
        if not self._turn_set:
            self._turn_set = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._turn_set = False
        unsent, self._unsent = self._unsent, []
        for first in range(0, len(unsent), FRAME_TASKS):
            self._say(Submit(unsent[first : first + FRAME_TASKS]))

    def _say(self, message: Message) -> None:
        if self._writer is not None:
            self._writer.write(framed(message))

    # --- in ---

    async def _reach(self) -> asyncio.StreamReader:
        """An agent that has taken us. Raises UserError."""
        reader, writer = await self._connect()
        writer.write(framed(self._opening))
        for digest, encoded in self._encoded.items():
            writer.write(framed(LearnProgram(digest, encoded)))
        length = int.from_bytes(await reader.readexactly(4), "little")
        answer = to_run.decode(await reader.readexactly(length))
        if isinstance(answer, Refusal):
            raise UserError(answer.message, hint=answer.hint)
        assert isinstance(answer, Opened)
        self._writer = writer
        return reader

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while True:
            inbox = Inbox()
            with contextlib.suppress(OSError, msgspec.DecodeError):
                while data := await reader.read(READ_BYTES):
                    for body in inbox.feed(data):
                        self._take(to_run.decode(body))
            self._writer = None
            self._notify("the site's agent has ended; it is started again")
            try:
                reader = await self._reach_again()
            except (UserError, OSError, asyncio.IncompleteReadError) as error:
                self._end([ended(task, "failed", f"the site cannot be reached: {error}") for task in self._in_flight()])
                return
            self._recover()

    async def _reach_again(self) -> asyncio.StreamReader:
        for _ in range(RECONNECTS - 1):
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                return await self._reach()
            await asyncio.sleep(1.0)
        return await self._reach()

    def _recover(self) -> None:
        """The new agent takes runs only when nothing of the old one's lives: what is journalled counts, no more."""
        journals = Path(self._opening.journals) if self._opening.journals else None
        written = by_task(list(read_journals(journals))) if journals is not None else {}
        self._unsent.clear()
        self._end(
            [
                written.get((task.job, task.attempt, task.fingerprint))
                or ended(task, "temporary", "the site's agent has ended")
                for task in self._in_flight()
            ]
        )

    def _in_flight(self) -> list[Task]:
        return list(self._tasks.values())

    def _take(self, message: Message) -> None:
        match message:
            case Ended(outcomes):
                self._end(outcomes)
            case Reported(body):
                self._end(unpack_outcomes(body))
            case Started(jobs):
                self._on_started([job for job in jobs if job in self._tasks])
            case Notice(text):
                self._notify(text)

    def _end(self, outcomes: Sequence[Outcome]) -> None:
        known = [outcome for outcome in outcomes if self._tasks.pop(outcome.job, None) is not None]
        if known:
            self._on_outcomes(known)
        self._idle.set()
