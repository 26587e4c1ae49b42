"""The jobs of one worker: each is prepared, its command started, its outputs collected; all in one thread."""

import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
from msgspec import Raw, Struct

from cwlbalsam.cwl.missing import missing_inputs
from cwlbalsam.cwl.records import Program
from cwlbalsam.cwl.tasks import Ending, Grant, Invocation, Outcome, Settings, Task
from cwlbalsam.errors import JobError
from cwlbalsam.executor.containers import Containers
from cwlbalsam.executor.slots import Slot, Slots
from cwlbalsam.executor.spawn import Ended, has_children, next_ended, reap, signal_group, spawn

if TYPE_CHECKING:
    from cwlbalsam.cwl.execution import Command, Prepared
    from cwlbalsam.cwl.reuse import Taken

GRACE_SECONDS = 5.0
"""From SIGTERM to SIGKILL."""
EVICTION_SECONDS = 0.5
"""A batch system signals a worker and its commands one after the other: so long after a command the worker knows."""
ENDED_BY_SIGNAL = {-signal.SIGTERM, -signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGKILL}
CLEAN_UP_SECONDS = 20.0
"""For a container engine's client, after its container was killed: ended earlier, it would leave the remains."""


class Preparing(Protocol):
    """`cwl.execution.prepare`, which a test may replace."""

    def __call__(self, program: Program, task: Task, settings: Settings, tmpdir: str) -> "Prepared": ...


class Running(Struct, eq=False):
    """A job whose command runs, or waits for its image. command: what was started, of a container its client.

    stop: why it is being ended, if it is.
    """

    task: Task
    prepared: Any
    slot: Slot
    started: float = 0.0
    command: Any = None
    pid: int = 0
    container: str = ""
    stop: Literal["", "timeout", "cancelled"] = ""
    ended: float = 0.0
    bug: bool = False


class Lane(Struct):
    """Tasks of one grant: at most `limit` run, the others wait here for their turn."""

    limit: int = 0
    running: int = 0
    waiting: deque[Task] = msgspec.field(default_factory=deque)


class Workbench:
    """after: sets a timer. answer: takes the outcome of a task; every task gets exactly one. is_evicted: whether a
    batch system is taking the node away, which signals the commands, too; None: there is none."""

    def __init__(
        self,
        settings: Settings,
        folder: str,
        prepare: Preparing,
        after: Callable[[float, Callable[[], None]], None],
        answer: Callable[[Outcome], None],
        is_evicted: Callable[[], bool] | None = None,
    ) -> None:
        self._settings = settings
        self._prepare = prepare
        self._after = after
        self._answer = answer
        self._is_evicted = is_evicted
        self._slots = Slots(folder)
        self._containers = Containers(settings, folder)
        self._programs: dict[str, bytes | Program] = {}
        self._lanes: dict[Grant, Lane] = {}
        self._running: dict[int, Running] = {}  # by job
        self._by_pid: dict[int, Running] = {}

    def learn(self, digest: str, program: bytes) -> None:
        self._programs[digest] = program

    def limit(self, grant: Grant, count: int) -> None:
        self._lanes.setdefault(grant, Lane()).limit = count

    def add(self, task: Task) -> None:
        self._lanes.setdefault(task.grant, Lane()).waiting.append(task)

    @property
    def waiting(self) -> int:
        """How many tasks wait for others to end."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    @property
    def is_busy(self) -> bool:
        """Whether commands run, or container engines still clean up after theirs."""
        return bool(self._by_pid) or (self._containers.were_used and has_children())

    def start_waiting(self) -> None:
        for grant, lane in list(self._lanes.items()):
            while lane.waiting and lane.running < lane.limit:
                self._start(lane, lane.waiting.popleft())
            if not lane.waiting and not lane.running:  # each job may have a grant of its own: they would add up
                del self._lanes[grant]

    # --- one job ---

    def _start(self, lane: Lane, task: Task) -> None:
        try:
            slot = self._slots.take()
        except OSError as error:
            message = f"cannot make a temporary folder: {error}"
            self._answer(Outcome(job=task.job, attempt=task.attempt, ending="failed", error=message))
            return
        lane.running += 1
        job = Running(task=task, prepared=None, slot=slot, started=time.time())
        self._running[task.job] = job
        with _Guard(self, job):
            job.prepared = prepared = self._prepare(self._program(task), task, self._settings, job.slot.tmpdir)
            if prepared.ending is not None:
                self._finish(job, prepared.ending, outputs=prepared.outputs, taken=prepared.taken)
            elif (command := _command(prepared)).container is None:
                self._launch(job, command)
            else:
                self._containers.when_ready(command.container.docker, lambda: self._launch_container(job))

    def _program(self, task: Task) -> Program:
        program = self._programs[task.program]
        if not isinstance(program, Program):
            program = self._programs[task.program] = msgspec.msgpack.decode(program, type=Program)
        return program

    def _launch_container(self, job: Running) -> None:
        """Called when the image is there, or known to be unobtainable."""
        if self._running.get(job.task.job) is not job:
            return  # cancelled meanwhile
        with _Guard(self, job):
            command, job.container = self._containers.client_command(_command(job.prepared))
            self._launch(job, command)

    def _launch(self, job: Running, command: "Command") -> None:
        if command.is_script:
            from cwlbalsam.executor.script_jobs import equip

            equip(command, job.task, self._settings, os.environ)
        elif launch := job.task.launch:
            kept = {name: text for name, text in os.environ.items() if name.startswith(launch.inherit)}
            command.environment = {**kept, **command.environment, **launch.environment}
        job.started = time.time()
        job.command = command
        job.pid = spawn(command, job.slot.log)
        self._by_pid[job.pid] = job
        if command.time_limit:
            self._after(command.time_limit, partial(self._time_out, job.task.job, job.pid))

    def reap_all(self) -> None:
        while pid := next_ended():
            job = self._by_pid.pop(pid, None)
            if job is not None:
                ended = reap(pid)
                with _Guard(self, job):
                    self._collect(job, ended)
            elif not self._containers.ended(pid):
                os.waitpid(pid, 0)  # an orphan that some job left

    def _collect(self, job: Running, ended: Ended) -> None:
        job.ended = time.time()
        if job.stop:
            limit = job.command.time_limit
            error = f"ran longer than its time limit of {limit:g} seconds" if job.stop == "timeout" else "cancelled"
            self._finish(job, job.stop, error=error, ended=ended)
        elif self._is_evicted is not None and ended.exit_code in ENDED_BY_SIGNAL:
            job.pid = 0  # it is reaped: the number may be another's soon
            self._after(EVICTION_SECONDS, partial(self._judge, job, ended))
        else:
            self._judge(job, ended)

    def _judge(self, job: Running, ended: Ended) -> None:
        if self._running.get(job.task.job) is not job:
            return  # cancelled meanwhile
        if self._is_evicted is not None and self._is_evicted() and ended.exit_code in ENDED_BY_SIGNAL:
            self._finish(job, "temporary", error="the batch system took the node away")
            return
        ending, outputs, error = job.prepared.collect(ended.exit_code)
        if ending not in ("done", "skipped") and not error:
            error = f"command ended with exit code {ended.exit_code}"
        self._finish(job, ending, outputs=outputs, error=error, ended=ended)

    def _finish(
        self,
        job: Running,
        ending: Ending,
        outputs: dict[str, Any] | None = None,
        error: str = "",
        ended: Ended | None = None,
        taken: "Taken | None" = None,
    ) -> None:
        task = job.task
        encode = msgspec.msgpack.encode
        good = ending in ("done", "skipped")
        outcome = Outcome(
            job=task.job,
            attempt=task.attempt,
            ending=ending,
            outputs={name: Raw(encode(value)) for name, value in outputs.items()} if outputs else {},
            error=error,
            exit_code=ended.exit_code if ended else taken.exit_code if taken else None,
            started=job.started,
            ended=job.ended or time.time(),
            cpu_seconds=ended.cpu_seconds if ended else 0.0,
            peak_memory_bytes=ended.peak_memory_bytes if ended else 0,
            read_bytes=ended.read_bytes if ended else 0,
            written_bytes=ended.written_bytes if ended else 0,
            log=self._slots.keep_log(job.slot, f"{task.directory}.log") if job.pid else taken.log if taken else "",
            reused=taken is not None,
            fingerprint=task.fingerprint,
            bug=job.bug,
            command=None if good else _invocation(job),
            missing=() if good else missing_inputs(task),
        )
        self._slots.give_back(job.slot)
        del self._running[task.job]
        self._lanes[task.grant].running -= 1
        self._answer(outcome)

    # --- ending jobs early ---

    def cancel(self, numbers: Iterable[int], *, unstarted: bool = False) -> None:
        jobs = set(numbers)
        for lane in self._lanes.values():
            if any(task.job in jobs for task in lane.waiting):
                waiting, lane.waiting = lane.waiting, deque()
                for task in waiting:
                    if task.job in jobs:
                        self._answer(Outcome(job=task.job, attempt=task.attempt, ending="cancelled", error="cancelled"))
                    else:
                        lane.waiting.append(task)
        for job in jobs:
            if job in self._running and not unstarted:
                self._stop(self._running[job], "cancelled")

    def _stop(self, job: Running, why: Literal["timeout", "cancelled"]) -> None:
        if self._running.get(job.task.job) is not job or job.stop:
            return
        job.stop = why
        if not job.pid:
            self._finish(job, why, error=why)
            return
        signal_group(job.pid, signal.SIGTERM)
        self._after(GRACE_SECONDS, lambda: self._kill(job))

    def _time_out(self, number: int, pid: int) -> None:
        """Timers outlive most of their jobs, so they hold numbers only."""
        job = self._running.get(number)
        if job is not None and job.pid == pid:
            self._stop(job, "timeout")

    def _kill(self, job: Running) -> None:
        if self._by_pid.get(job.pid) is not job:
            return
        if job.container:  # killing the client would leave the container behind
            self._containers.kill(job.container)
            job.container = ""
            self._after(CLEAN_UP_SECONDS, lambda: self._kill(job))
        else:
            signal_group(job.pid, signal.SIGKILL)

    def stop_all(self) -> None:
        for lane in self._lanes.values():
            lane.waiting.clear()
        for job in list(self._running.values()):
            self._stop(job, "cancelled")
        self._containers.close()


class _Guard:
    """Whatever goes wrong with one job ends that job, never the worker."""

    def __init__(self, bench: Workbench, job: Running) -> None:
        self._bench, self._job = bench, job

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if error is None:
            return False
        bench, job = self._bench, self._job
        if bench._running.get(job.task.job) is not job:  # it has been answered
            return False
        if isinstance(error, JobError):
            bench._finish(job, "failed", error=str(error))
        elif isinstance(error, OSError):  # full disk, no permission, ...: of the job's place, not of our making
            bench._finish(job, "failed", error=f"{error.strerror}: {error.filename}" if error.filename else str(error))
        else:
            text = "".join(traceback.format_exception(error))
            job.bug = True
            bench._finish(job, "failed", error=f"internal error: {text}")
        return True


def _command(prepared: "Prepared") -> "Command":
    if prepared.command is None:
        raise ValueError("neither an ending nor a command")
    return prepared.command


def _invocation(job: Running) -> Invocation | None:
    """What to tell of a command that failed; of a container, only what its client got beside our own environment."""
    command: Command | None = job.command
    if command is None:
        return None
    hide = job.prepared.hide
    inherits = command.container is not None
    told = {name: text for name, text in command.environment.items() if not inherits or os.environ.get(name) != text}
    return Invocation(
        argv=[hide(word) for word in command.argv],
        environment={name: hide(text) for name, text in told.items()},
        inherits=inherits,
        cwd=command.cwd,
        tmpdir=job.slot.tmpdir,
        stdin=command.stdin,
        stdout=command.stdout,
        stderr=command.stderr,
    )
