"""The worker: a small process without threads that prepares jobs, drives many commands at once and collects outputs."""

import gc
import heapq
import os
import select
import signal
import socket
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Raw, Struct

from cwlbalsam.cwl.records import Program
from cwlbalsam.cwl.tasks import Grant, Outcome, Settings, Task
from cwlbalsam.errors import JobError
from cwlbalsam.executor.containers import Containers
from cwlbalsam.executor.frames import FRAME_TASKS, Cancel, Inbox, Learn, Outbox, Work, pack, unpack_message
from cwlbalsam.executor.slots import Slot, Slots
from cwlbalsam.executor.spawn import Ended, Start, become_subreaper, next_ended, reap, signal_group, spawn

GRACE_SECONDS = 5.0
"""From SIGTERM to SIGKILL."""
FLUSH_SECONDS = 0.005
"""Outcomes wait this long for company while other tasks keep the worker busy."""

Ending = Literal["done", "skipped", "failed", "temporary", "timeout", "cancelled"]


class Preparing(Protocol):
    """`cwl.execution.prepare`, which a test may replace."""

    def __call__(self, program: Program, task: Task, settings: Settings, tmpdir: str) -> Any: ...


class Running(Struct, eq=False):
    """A job whose command runs, or waits for its image. stop: why it is being ended, if it is."""

    task: Task
    prepared: Any
    slot: Slot
    started: float = 0.0
    pid: int = 0
    container: str = ""
    stop: Literal["", "timeout", "cancelled"] = ""


class Lane(Struct):
    """Tasks of one grant: at most `limit` run, the others wait here for their turn."""

    limit: int = 0
    running: int = 0
    waiting: deque[Task] = msgspec.field(default_factory=deque)


class Worker:
    def __init__(self, connection: socket.socket, settings: Settings, folder: str, prepare: Preparing) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._settings = settings
        self._prepare = prepare
        self._slots = Slots(folder)
        self._containers = Containers(settings, folder)
        self._programs: dict[str, bytes | Program] = {}
        self._lanes: dict[Grant, Lane] = {}
        self._running: dict[int, Running] = {}  # by job
        self._by_pid: dict[int, Running] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timers_set = 0
        self._inbox, self._outbox = Inbox(), Outbox()
        self._outcomes: list[Outcome] = []
        self._flushed = 0.0
        self._connected = True
        self._wakeup, wakeup_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else _pipe()
        signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler the wake-up pipe stays silent
        signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)

    # --- the loop ---

    def run(self) -> None:
        """Work until the other side closes the connection; then end what still runs."""
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        connection = self._connection.fileno()
        while self._connected:
            poll.register(connection, select.POLLIN | (select.POLLOUT if self._outbox else 0))
            events = dict(poll.poll(self._patience()))
            if self._wakeup in events:
                self._drain_wakeup()
                self._reap_all()
            if events.get(connection, 0) & ~select.POLLOUT:
                self._receive()
            self._run_timers()
            for lane in self._lanes.values():
                while lane.waiting and lane.running < lane.limit:
                    self._start(lane, lane.waiting.popleft())
            self._send()
        self._end_everything()

    def _patience(self) -> float | None:
        """Milliseconds that the loop may sleep; None: until something happens."""
        moments = [self._timers[0][0]] if self._timers else []
        if self._outcomes:
            moments.append(self._flushed + FLUSH_SECONDS)
        return max(0.0, (min(moments) - time.monotonic()) * 1000) if moments else None

    def _drain_wakeup(self) -> None:
        try:
            while len(os.read(self._wakeup, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def _receive(self) -> None:
        try:
            data = self._connection.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._connected = bool(data)
        for body in self._inbox.feed(data):
            message = unpack_message(body)
            if isinstance(message, Work):
                for grant, limit in message.limits:
                    self._lanes.setdefault(grant, Lane()).limit = limit
                for task in message.tasks:
                    self._lanes.setdefault(task.grant, Lane()).waiting.append(task)
            elif isinstance(message, Learn):
                self._programs[message.digest] = message.program
            else:
                self._cancel(message)

    def _send(self) -> None:
        if self._outcomes:
            now = time.monotonic()
            busy = any(lane.waiting for lane in self._lanes.values())
            if not busy or len(self._outcomes) >= FRAME_TASKS or now - self._flushed >= FLUSH_SECONDS:
                for first in range(0, len(self._outcomes), FRAME_TASKS):
                    self._outbox.add(pack(self._outcomes[first : first + FRAME_TASKS]))
                self._outcomes.clear()
        if self._outbox:
            try:
                with self._outbox.peek() as data:
                    count = self._connection.send(data)
                self._outbox.sent(count)
            except BlockingIOError:
                pass
            except OSError:
                self._connected = False

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers_set += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._timers_set, action))

    # --- one job ---

    def _start(self, lane: Lane, task: Task) -> None:
        lane.running += 1
        job = Running(task=task, prepared=None, slot=self._slots.take(), started=time.time())
        self._running[task.job] = job
        with _Guard(self, job):
            job.prepared = prepared = self._prepare(self._program(task), task, self._settings, job.slot.tmpdir)
            if prepared.ending is not None:
                self._finish(job, prepared.ending, outputs=prepared.outputs)
            elif prepared.command.container is None:
                self._launch(job, _start_of(prepared.command))
            else:
                self._containers.when_ready(prepared.command.container.docker, lambda: self._launch_container(job))

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
            start, job.container = self._containers.start(job.prepared.command)
            self._launch(job, start)

    def _launch(self, job: Running, start: Start) -> None:
        job.started = time.time()
        job.pid = spawn(start, job.slot.log)
        self._by_pid[job.pid] = job
        limit = job.prepared.command.time_limit
        if limit:
            self._after(limit, lambda: self._stop(job, "timeout"))

    def _reap_all(self) -> None:
        while pid := next_ended():
            job = self._by_pid.pop(pid, None)
            if job is not None:
                ended = reap(pid)
                with _Guard(self, job):
                    self._collect(job, ended)
            elif not self._containers.ended(pid):
                os.waitpid(pid, 0)  # an orphan that some job left

    def _collect(self, job: Running, ended: Ended) -> None:
        moment = time.time()
        if job.stop:
            limit = job.prepared.command.time_limit
            error = f"ran longer than its time limit of {limit:g} seconds" if job.stop == "timeout" else "cancelled"
            self._finish(job, job.stop, error=error, ended=ended, moment=moment)
            return
        ending, outputs, error = job.prepared.collect(ended.exit_code)
        if ending not in ("done", "skipped") and not error:
            error = f"command ended with exit code {ended.exit_code}"
        self._finish(job, ending, outputs=outputs, error=error, ended=ended, moment=moment)

    def _finish(
        self,
        job: Running,
        ending: Ending,
        *,
        outputs: dict[str, Any] | None = None,
        error: str = "",
        ended: Ended | None = None,
        moment: float = 0.0,
        bug: bool = False,
    ) -> None:
        task = job.task
        encode = msgspec.msgpack.encode
        outcome = Outcome(
            job=task.job,
            attempt=task.attempt,
            ending=ending,
            outputs={name: Raw(encode(value)) for name, value in outputs.items()} if outputs else {},
            error=error,
            exit_code=ended.exit_code if ended else None,
            started=job.started,
            ended=moment or time.time(),
            cpu_seconds=ended.cpu_seconds if ended else 0.0,
            peak_memory_bytes=ended.peak_memory_bytes if ended else 0,
            read_bytes=ended.read_bytes if ended else 0,
            written_bytes=ended.written_bytes if ended else 0,
            log=self._slots.keep_log(job.slot, f"{task.directory}.log") if ended else "",
            bug=bug,
        )
        self._slots.give_back(job.slot)
        del self._running[task.job]
        self._lanes[task.grant].running -= 1
        if not self._outcomes:
            self._flushed = time.monotonic()
        self._outcomes.append(outcome)

    # --- ending jobs early ---

    def _cancel(self, message: Cancel) -> None:
        jobs = set(message.jobs)
        for lane in self._lanes.values():
            if any(task.job in jobs for task in lane.waiting):
                dropped = [task for task in lane.waiting if task.job in jobs]
                lane.waiting = deque(task for task in lane.waiting if task.job not in jobs)
                self._outcomes += [
                    Outcome(job=task.job, attempt=task.attempt, ending="cancelled", error="cancelled")
                    for task in dropped
                ]
        for job in jobs:
            if job in self._running:
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

    def _kill(self, job: Running) -> None:
        if self._by_pid.get(job.pid) is not job:
            return
        if job.container:  # killing the client would leave the container behind
            self._containers.kill(job.container)
            job.container = ""
            self._after(GRACE_SECONDS, lambda: self._kill(job))
        else:
            signal_group(job.pid, signal.SIGKILL)

    def _end_everything(self) -> None:
        """The coordinator is gone: no job may outlive it. Outcomes are dropped, nobody would read them."""
        for job in list(self._running.values()):
            self._stop(job, "cancelled")
        self._containers.close()
        until = time.monotonic() + 3 * GRACE_SECONDS
        while self._by_pid and time.monotonic() < until:
            select.select([self._wakeup], [], [], 0.1)
            self._drain_wakeup()
            self._reap_all()
            self._run_timers()


class _Guard:
    """Whatever goes wrong with one job ends that job, never the worker."""

    def __init__(self, worker: Worker, job: Running) -> None:
        self._worker, self._job = worker, job

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if error is None:
            return False
        worker, job = self._worker, self._job
        if worker._running.get(job.task.job) is not job:  # it has been answered
            return False
        if isinstance(error, JobError):
            worker._finish(job, "failed", error=str(error))
        elif isinstance(error, OSError):  # full disk, no permission, ...: of the job's place, not of our making
            worker._finish(job, "failed", error=f"{error.strerror}: {error.filename}" if error.filename else str(error))
        else:
            text = "".join(traceback.format_exception(error))
            worker._finish(job, "failed", error=f"internal error: {text}", bug=True)
        return True


def _start_of(command: Any) -> Start:
    return Start(
        argv=command.argv,
        environment=command.environment,
        cwd=command.cwd,
        stdin=command.stdin,
        stdout=command.stdout,
        stderr=command.stderr,
    )


def _pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    return reader, writer


def work(connection: socket.socket, settings: Settings, folder: str, prepare: Preparing | None = None) -> None:
    """The whole life of a worker process."""
    if prepare is None:
        from cwlbalsam.cwl.execution import prepare  # its imports cost the coordinator nothing
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the coordinator decides
    become_subreaper()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    Worker(connection, settings, folder, prepare).run()
