"""What a site allows: how many pilots of what size, and which tasks could ever run there.

The latter is told at submission, not after a night in the queue.
"""

from msgspec import Struct

from cwlbalsam.cwl.tasks import Grant, Task
from cwlbalsam.errors import JobError, did_you_mean
from cwlbalsam.executor.capacity import Capacity, Machine
from cwlbalsam.executor.placement import of_ranks, ranks_on
from cwlbalsam.jobs.batch import MachineState, NodeShape, Queue
from cwlbalsam.sites.site import NodeSettings, Site

ENOUGH = float(1 << 40)
USUAL_NODES = 16
USUAL_WALL_SECONDS = 3600.0
USUAL_IDLE_SECONDS = 60.0


class PilotLimits(Struct, frozen=True, kw_only=True):
    """pilots, nodes: at once, of one user's agent; least: pilots, even when nothing waits. wall_seconds: of each."""

    least: int = 0
    pilots: int = 4
    nodes: int = 4
    nodes_per_pilot: int = 4
    wall_seconds: float = 3600.0
    idle_seconds: float = 60.0


class SiteLimits(Struct, frozen=True):
    """shapes: of the nodes that pilots may get; empty: nobody knows."""

    site: str
    shapes: tuple[Machine, ...]
    pilots: PilotLimits

    def check(self, task: Task) -> None:
        """Raises JobError if no pilot could ever run it."""
        if task.mode != "run":
            return
        most = self.pilots.nodes_per_pilot
        if task.grant.nodes > most:
            raise JobError(
                f"{task.grant.nodes} nodes are asked for, and a pilot at site '{self.site}' has {most} at most",
                hint="raise pilots.nodes of the site, or choose a queue with larger limits",
            )
        if task.wall_seconds > self.pilots.wall_seconds:
            raise JobError(
                f"the job may take {task.wall_seconds:g} s, and a pilot at site '{self.site}' lasts "
                f"{self.pilots.wall_seconds:g} s",
                hint="raise pilots.wall of the site, or lower the tool's ToolTimeLimit",
            )
        if not self.shapes or any(self._fits(Capacity(shape), task) for shape in self.shapes):
            return
        largest = Capacity(max(self.shapes, key=lambda shape: (shape.cores, shape.ram)))
        if not task.grant.ranks:
            largest.check(task.grant)
        largest.check(of_ranks(task.grant, 1))
        nodes = task.grant.nodes or most
        raise JobError(
            f"the job asks for {task.grant.ranks} MPI ranks, and a pilot at site '{self.site}' has room for "
            f"{ranks_on(largest, task.grant) * nodes} on {nodes} node{'s' * (nodes > 1)}",
            hint="raise pilots.nodes of the site, or choose a queue with larger limits",
        )

    def _fits(self, node: Capacity, task: Task) -> bool:
        if not task.grant.ranks:
            return node.fits(task.grant)
        return ranks_on(node, task.grant) * (task.grant.nodes or self.pilots.nodes_per_pilot) >= task.grant.ranks

    def share_of_node(self, grant: Grant) -> float:
        """Of the largest node's cores, memory or GPUs, what a task takes most of; more than 1 if it takes several."""
        ranks = max(grant.ranks, 1)
        cores, gpus = (max((getattr(shape, name) for shape in self.shapes), default=0.0) for name in ("cores", "gpus"))
        ram = max((shape.ram for shape in self.shapes), default=ENOUGH)
        return max(grant.cores * ranks / (cores or 1.0), grant.ram / ram, grant.gpus * ranks / gpus if gpus else 0.0)

    def nodes_of(self, grant: Grant) -> int:
        """How many nodes an MPI job needs."""
        if grant.nodes:
            return grant.nodes
        cores = max((shape.cores for shape in self.shapes), default=1.0)
        return -(-grant.ranks // max(int(cores / max(grant.cores, 1e-9)), 1))


def limits_of(site: Site, state: MachineState | None, name: str = "") -> SiteLimits:
    """Of a queue; "": the site's. Raises JobError if the machine has queues, and none of that name.

    site: with what could be guessed. state: of its batch machine, None if there is none or it does not answer.
    """
    queues = state.queues if state is not None else ()
    names = sorted(queue.name for queue in queues)
    if name and names and name not in names:  # of the site's own queue its scheduler has the word
        hint = did_you_mean(name, names, f"there are {', '.join(names)}")
        raise JobError(f"there is no queue '{name}' at site '{site.name}'", hint=hint)
    queue = _queue(queues, name or site.scheduler.queue)
    shapes = [shape for shape in (state.shapes if state else ()) if _in_queue(shape, queue)]
    if not shapes and site.nodes.cores:
        shapes = [NodeShape(count=1, cores=site.nodes.cores, memory_megabytes=site.nodes.memory_megabytes)]
    machines = dict.fromkeys(_machine(shape, site.nodes) for shape in shapes)
    return SiteLimits(site.name, tuple(machines), _pilots(site, queue, state))


def _pilots(site: Site, queue: Queue | None, state: MachineState | None) -> PilotLimits:
    asked = site.pilots
    there = 1 if site.scheduler.kind == "local" else state.nodes if state is not None and state.nodes else USUAL_NODES
    most = asked.nodes or asked.total_nodes or min(there, USUAL_NODES)
    wall = asked.wall_seconds or USUAL_WALL_SECONDS
    if queue is not None:
        most = min(most, queue.max_nodes or most)
        wall = min(wall, queue.max_wall_seconds or wall)
    return PilotLimits(
        least=asked.min,
        pilots=asked.max,
        nodes=asked.total_nodes or most * asked.max,
        nodes_per_pilot=most,
        wall_seconds=wall,
        idle_seconds=asked.idle_seconds or USUAL_IDLE_SECONDS,
    )


def _queue(queues: tuple[Queue, ...], name: str) -> Queue | None:
    return next((queue for queue in queues if queue.name == name or (not name and queue.default)), None)


def _in_queue(shape: NodeShape, queue: Queue | None) -> bool:
    return queue is None or not shape.queues or queue.name in shape.queues


def _machine(shape: NodeShape, described: NodeSettings) -> Machine:
    return Machine(
        cores=described.cores or shape.cores,
        ram=described.memory_megabytes or shape.memory_megabytes or ENOUGH,
        tmpdir=ENOUGH,
        gpus=described.gpus or shape.gpus,
    )
