"""Which worker gets which task, and when: within the capacity of its node, oldest first, no I/O.

A worker holds *grants*; each lets one task of that grant run. Short tasks are also sent ahead of their turn, to wait in
the worker until one before them ends and leaves it its grant: so a core is never idle for the time of a message.
The workers of one node share its capacity. A task that wants several nodes gets all of each, and one worker of the
first to be started by.
"""

import heapq
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from cwlbalsam.cwl.tasks import Grant, Task
from cwlbalsam.executor.placement import AHEAD_SECONDS, Node, Placement, find_room, keep_room
from cwlbalsam.planner.start_order import Order, oldest_first

AHEAD_TASKS = 32
PASSES = 1000
"""So many younger tasks may start while the oldest waits for room; then they have to wait, too."""
_NOTHING = Grant(cores=0, ram=0, tmpdir=0, outdir=0)

_Kind = tuple[Grant, float]
"""Tasks of one grant and one time limit: where one finds no room, none does."""


class Waiting(Struct, frozen=True):
    """Tasks that are alike and have no room. seconds: that tasks of this grant took lately. 0: nobody knows."""

    grant: Grant
    wall_seconds: float
    seconds: float
    count: int


class _Lane(Struct):
    """Tasks of one grant in one worker: as many may run as there are rooms; `sent` are there, `running` ones and some
    `ahead` of their turn."""

    rooms: list[Placement] = msgspec.field(default_factory=list)
    sent: int = 0
    running: set[int] = msgspec.field(default_factory=set)
    ahead: deque[int] = msgspec.field(default_factory=deque)


class Batch(Struct):
    """What to send to one worker. limits: how many tasks of a grant may run there."""

    tasks: list[Task] = msgspec.field(default_factory=list)
    limits: dict[Grant, int] = msgspec.field(default_factory=dict)


class Dispatcher:
    """order: which tasks come first; it sees each once, when it is added."""

    def __init__(self, order: Order = oldest_first, clock: Callable[[], float] = time.monotonic) -> None:
        self._order = order
        self._clock = clock
        self._waiting: dict[_Kind, list[tuple[tuple[float, ...], int, Task]]] = {}  # heaps
        self._sequence = 0
        self._passes = 0
        self._nodes: list[Node] = []
        self._node_of: dict[int, Node] = {}  # by worker
        self._lanes: dict[int, dict[Grant, _Lane]] = {}  # by worker
        self._sent: dict[int, tuple[int, Task]] = {}  # job -> worker, task
        self._load: dict[int, int] = {}  # tasks, by worker
        self._started: list[int] = []
        self._seconds: dict[Grant, float] = {}  # what a task of this grant took lately

    def __len__(self) -> int:
        """Tasks without an outcome."""
        return len(self._sent) + self.count_waiting()

    def count_waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    def waiting_alike(self) -> Iterable[Waiting]:
        """How many tasks wait, all but those of bookkeeping."""
        return (
            Waiting(grant, wall_seconds, self._seconds.get(grant, 0.0), len(heap))
            for (grant, wall_seconds), heap in self._waiting.items()
            if grant != _NOTHING
        )

    def waiting(self) -> Iterable[Task]:
        """Tasks that no worker has, in no order."""
        return (task for heap in self._waiting.values() for _, _, task in heap)

    def add_worker(self, worker: int, node: Node) -> None:
        if node not in self._nodes:
            self._nodes.append(node)
        node.workers.append(worker)
        self._node_of[worker] = node
        self._lanes[worker] = {}
        self._load[worker] = 0

    def add(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            if task.mode != "run":
                task = replace(task, grant=_NOTHING)
            self._sequence += 1
            kind = task.grant, task.wall_seconds
            heapq.heappush(self._waiting.setdefault(kind, []), (self._order(task), self._sequence, task))

    def assign(self) -> dict[int, Batch]:
        """What can be sent now, by worker."""
        batches: dict[int, Batch] = {}
        if not self._lanes:
            return batches
        heads = [(*tasks[0][:2], kind) for kind, tasks in self._waiting.items()]
        heapq.heapify(heads)  # there may be as many kinds as tasks
        overtakes = False  # the oldest has found no room
        for node in self._nodes:
            node.kept_for = None
        while heads:
            kind = heads[0][2]
            tasks = self._waiting[kind]
            task = tasks[0][2]
            placed = self._place(task)
            if placed is None:
                heapq.heappop(heads)
                if not overtakes and (task.grant.is_wide or self._passes >= PASSES):
                    keep_room(task, self._nodes, self._clock())
                overtakes = True
                continue
            self._passes = self._passes + 1 if overtakes else 0
            heapq.heappop(tasks)
            if tasks:
                heapq.heapreplace(heads, (*tasks[0][:2], kind))
            else:
                heapq.heappop(heads)
                del self._waiting[kind]
            self._send(*placed, batches)
        return batches

    def _send(self, worker: int, task: Task, batches: dict[int, Batch]) -> None:
        batch = batches.setdefault(worker, Batch())
        batch.tasks.append(task)
        lane = self._lanes[worker][task.grant]
        lane.sent += 1
        batch.limits[task.grant] = len(lane.rooms)
        lane.ahead.append(task.job)
        self._fill(lane)
        self._sent[task.job] = worker, task
        self._load[worker] += 1
        self._node_of[worker].tasks += 1

    def _place(self, task: Task) -> tuple[int, Task] | None:
        """The worker for the next task, with the books of capacity updated; None if it has to wait."""
        place = find_room(task, self._nodes, self._clock())
        if place is None:
            return self._place_ahead(task)
        worker = min(place.nodes[0].workers, key=self._load.__getitem__)
        self._lanes[worker].setdefault(task.grant, _Lane()).rooms.append(place)
        return worker, place.task

    def _place_ahead(self, task: Task) -> tuple[int, Task] | None:
        grant = task.grant
        if grant.gpus or grant.is_wide:
            return None
        seconds = max(self._seconds.get(grant, math.inf), 1e-6)
        now = self._clock()
        best = None
        for worker, lanes in self._lanes.items():
            lane = lanes.get(grant)
            node = self._node_of[worker]
            ahead = min(int(AHEAD_TASKS * node.ahead_seconds / AHEAD_SECONDS), int(node.ahead_seconds / seconds))
            if lane and lane.sent < len(lane.rooms) * (1 + ahead) and node.is_open_to(task, now):
                share = lane.sent / len(lane.rooms)
                if best is None or share < best[0]:
                    best = share, worker
        return (best[1], task) if best is not None else None

    # --- ends ---

    def finished(self, job: int, seconds: float) -> None:
        """The outcome of a task has arrived; it took so long."""
        worker, task = self._sent.pop(job)
        node = self._node_of[worker]
        self._load[worker] -= 1
        node.tasks -= 1
        before = self._seconds.get(task.grant, seconds)
        self._seconds[task.grant] = before + (seconds - before) / 8
        lane = self._lanes[worker][task.grant]
        lane.sent -= 1
        if job in lane.running:
            lane.running.remove(job)
        else:  # it was cancelled, or has overtaken
            lane.ahead.remove(job)
        self._fill(lane)
        if lane.sent < len(lane.rooms):
            # Those of a grant are alike, but for MPI jobs, none of which is sent ahead.
            own = next((room for room in lane.rooms if room.task.job == job), lane.rooms[-1])
            lane.rooms.remove(own)
            own.give_back()
            if not lane.rooms:
                del self._lanes[worker][task.grant]

    def _fill(self, lane: _Lane) -> None:
        """A worker starts them in the order in which they were sent."""
        while lane.ahead and len(lane.running) < len(lane.rooms):
            job = lane.ahead.popleft()
            lane.running.add(job)
            self._started.append(job)

    def take_started(self) -> list[int]:
        """The jobs that have got a grant since the last call."""
        started, self._started = self._started, []
        return started

    def cancel(self, jobs: Sequence[int]) -> tuple[list[Task], dict[int, list[int]]]:
        """Tasks that were still here and are dropped, and the jobs to cancel in each worker."""
        dropped = self.drop_waiting(jobs)
        there: dict[int, list[int]] = {}
        for job in jobs:
            if job in self._sent:
                there.setdefault(self._sent[job][0], []).append(job)
        return dropped, there

    def drop_worker(self, worker: int) -> list[Task]:
        """The worker has died: the tasks that it had, whose grants are free again."""
        node = self._node_of.pop(worker)
        lost = [task for there, task in self._sent.values() if there == worker]
        for task in lost:
            del self._sent[task.job]
        node.tasks -= len(lost)
        for lane in self._lanes.pop(worker).values():
            for room in lane.rooms:
                room.give_back()
        del self._load[worker]
        node.workers.remove(worker)
        if not node.workers:
            self._nodes.remove(node)
        return lost

    def drop_waiting(self, jobs: Iterable[int] | None = None) -> list[Task]:
        """Of these jobs, or of all."""
        if jobs is None:
            lost = list(self.waiting())
            self._waiting.clear()
            return lost
        wanted = set(jobs)
        dropped: list[Task] = []
        for kind, heap in list(self._waiting.items()):
            hit = [entry[2] for entry in heap if entry[2].job in wanted]
            if hit:
                dropped += hit
                kept = [entry for entry in heap if entry[2].job not in wanted]
                heapq.heapify(kept)
                self._waiting[kind] = kept
                if not kept:
                    del self._waiting[kind]
        return dropped

    def jobs(self) -> list[int]:
        return [*self._sent, *(task.job for task in self.waiting())]

    def worker_of(self, job: int) -> int | None:
        """Who has it; None if nobody has."""
        return self._sent[job][0] if job in self._sent else None
