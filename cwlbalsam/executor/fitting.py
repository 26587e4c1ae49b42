"""What a site could ever run: told at submission, not after a night in the queue."""

from collections.abc import Mapping

from msgspec import Struct

from cwlbalsam.cwl.tasks import Task
from cwlbalsam.errors import JobError, did_you_mean
from cwlbalsam.executor.capacity import Capacity, Machine
from cwlbalsam.executor.dispatch import of_ranks, ranks_on
from cwlbalsam.jobs.batch import MachineState, NodeShape, Queue
from cwlbalsam.planner.demand import PilotLimits

ENOUGH = float(1 << 40)


class Fitting(Struct, frozen=True):
    """shapes: of the nodes that pilots may get; empty: nobody knows. nodes: of the largest pilot. wall_seconds: that a
    pilot's jobs have."""

    site: str
    shapes: tuple[Machine, ...]
    nodes: int
    wall_seconds: float

    def check(self, task: Task) -> None:
        """Raises JobError if no pilot could ever run it."""
        if task.mode != "run":
            return
        if task.grant.nodes > self.nodes:
            raise JobError(
                f"{task.grant.nodes} nodes are asked for, and a pilot at site '{self.site}' has {self.nodes} at most",
                hint="raise pilots.nodes of the site, or choose a queue with larger limits",
            )
        if task.wall_seconds > self.wall_seconds:
            raise JobError(
                f"the job may take {task.wall_seconds:g} s, and a pilot at site '{self.site}' lasts "
                f"{self.wall_seconds:g} s",
                hint="raise pilots.wall_seconds of the site, or lower the tool's ToolTimeLimit",
            )
        if not self.shapes or any(self._fits(Capacity(shape), task) for shape in self.shapes):
            return
        largest = Capacity(max(self.shapes, key=lambda shape: (shape.cores, shape.ram)))
        if task.grant.ranks:
            largest.check(of_ranks(task.grant, 1))
            nodes = task.grant.nodes or self.nodes
            there = ranks_on(largest, task.grant) * nodes
            raise JobError(
                f"the job asks for {task.grant.ranks} MPI ranks, and a pilot at site '{self.site}' has room for {there}"
                f" on {nodes} node{'s' * (nodes > 1)}",
                hint="raise pilots.nodes of the site, or choose a queue with larger limits",
            )
        largest.check(task.grant)

    def _fits(self, node: Capacity, task: Task) -> bool:
        if not task.grant.ranks:
            return node.fits(task.grant)
        return ranks_on(node, task.grant) * (task.grant.nodes or self.nodes) >= task.grant.ranks

    @property
    def cores_per_node(self) -> float:
        return max((shape.cores for shape in self.shapes), default=1.0)


def check_queue(site: str, state: MachineState | None, queue: str) -> None:
    """Raises JobError if the machine has queues, and none of that name."""
    names = sorted(each.name for each in state.queues) if state is not None else []
    if names and queue not in names:
        hint = did_you_mean(queue, names, f"there are {', '.join(names)}")
        raise JobError(f"there is no queue '{queue}' at site '{site}'", hint=hint)


def fitting_of(
    site: str, state: MachineState | None, queue: str, described: Mapping[str, float], limits: PilotLimits
) -> Fitting:
    """state: of the batch machine, None if it could not be asked. described: a node, by the user."""
    queues = state.queues if state is not None else ()
    chosen = _queue(queues, queue)
    shapes = [shape for shape in (state.shapes if state else ()) if _in_queue(shape, chosen)]
    machines = [_machine(shape, described) for shape in shapes]
    if not machines and "cores" in described:
        machines = [_machine(NodeShape(count=1, cores=int(described["cores"])), described)]
    most = min(limits.nodes_per_pilot or limits.nodes, limits.nodes)
    wall = limits.wall_seconds
    if chosen is not None:
        most = min(most, chosen.max_nodes or most)
        wall = min(wall, chosen.max_wall_seconds or wall)
    return Fitting(site, tuple(dict.fromkeys(machines)), most, wall)


def _queue(queues: tuple[Queue, ...], name: str) -> Queue | None:
    return next((queue for queue in queues if queue.name == name or (not name and queue.default)), None)


def _in_queue(shape: NodeShape, queue: Queue | None) -> bool:
    return queue is None or not shape.queues or queue.name in shape.queues


def _machine(shape: NodeShape, described: Mapping[str, float]) -> Machine:
    return Machine(
        cores=described.get("cores", shape.cores),
        ram=described.get("ram", shape.memory_megabytes or ENOUGH),
        tmpdir=ENOUGH,
        gpus=int(described.get("gpus", shape.gpus)),
    )
