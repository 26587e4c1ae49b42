"""A run's side of a site: the client of the site's agent."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from cwlbalsam.cwl.tasks import Outcome, Task
from cwlbalsam.errors import UserError
from cwlbalsam.executor.crew import ended
from cwlbalsam.executor.frames import FRAME_TASKS, Inbox, unpack_outcomes
from cwlbalsam.executor.messages import (
    CancelJobs,
    CleanUp,
    Ended,
    LearnProgram,
    Message,
    Notice,
    Opened,
    OpenRun,
    Recall,
    Refusal,
    Reported,
    Started,
    Submit,
    framed,
    to_run,
)

CLOSE_SECONDS = 30.0
READ_BYTES = 1 << 18
RECONNECTS = 5


class Speaking(Protocol):
    """What an agent is told by: a StreamWriter, or a line that outlives its connections."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    async def wait_closed(self) -> None: ...


Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, Speaking]]]
"""Reach the site's agent, which is started if there is none. Raises UserError."""


class SitePool:
    """programs: digest and msgpack. notify: takes what to tell the user. opened: what the agent has said of itself."""

    def __init__(
        self,
        opening: OpenRun,
        connect: Connect,
        notify: Callable[[str], None],
    ) -> None:
        self.opened = Opened()
        self._programs: dict[str, bytes] = {}
        self._opening = opening
        self._connect = connect
        self._notify = notify
        self._tasks: dict[int, Task] = {}  # at the agent
        self._writer: Speaking | None = None
        self._unsent: list[Task] = []
        self._turn_set = False
        self._reading: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._on_outcomes: Callable[[list[Outcome]], None] = lambda _: None
        self._on_started: Callable[[list[int]], None] = lambda _: None

    async def open(
        self, on_outcomes: Callable[[list[Outcome]], None], on_started: Callable[[list[int]], None] = lambda _: None
    ) -> None:
        """Raises UserError if the site cannot be used."""
        self._on_outcomes, self._on_started = on_outcomes, on_started
        reader = await self._reach()
        self._reading = asyncio.create_task(self._read(reader))

    def learn(self, digest: str, program: bytes) -> None:
        """Before the first task of a Program."""
        self._programs[digest] = program
        self._say(LearnProgram(digest, program))

    def submit(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self._tasks[task.job] = task
        self._unsent += tasks
        if not self._turn_set:
            self._turn_set = True
            asyncio.get_running_loop().call_soon(self._flush)

    def cancel(self, jobs: Sequence[int], *, unstarted: bool = False) -> None:
        self._flush()
        self._say(CancelJobs([job for job in jobs if job in self._tasks], unstarted))

    async def close(self, kill: bool = False, clean: bool = False) -> None:
        """kill: end what runs. clean: what the run has at the site is needed no longer."""
        if kill and self._tasks and self._writer is not None:
            self.cancel(list(self._tasks))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    while self._tasks:
                        self._idle.clear()
                        await self._idle.wait()
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            if clean:
                self._say(CleanUp())
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    # --- out ---

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
        for digest, program in self._programs.items():
            writer.write(framed(LearnProgram(digest, program)))
        length = int.from_bytes(await reader.readexactly(4), "little")
        answer = to_run.decode(await reader.readexactly(length))
        if isinstance(answer, Refusal):
            raise UserError(answer.message, hint=answer.hint)
        assert isinstance(answer, Opened)
        self._writer, self.opened = writer, answer
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
        self._unsent.clear()
        lost = [(task.job, task.attempt, task.fingerprint) for task in self._in_flight()]
        if lost:
            self._say(Recall(lost))

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
        known = [outcome for outcome in outcomes if self._is_ours(outcome)]
        for outcome in known:
            del self._tasks[outcome.job]
        if known:
            self._on_outcomes(known)
        self._idle.set()

    def _is_ours(self, outcome: Outcome) -> bool:
        task = self._tasks.get(outcome.job)
        return task is not None and task.attempt == outcome.attempt
