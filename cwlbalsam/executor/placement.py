"""Nodes, and where on them a task finds room. No I/O."""

import math
from collections.abc import Hashable, Iterable, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from cwlbalsam.cwl.tasks import Grant, Task
from cwlbalsam.executor.capacity import Capacity

AHEAD_SECONDS = 0.1
"""Work sent ahead for each grant, at most, if a message takes no time; longer tasks are not sent ahead."""


class Node(Struct, eq=False):
    """Where workers are. ends: when it is no longer ours, by the monotonic clock. closed: it gets nothing new.

    group: nodes that one task may span. ahead_seconds: of work that is sent ahead, more where messages take long.
    kept_for: the only job that may start there, until it does.
    """

    capacity: Capacity | None
    name: str = ""
    group: Hashable = 0
    ends: float = math.inf
    ahead_seconds: float = AHEAD_SECONDS
    closed: bool = False
    workers: list[int] = msgspec.field(default_factory=list)
    tasks: int = 0  # sent there
    kept_for: int | None = None

    def is_open_to(self, task: Task, now: float) -> bool:
        """Whether it may start there at all, as far as time and promises go."""
        return (
            not self.closed
            and self.kept_for in (None, task.job)
            and (self.ends == math.inf or now + task.wall_seconds <= self.ends)
        )

    def take(self, grant: Grant) -> bool:
        return bool(self.workers) and (self.capacity is None or self.capacity.take(grant))


class Place(Struct, frozen=True, eq=False):
    """Room for a task, taken in the books. nodes: one, or all that it spans. task: it knows its hosts then."""

    task: Task
    nodes: tuple[Node, ...]

    def give_back(self) -> None:
        if len(self.nodes) > 1:
            for node in self.nodes:
                assert node.capacity is not None
                node.capacity.give_back_all()
        elif (capacity := self.nodes[0].capacity) is not None:
            grant = self.task.grant
            capacity.give_back(of_ranks(grant, grant.ranks) if grant.ranks else grant)


def find_room(task: Task, nodes: Iterable[Node], now: float) -> Place | None:
    """An MPI job goes on one node beside others if that has room, else on whole idle nodes of one group."""
    if task.grant.ranks:
        return _wide_room(task, nodes, now)
    for node in nodes:
        if node.is_open_to(task, now) and node.take(task.grant):
            return Place(task, (node,))
    return None


def _wide_room(task: Task, nodes: Iterable[Node], now: float) -> Place | None:
    ranks = task.grant.ranks
    groups: dict[Hashable, list[Node]] = {}
    for node in nodes:
        capacity = node.capacity
        if capacity is None or not node.is_open_to(task, now):
            continue
        fits = ranks_on(capacity, task.grant)
        if fits >= ranks and node.take(of_ranks(task.grant, ranks)):
            return Place(replace(task, hosts=((node.name, ranks),)), (node,))
        if fits and capacity.is_idle:
            groups.setdefault(node.group, []).append(node)
    for idle in groups.values():
        chosen = _enough(task, idle)
        if len(chosen) > 1:
            for node, _ in chosen:
                assert node.capacity is not None
                node.capacity.take_all()
            hosts = tuple((node.name, count) for node, count in chosen)
            return Place(replace(task, hosts=hosts), tuple(node for node, _ in chosen))
    return None


def _enough(task: Task, nodes: Iterable[Node]) -> list[tuple[Node, int]]:
    """The first nodes that hold all of its ranks, and how many each; empty if there are too few."""
    chosen, left = [], task.grant.ranks
    for node in nodes:
        if left > 0 and node.capacity is not None:
            count = min(left, ranks_on(node.capacity, task.grant))
            chosen.append((node, count))
            left -= count
    return chosen if left <= 0 else []


def keep_room(task: Task, nodes: Sequence[Node], now: float) -> None:
    """Let nodes run empty for a task whose turn it is: those that have least to do."""
    able: dict[Hashable, list[Node]] = {}
    for node in nodes:
        if node.capacity is not None and node.is_open_to(task, now):
            able.setdefault(node.group, []).append(node)
    options = []
    for group in able.values():
        group.sort(key=lambda node: node.tasks)
        if task.grant.ranks:
            chosen = [node for node, _ in _enough(task, (node for node in group if ranks_on_node(node, task.grant)))]
        else:
            chosen = [node for node in group if node.capacity is not None and node.capacity.fits(task.grant)][:1]
        if chosen:
            options.append(chosen)
    if options:
        for node in min(options, key=lambda chosen: sum(node.tasks for node in chosen)):
            node.kept_for = task.job


def of_ranks(grant: Grant, ranks: int) -> Grant:
    """What so many ranks of an MPI job take on one node: cores and GPUs count by rank."""
    return replace(grant, cores=grant.cores * ranks, gpus=grant.gpus * ranks, ranks=0)


def ranks_on(capacity: Capacity, grant: Grant) -> int:
    """How many ranks of an MPI job an empty node could take."""
    machine = capacity.machine
    if not capacity.fits(of_ranks(grant, 1)):
        return 0
    by_cores = int(machine.cores / grant.cores) if grant.cores else grant.ranks
    by_gpus = machine.gpus // grant.gpus if grant.gpus else grant.ranks
    return min(by_cores, by_gpus, grant.ranks)


def ranks_on_node(node: Node, grant: Grant) -> int:
    return ranks_on(node.capacity, grant) if node.capacity is not None else 0
