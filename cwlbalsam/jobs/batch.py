"""What a batch machine is like at one moment: value types between schedulers, which fill them, and the planner."""

from enum import Enum

from msgspec import Struct


class BatchState(Enum):
    """Of a batch job. UNKNOWN: the scheduler said what we do not know, or does not know the batch job (any more)."""

    QUEUED = "queued"
    HELD = "held"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    UNKNOWN = "unknown"


class BatchJob(Struct, frozen=True, kw_only=True):
    """One batch job of anybody. Times are seconds since the epoch, 0.0 where they are not known.

    ends: of a running one, when it ends at the latest. nodes: how many it has, or asks for; 0 where the scheduler tells
    only its cores (0: not known). priority: higher is first.
    """

    id: str
    state: BatchState
    nodes: int = 1
    cores: int = 0
    wall_seconds: float = 0.0
    queue: str = ""
    user: str = ""
    submitted: float = 0.0
    started: float = 0.0
    ends: float = 0.0
    priority: float = 0.0
    name: str = ""


class Queue(Struct, frozen=True, kw_only=True):
    """A queue or partition, and what it allows. 0: no limit is known."""

    name: str
    nodes: int = 0  # that belong to it
    min_nodes: int = 1
    max_nodes: int = 0
    max_wall_seconds: float = 0.0
    max_queued: int = 0  # batch jobs of one user
    open: bool = True
    default: bool = False


class Reservation(Struct, frozen=True, kw_only=True):
    """Nodes that are kept for others for a while."""

    name: str
    nodes: int
    starts: float
    ends: float


class NodeShape(Struct, frozen=True, kw_only=True):
    """Nodes that are alike. memory_megabytes: MiB."""

    count: int
    cores: int = 1
    memory_megabytes: int = 0
    gpus: int = 0
    queues: tuple[str, ...] = ()


class MachineState(Struct, frozen=True, kw_only=True):
    """A batch machine as its scheduler tells it. nodes: that can run something at all; free: of them, idle now."""

    time: float
    nodes: int
    free: int
    shapes: tuple[NodeShape, ...] = ()
    queues: tuple[Queue, ...] = ()
    jobs: tuple[BatchJob, ...] = ()  # running and queued ones
    reservations: tuple[Reservation, ...] = ()


class Window(Struct, frozen=True, kw_only=True):
    """A hole: so many nodes of a queue are free from now on for so long. seconds: infinite if nothing is in the way."""

    queue: str
    nodes: int
    seconds: float
