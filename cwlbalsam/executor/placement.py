"""Nodes, and where on them a task finds room. No I/O."""

import math
from collections.abc import Hashable, Iterable, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from cwlbalsam.cwl.tasks import ANY_PILOT, Grant, PilotKind, Task
from cwlbalsam.executor.capacity import Capacity

AHEAD_SECONDS = 0.1
"""Work sent ahead for each grant, at most, if a message takes no time; longer tasks are not sent ahead."""


class Node(Struct, eq=False):
    """Where workers are. ends: when it is no longer ours, by the monotonic clock. closed: it gets nothing new.

    pilot: what it belongs to. group: nodes that one task may span. ahead_seconds: of work that is sent ahead, more
    where messages take long. kept_for: the only job that may start there, until it does.
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
    kept_for: int | None = None

    def is_open_to(self, task: Task, now: float) -> bool:
        """Whether it may start there at all, as far as time and promises go."""
        return (
            not self.closed
            and self.pilot == task.grant.pilot
            and self.kept_for in (None, task.job)
            and (self.ends == math.inf or now + task.wall_seconds <= self.ends)
        )

    def take(self, grant: Grant) -> bool:
        return bool(self.workers) and (self.capacity is None or self.capacity.take(grant))


class Placement(Struct, frozen=True, eq=False):
    """Room for a task, taken in the books. nodes: one, or all that it spans. task: it knows its hosts then."""

    task: Task
    nodes: tuple[Node, ...]

    def give_back(self) -> None:
        grant = self.task.grant
        for node in self.nodes:
            if (capacity := node.capacity) is None:
                continue
            if self.task.devices:
                capacity.give_back_devices(self.task.devices)
            if len(self.nodes) > 1 or grant.nodes:
                capacity.give_back_all()
            else:
                capacity.give_back(of_ranks(grant, grant.ranks) if grant.ranks else grant)


def find_room(task: Task, nodes: Iterable[Node], now: float) -> Placement | None:
    """An MPI job goes on one node beside others if that has room, else on whole idle nodes of one group."""
    if task.grant.is_wide:
        return _wide_room(task, nodes, now)
    for node in nodes:
        if node.is_open_to(task, now) and node.take(task.grant):
            return Placement(_with_devices(task, (node,), task.grant.gpus), (node,))
    return None


def _wide_room(task: Task, nodes: Iterable[Node], now: float) -> Placement | None:
    grant = task.grant
    groups: dict[Hashable, list[Node]] = {}
    for node in nodes:
        capacity = node.capacity
        if capacity is None or not node.is_open_to(task, now):
            continue
        fits = ranks_on(capacity, grant)
        if not grant.nodes and fits >= grant.ranks and node.take(of_ranks(grant, grant.ranks)):
            task = _with_devices(task, (node,), grant.gpus * grant.ranks)
            return Placement(replace(task, hosts=((node.name, grant.ranks),)), (node,))
        if fits and node.workers and capacity.is_idle:
            groups.setdefault(node.group, []).append(node)
    for idle in groups.values():
        hosts = _spread_over(grant, idle)
        if hosts and (len(hosts) > 1 or grant.nodes):
            chosen = tuple(idle[: len(hosts)])
            for node in chosen:
                assert node.capacity is not None
                node.capacity.take_all()
            gpus = chosen[0].capacity.machine.gpus if chosen[0].capacity is not None else 0
            return Placement(_with_devices(replace(task, hosts=hosts), chosen, gpus), chosen)
    return None


def _with_devices(task: Task, nodes: Sequence[Node], count: int) -> Task:
    """The task, which knows what GPUs it has, so many on each of its nodes, where they have the same names."""
    found = [node.capacity.take_devices(count) for node in nodes if node.capacity is not None] if count else []
    return replace(task, devices=found[0]) if found else task


def _spread_over(grant: Grant, nodes: Iterable[Node]) -> tuple[tuple[str, int], ...]:
    return spread(grant, [(node.name, ranks_on_node(node, grant)) for node in nodes])


def spread(grant: Grant, nodes: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """The nodes that a wide job gets, and the ranks on each; () if they are too few. nodes: with room for so many."""
    if grant.nodes:
        if len(nodes) < grant.nodes:
            return ()
        nodes = nodes[: grant.nodes]
        if not grant.ranks:
            return tuple(nodes)
        nodes = [(name, min(room, -(-grant.ranks // grant.nodes))) for name, room in nodes]
    hosts, left = [], grant.ranks
    for name, room in nodes:
        if left > 0:
            hosts.append((name, min(left, room)))
            left -= room
        elif grant.nodes:
            hosts.append((name, 0))
    return tuple(hosts) if left <= 0 else ()


def keep_room(task: Task, nodes: Sequence[Node], now: float) -> None:
    """Let nodes run empty for a task whose turn it is: those that have least to do."""
    able: dict[Hashable, list[Node]] = {}
    for node in nodes:
        if node.capacity is not None and node.is_open_to(task, now):
            able.setdefault(node.group, []).append(node)
    options = []
    for group in able.values():
        group.sort(key=lambda node: node.tasks)
        if task.grant.is_wide:
            roomy = [node for node in group if ranks_on_node(node, task.grant)]
            chosen = roomy[: len(_spread_over(task.grant, roomy))]
        else:
            chosen = [node for node in group if node.capacity is not None and node.capacity.fits(task.grant)][:1]
        if chosen:
            options.append(chosen)
    if options:
        for node in min(options, key=lambda chosen: sum(node.tasks for node in chosen)):
            node.kept_for = task.job


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


def ranks_on_node(node: Node, grant: Grant) -> int:
    return ranks_on(node.capacity, grant) if node.capacity is not None else 0
