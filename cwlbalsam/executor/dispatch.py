"""Which worker gets which task, and when: within the machine's capacity, oldest first, no I/O.

A worker holds *grants*; each lets one task of that grant run. Short tasks are also sent ahead of their turn, to wait in
the worker until one before them ends and leaves it its grant: so a core is never idle for the time of a message.
"""

from collections import deque
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.tasks import Grant, Task
from cwlbalsam.executor.capacity import Capacity

AHEAD_SECONDS = 0.1
"""Work sent ahead for each grant, at most; tasks that last longer than this are not sent ahead."""
AHEAD_TASKS = 32
PASSES = 1000
"""So many younger tasks may start while the oldest waits for room; then they have to wait, too."""
_NOTHING = Grant(cores=0, ram=0, tmpdir=0, outdir=0)


class _Lane(Struct):
    """Tasks of one grant in one worker: `held` may run, `sent` are there: `running` ones, and `ahead` of their turn."""

    held: int = 0
    sent: int = 0
    running: set[int] = msgspec.field(default_factory=set)
    ahead: deque[int] = msgspec.field(default_factory=deque)


class Batch(Struct):
    """What to send to one worker. limits: how many tasks of a grant may run there."""

    tasks: list[Task] = msgspec.field(default_factory=list)
    limits: dict[Grant, int] = msgspec.field(default_factory=dict)


class Dispatcher:
    def __init__(self, capacity: Capacity | None) -> None:
        self._capacity = capacity
        self._waiting: dict[Grant, deque[tuple[int, Task]]] = {}
        self._sequence = 0
        self._passes = 0
        self._lanes: dict[int, dict[Grant, _Lane]] = {}  # by worker
        self._sent: dict[int, tuple[int, Task]] = {}  # job -> worker, task
        self._load: dict[int, int] = {}  # tasks, by worker
        self._started: list[int] = []
        self._seconds: dict[Grant, float] = {}  # what a task of this grant took lately

    def __len__(self) -> int:
        """Tasks without an outcome."""
        return len(self._sent) + sum(map(len, self._waiting.values()))

    def add_worker(self, worker: int) -> None:
        self._lanes[worker] = {}
        self._load[worker] = 0

    def add(self, tasks: Sequence[Task]) -> None:
        """Raises JobError for a task that this machine can never run."""
        for task in tasks:
            if task.mode != "run":
                task = msgspec.structs.replace(task, grant=_NOTHING)
            elif self._capacity is not None:
                self._capacity.check(task.grant)
            self._sequence += 1
            self._waiting.setdefault(task.grant, deque()).append((self._sequence, task))

    def assign(self) -> dict[int, Batch]:
        """What can be sent now, by worker."""
        batches: dict[int, Batch] = {}
        if not self._lanes:
            return batches
        heads = {grant: tasks[0][0] for grant, tasks in self._waiting.items()}
        oldest = min(heads.values(), default=0)
        while heads:
            grant = min(heads, key=heads.__getitem__)
            if heads[grant] != oldest and self._passes >= PASSES:
                break
            worker = self._place(grant)
            if worker is None:
                del heads[grant]
                continue
            tasks = self._waiting[grant]
            sequence, task = tasks.popleft()
            self._passes = 0 if sequence == oldest else self._passes + 1
            if tasks:
                heads[grant] = tasks[0][0]
            else:
                del heads[grant], self._waiting[grant]
            if sequence == oldest:
                oldest = min((queue[0][0] for queue in self._waiting.values()), default=0)
            batch = batches.setdefault(worker, Batch())
            batch.tasks.append(task)
            lane = self._lanes[worker][grant]
            batch.limits[grant] = lane.held
            lane.ahead.append(task.job)
            self._fill(lane)
            self._sent[task.job] = worker, task
            self._load[worker] += 1
        return batches

    def _place(self, grant: Grant) -> int | None:
        """The worker for the next task of this grant, with the books updated; None if it has to wait."""
        if self._capacity is None or self._capacity.take(grant):
            worker = min(self._load, key=self._load.__getitem__)
            lane = self._lanes[worker].setdefault(grant, _Lane())
            lane.held += 1
            lane.sent += 1
            return worker
        ahead = min(AHEAD_TASKS, int(AHEAD_SECONDS / max(self._seconds.get(grant, AHEAD_SECONDS * 2), 1e-6)))
        best = None
        for worker, lanes in self._lanes.items():
            lane_there = lanes.get(grant)
            if lane_there and lane_there.sent < lane_there.held * (1 + ahead):
                share = lane_there.sent / lane_there.held
                if best is None or share < best[0]:
                    best = share, worker, lane_there
        if best is None:
            return None
        best[2].sent += 1
        return best[1]

    def finished(self, job: int, seconds: float) -> None:
        """The outcome of a task has arrived; it took so long."""
        worker, task = self._sent.pop(job)
        self._load[worker] -= 1
        before = self._seconds.get(task.grant, seconds)
        self._seconds[task.grant] = before + (seconds - before) / 8
        lane = self._lanes[worker][task.grant]
        lane.sent -= 1
        if job in lane.running:
            lane.running.remove(job)
        else:  # it was cancelled, or has overtaken
            lane.ahead.remove(job)
        self._fill(lane)
        if lane.sent < lane.held:
            lane.held -= 1
            if self._capacity is not None:
                self._capacity.give_back(task.grant)
            if not lane.held:
                del self._lanes[worker][task.grant]

    def _fill(self, lane: _Lane) -> None:
        """A worker starts them in the order in which they were sent."""
        while lane.ahead and len(lane.running) < lane.held:
            job = lane.ahead.popleft()
            lane.running.add(job)
            self._started.append(job)

    def take_started(self) -> list[int]:
        """The jobs that have got a grant since the last call."""
        started, self._started = self._started, []
        return started

    def cancel(self, jobs: Sequence[int]) -> tuple[list[Task], dict[int, list[int]]]:
        """Tasks that were still here and are dropped, and the jobs to cancel in each worker."""
        wanted = set(jobs)
        dropped: list[Task] = []
        for grant in list(self._waiting):
            queue = self._waiting[grant]
            hit = [task for _, task in queue if task.job in wanted]
            if hit:
                dropped += hit
                kept = deque(entry for entry in queue if entry[1].job not in wanted)
                self._waiting[grant] = kept
                if not kept:
                    del self._waiting[grant]
        there: dict[int, list[int]] = {}
        for job in jobs:
            if job in self._sent:
                there.setdefault(self._sent[job][0], []).append(job)
        return dropped, there

    def drop_worker(self, worker: int) -> list[Task]:
        """The worker has died: the tasks that it had, whose grants are free again."""
        lost = [task for there, task in self._sent.values() if there == worker]
        for task in lost:
            del self._sent[task.job]
        for grant, lane in self._lanes.pop(worker).items():
            for _ in range(lane.held if self._capacity is not None else 0):
                self._capacity.give_back(grant)  # type: ignore[union-attr]
        del self._load[worker]
        return lost

    def drop_waiting(self) -> list[Task]:
        lost = [task for queue in self._waiting.values() for _, task in queue]
        self._waiting.clear()
        return lost

    def jobs(self) -> list[int]:
        return [*self._sent, *(task.job for queue in self._waiting.values() for _, task in queue)]
