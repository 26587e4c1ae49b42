"""The worker: a small process without threads, one loop over its connection, its children and its timers."""

import gc
import heapq
import os
import select
import signal
import socket
import time
from collections.abc import Callable

from cwlbalsam.cwl.tasks import Outcome, Settings
from cwlbalsam.executor.frames import FRAME_TASKS, Inbox, Learn, Outbox, Work, pack, unpack_message
from cwlbalsam.executor.journal import Journal
from cwlbalsam.executor.spawn import become_subreaper
from cwlbalsam.executor.workbench import CLEAN_UP_SECONDS, GRACE_SECONDS, Preparing, Workbench

FLUSH_SECONDS = 0.005
"""Outcomes wait this long for company while other tasks keep the worker busy."""

REMOTE_FLUSH_SECONDS = 0.1
"""The same where each message passes several processes; there more work is sent ahead."""

MAX_PATIENCE = 3_600_000.0
"""Milliseconds; poll knows no more than 31 bits of them."""


class Worker:
    def __init__(
        self,
        connection: socket.socket,
        settings: Settings,
        folder: str,
        prepare: Preparing,
        journal: str,
        *,
        remote: bool = False,
    ) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._connected = True
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timers_set = 0
        self._inbox, self._outbox = Inbox(), Outbox()
        self._outcomes: list[Outcome] = []
        self._journal = Journal(journal) if journal else None
        self._first_outcome = 0.0
        self._flush_seconds = REMOTE_FLUSH_SECONDS if remote else FLUSH_SECONDS
        self._evicted = False
        is_evicted = (lambda: self._evicted) if remote else None
        self._bench = Workbench(settings, folder, prepare, self._after, self._answer, is_evicted)
        if remote:
            signal.signal(signal.SIGTERM, lambda *_: setattr(self, "_evicted", True))
        self._wakeup, writer = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler the wake-up pipe stays silent
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def run(self) -> None:
        """Work until the other side closes the connection; then end what still runs."""
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        connection = self._connection.fileno()
        while self._connected:
            if self._journal is not None:
                self._journal.sync(convenient=self._bench.is_busy)
            poll.register(connection, select.POLLIN | (select.POLLOUT if self._outbox else 0))
            events = dict(poll.poll(self._patience()))
            if self._wakeup in events:
                self._drain_wakeup()
                self._bench.reap_all()
            if events.get(connection, 0) & ~select.POLLOUT:
                self._receive()
            self._run_timers()
            self._bench.start_waiting()
            self._send()
        self._end()

    def _patience(self) -> float | None:
        """Milliseconds that the loop may sleep; None: until something happens."""
        moments = [self._timers[0][0]] if self._timers else []
        if self._outcomes:
            moments.append(self._first_outcome + self._flush_seconds)
        return min(max(0.0, (min(moments) - time.monotonic()) * 1000), MAX_PATIENCE) if moments else None

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
                for grant, count in message.limits:
                    self._bench.limit(grant, count)
                for task in message.tasks:
                    self._bench.add(task)
            elif isinstance(message, Learn):
                self._bench.learn(message.digest, message.program)
            else:
                self._bench.cancel(message.jobs, unstarted=message.unstarted)

    def _answer(self, outcome: Outcome) -> None:
        if not self._outcomes:
            self._first_outcome = time.monotonic()
        self._outcomes.append(outcome)

    def _send(self) -> None:
        outcomes = self._outcomes
        if outcomes and (
            len(outcomes) >= FRAME_TASKS
            or len(outcomes) >= self._bench.waiting  # while there is still something to do, the pool must know
            or time.monotonic() - self._first_outcome >= self._flush_seconds
        ):
            for first in range(0, len(outcomes), FRAME_TASKS):
                frame = pack(some := outcomes[first : first + FRAME_TASKS])
                if self._journal is not None:
                    self._journal.append(frame[4:], len(some))
                self._outbox.add(frame)
            outcomes.clear()
        if self._outbox:
            try:
                with self._outbox.peek() as data:
                    count = self._connection.send(data)
                self._outbox.sent(count)
            except BlockingIOError:
                pass
            except OSError:
                self._connected = False

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers_set += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._timers_set, action))

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _end(self) -> None:
        """The coordinator is gone: no job may outlive it. Outcomes are dropped, nobody would read them."""
        self._bench.stop_all()
        until = time.monotonic() + 2 * GRACE_SECONDS + CLEAN_UP_SECONDS
        while self._bench.is_busy and time.monotonic() < until:
            select.select([self._wakeup], [], [], 0.1)
            self._drain_wakeup()
            self._bench.reap_all()
            self._run_timers()


def work(
    connection: socket.socket,
    settings: Settings,
    folder: str,
    prepare: Preparing | None = None,
    journal: str = "",
    *,
    remote: bool = False,
) -> None:
    """The whole life of a worker process. remote: far from its pool, where a batch system may end
    it and its commands by SIGTERM."""
    if prepare is None:
        from cwlbalsam.cwl import execution  # its imports cost the coordinator nothing

        prepare = execution.prepare
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the coordinator decides
    become_subreaper()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    Worker(connection, settings, folder, prepare, journal, remote=remote).run()
