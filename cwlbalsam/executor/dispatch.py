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
from collections.abc import Callable, Hashable, Iterable, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from cwlbalsam.cwl.tasks import ANY_PILOT, Grant, PilotKind, Task
from cwlbalsam.executor.capacity import Capacity

AHEAD_SECONDS = 0.1
"""Work sent ahead for each grant, at most, if a message takes no time; longer tasks are not sent ahead."""
AHEAD_TASKS = 32
PASSES = 1000
"""So many younger tasks may start while the oldest waits for room; then they have to wait, too."""
_NOTHING = Grant(cores=0, ram=0, tmpdir=0, outdir=0)

Order = Callable[[Task], float]
"""The lower, the earlier; of equals the older. It sees a task once, when it is added."""


class Node(Struct, eq=False):
    """Where workers are. ends: when it is no longer ours, by the monotonic clock. closed: it gets nothing new.

    pilot: what it belongs to. group: nodes that one task may span. ahead_seconds: of work that is sent ahead, more
    where messages take long.
    """

    capacity: Capacity | None
    name: str = ""
    group: Hashable = 0
    ends: float = math.inf
    ahead_seconds: float = AHEAD_SECONDS
    closed: bool = False
    pilot: PilotKind = ANY_PILOT
    workers: list[int] = msgspec.field(default_factory=list)
    tasks: int = 0  # sent there


class _Lane(Struct):
    """Tasks of one grant in one worker: `held` may run, `sent` are there: `running` ones, and `ahead` of their turn."""

    held: int = 0
    sent: int = 0
    running: set[int] = msgspec.field(default_factory=set)
    ahead: deque[int] = msgspec.field(default_factory=deque)


class _Sent(Struct):
    """A task without an outcome. nodes: all that it has, if it spans several."""

    worker: int
    task: Task
    nodes: tuple[Node, ...] = ()


class Batch(Struct):
    """What to send to one worker. limits: how many tasks of a grant may run there."""

    tasks: list[Task] = msgspec.field(default_factory=list)
    limits: dict[Grant, int] = msgspec.field(default_factory=dict)


class Dispatcher:
    """order: which tasks come first; None: those of the highest priority, and of these the oldest."""

    def __init__(self, order: Order | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._order = order
        self._clock = clock
        self._waiting: dict[Grant, list[tuple[float, int, Task]]] = {}  # heaps
        self._sequence = 0
        self._passes = 0
        self._nodes: list[Node] = []
        self._node_of: dict[int, Node] = {}  # by worker
        self._lanes: dict[int, dict[Grant, _Lane]] = {}  # by worker
        self._sent: dict[int, _Sent] = {}  # by job
        self._load: dict[int, int] = {}  # tasks, by worker
        self._started: list[int] = []
        self._seconds: dict[Grant, float] = {}  # what a task of this grant took lately

    def __len__(self) -> int:
        """Tasks without an outcome."""
        return len(self._sent) + self.count_waiting()

    def count_waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    def waiting_by_grant(self) -> Iterable[tuple[Grant, int]]:
        """How many tasks wait, for each grant but that of bookkeeping."""
        return ((grant, len(heap)) for grant, heap in self._waiting.items() if grant != _NOTHING)

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
            rank = self._order(task) if self._order is not None else -task.priority
            heapq.heappush(self._waiting.setdefault(task.grant, []), (rank, self._sequence, task))

    def assign(self) -> dict[int, Batch]:
        """What can be sent now, by worker."""
        batches: dict[int, Batch] = {}
        if not self._lanes:
            return batches
        heads = [(*tasks[0][:2], grant) for grant, tasks in self._waiting.items()]
        heapq.heapify(heads)  # there may be as many grants as tasks
        overtakes = False  # the oldest has found no room
        while heads and not (overtakes and self._passes >= PASSES):
            grant = heads[0][2]
            tasks = self._waiting[grant]
            task = tasks[0][2]
            place = self._place(task)
            if place is None:
                heapq.heappop(heads)
                overtakes = True
                continue
            self._passes = self._passes + 1 if overtakes else 0
            heapq.heappop(tasks)
            if tasks:
                heapq.heapreplace(heads, (*tasks[0][:2], grant))
            else:
                heapq.heappop(heads)
                del self._waiting[grant]
            self._send(place, batches)
        return batches

    def _send(self, place: _Sent, batches: dict[int, Batch]) -> None:
        task, worker = place.task, place.worker
        batch = batches.setdefault(worker, Batch())
        batch.tasks.append(task)
        lane = self._lanes[worker][task.grant]
        lane.sent += 1
        batch.limits[task.grant] = lane.held
        lane.ahead.append(task.job)
        self._fill(lane)
        self._sent[task.job] = place
        self._load[worker] += 1
        self._node_of[worker].tasks += 1

    # --- places ---

    def _place(self, task: Task) -> _Sent | None:
        """Where the next task goes, with the books of capacity updated; None if it has to wait."""
        if task.grant.is_wide:
            return self._place_wide(task)
        for node in self._nodes:
            if self._may_go(node, task) and _take(node, task.grant):
                return self._hold(node, _with_devices(task, (node,), task.grant.gpus))
        return self._place_ahead(task)

    def _hold(self, node: Node, task: Task, nodes: tuple[Node, ...] = ()) -> _Sent:
        worker = min(node.workers, key=self._load.__getitem__)
        self._lanes[worker].setdefault(task.grant, _Lane()).held += 1
        return _Sent(worker, task, nodes)

    def _place_ahead(self, task: Task) -> _Sent | None:
        grant = task.grant
        seconds = max(self._seconds.get(grant, math.inf), 1e-6)
        best = None
        for worker, lanes in self._lanes.items() if not grant.gpus else ():
            lane = lanes.get(grant)
            node = self._node_of[worker]
            ahead = min(int(AHEAD_TASKS * node.ahead_seconds / AHEAD_SECONDS), int(node.ahead_seconds / seconds))
            if lane and lane.sent < lane.held * (1 + ahead) and not node.closed and self._has_time(node, task):
                share = lane.sent / lane.held
                if best is None or share < best[0]:
                    best = share, worker
        return _Sent(best[1], task) if best is not None else None

    def _place_wide(self, task: Task) -> _Sent | None:
        """An MPI job: on one node beside others if it has room, else on whole idle nodes of one group."""
        grant = task.grant
        groups: dict[Hashable, list[Node]] = {}
        for node in self._nodes:
            if node.capacity is None or not self._may_go(node, task):
                continue
            fits = ranks_on(node.capacity, grant)
            if not grant.nodes and fits >= grant.ranks and _take(node, of_ranks(grant, grant.ranks)):
                task = _with_devices(task, (node,), grant.gpus * grant.ranks)
                return self._hold(node, replace(task, hosts=((node.name, grant.ranks),)), (node,))
            if fits and not node.tasks and node.capacity.is_idle:
                groups.setdefault(node.group, []).append(node)
        for nodes in groups.values():
            hosts = spread(grant, [(node.name, ranks_on(node.capacity, grant)) for node in nodes if node.capacity])
            if hosts:
                chosen = nodes[: len(hosts)]
                for node in chosen:
                    if node.capacity is not None:
                        node.capacity.take_all()
                first = chosen[0].capacity
                gpus = first.machine.gpus if first is not None else 0
                task = _with_devices(replace(task, hosts=hosts), tuple(chosen), gpus)
                return self._hold(chosen[0], task, tuple(chosen))
        return None

    def _may_go(self, node: Node, task: Task) -> bool:
        return not node.closed and node.pilot == task.grant.pilot and self._has_time(node, task)

    def _has_time(self, node: Node, task: Task) -> bool:
        return node.ends == math.inf or self._clock() + task.wall_seconds <= node.ends

    # --- ends ---

    def finished(self, job: int, seconds: float) -> None:
        """The outcome of a task has arrived; it took so long."""
        place = self._sent.pop(job)
        task, worker = place.task, place.worker
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
        if lane.sent < lane.held:
            lane.held -= 1
            _give_back(place, node)
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
        dropped = self.drop_waiting(jobs)
        there: dict[int, list[int]] = {}
        for job in jobs:
            if job in self._sent:
                there.setdefault(self._sent[job].worker, []).append(job)
        return dropped, there

    def drop_worker(self, worker: int) -> list[Task]:
        """The worker has died: the tasks that it had, whose grants are free again."""
        node = self._node_of.pop(worker)
        lost = [place for place in self._sent.values() if place.worker == worker]
        for place in lost:
            del self._sent[place.task.job]
        node.tasks -= len(lost)
        for grant, lane in self._lanes.pop(worker).items():
            wide = [place for place in lost if (place.nodes or place.task.devices) and place.task.grant == grant]
            for place in wide:
                _give_back(place, node)
            for _ in range(lane.held - len(wide)):
                if node.capacity is not None:
                    node.capacity.give_back(grant)
        del self._load[worker]
        node.workers.remove(worker)
        if not node.workers:
            self._nodes.remove(node)
        return [place.task for place in lost]

    def drop_waiting(self, jobs: Iterable[int] | None = None) -> list[Task]:
        """Of these jobs, or of all."""
        if jobs is None:
            lost = list(self.waiting())
            self._waiting.clear()
            return lost
        wanted = set(jobs)
        dropped: list[Task] = []
        for grant, heap in list(self._waiting.items()):
            hit = [entry[2] for entry in heap if entry[2].job in wanted]
            if hit:
                dropped += hit
                kept = [entry for entry in heap if entry[2].job not in wanted]
                heapq.heapify(kept)
                self._waiting[grant] = kept
                if not kept:
                    del self._waiting[grant]
        return dropped

    def jobs(self) -> list[int]:
        return [*self._sent, *(task.job for task in self.waiting())]

    def worker_of(self, job: int) -> int | None:
        """Who has it; None if nobody has."""
        return self._sent[job].worker if job in self._sent else None


def of_ranks(grant: Grant, ranks: int) -> Grant:
    """What so many ranks of an MPI job take on one node: cores and GPUs count by rank."""
    return replace(grant, cores=grant.cores * ranks, gpus=grant.gpus * ranks, ranks=0, nodes=0)


def ranks_on(capacity: Capacity, grant: Grant) -> int:
    """How many ranks of an MPI job an empty node could take."""
    machine = capacity.machine
    if not capacity.fits(of_ranks(grant, 1)):
        return 0
    most = grant.ranks or max(int(machine.cores), 1)
    by_cores = int(machine.cores / grant.cores) if grant.cores else most
    by_gpus = machine.gpus // grant.gpus if grant.gpus and grant.ranks else most
    return min(by_cores, by_gpus, most)


def spread(grant: Grant, nodes: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """The nodes that a wide job gets, and the ranks on each; () if they are too few. nodes: with room for so many."""
    if grant.nodes:
        if len(nodes) < grant.nodes:
            return ()
        nodes = nodes[: grant.nodes]
        if grant.ranks:
            nodes = [(name, min(room, -(-grant.ranks // grant.nodes))) for name, room in nodes]
        else:
            return tuple(nodes)
    hosts, left = [], grant.ranks
    for name, room in nodes:
        if left > 0:
            hosts.append((name, min(left, room)))
            left -= room
        elif grant.nodes:
            hosts.append((name, 0))
    return tuple(hosts) if left <= 0 else ()


def _take(node: Node, grant: Grant) -> bool:
    return bool(node.workers) and (node.capacity is None or node.capacity.take(grant))


def _with_devices(task: Task, nodes: tuple[Node, ...], count: int) -> Task:
    """The task, which knows what GPUs it has, so many on each of its nodes, where they have the same names."""
    found = [node.capacity.take_devices(count) for node in nodes if node.capacity is not None]
    return replace(task, devices=found[0]) if count and found else task


def _give_back(place: _Sent, node: Node) -> None:
    if place.task.devices:
        for each in place.nodes or (node,):
            if each.capacity is not None:
                each.capacity.give_back_devices(place.task.devices)
    if len(place.nodes) > 1 or place.task.grant.nodes:
        for whole in place.nodes:
            assert whole.capacity is not None
            whole.capacity.give_back_all()
    elif node.capacity is not None:
        grant = place.task.grant
        node.capacity.give_back(of_ranks(grant, grant.ranks) if grant.ranks else grant)
