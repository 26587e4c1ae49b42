"""What a batch scheduler's module offers: pure functions, commands out and text in."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from cwlbalsam.jobs.batch import BatchJob, BatchState, NodeShape, Queue, Reservation

PLAIN = ("env", "LC_ALL=C", "TZ=UTC0")
"""Commands that format times themselves are asked in English and UTC: a site may be in another zone than we are."""


class BatchRequest(Struct, frozen=True, kw_only=True):
    """A batch job to submit; `body` is shell text that runs on its first node.

    name: unique, so that a submission whose answer got lost is found again. directory, output: absolute; output is
    for what it prints, and is appended to. cores, memory_megabytes, gpus: of each node, 0: as they come. exclusive:
    whole nodes. setup: shell lines before the body. extra: directives of the scheduler, with its prefix or without.
    """

    name: str
    body: str
    directory: str
    output: str
    nodes: int = 1
    wall_seconds: int = 3600
    cores: int = 0
    memory_megabytes: int = 0
    gpus: int = 0
    exclusive: bool = True
    queue: str = ""
    account: str = ""
    constraint: str = ""
    extra: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()


class Node(Struct, frozen=True, kw_only=True):
    """One node as its scheduler tells it. usable: not down, drained or reserved; free: nothing runs on it."""

    name: str
    cores: int = 1
    memory_megabytes: int = 0
    gpus: int = 0
    queues: tuple[str, ...] = ()
    usable: bool = True
    free: bool = False


Read = Callable[[str], str]
"""The text of a file; raises OSError."""


class Scheduler(Protocol):
    """One module a scheduler.

    Every `parse_*` takes any text whatever: what it does not know is UNKNOWN, 0 or left out. An empty command means
    that this scheduler cannot be asked that. `now` (seconds since the epoch) is when the command ran.
    """

    PREFIX: str
    """Of a directive's line in a batch script."""
    PROGRAM: str
    """Whose presence tells that this scheduler may be there."""
    ID_VARIABLE: str
    """Holds the batch id inside a batch job."""
    BUSY: re.Pattern[str]
    """Found in the words of a command that may succeed when asked again."""
    GONE: re.Pattern[str]
    """Found in the words of a command that was asked for a batch job which the scheduler has forgotten."""

    def script(self, request: BatchRequest) -> str:
        """The text of the batch script. Raises UserError for a value that would not stay within its directive."""

    def submit_command(self, path: str) -> list[str]: ...

    def parse_submit(self, output: str) -> str:
        """The batch id; "" if there is none in it."""

    def status_command(self, batch_ids: Sequence[str]) -> list[str]: ...

    def ended_command(self, batch_ids: Sequence[str]) -> list[str]:
        """For those of which `status_command` no longer knows; the same parser reads it."""

    def parse_status(self, output: str) -> dict[str, BatchState]: ...

    def cancel_command(self, batch_ids: Sequence[str]) -> list[str]: ...

    def queues_command(self) -> list[str]: ...

    def parse_queues(self, output: str) -> tuple[Queue, ...]: ...

    def nodes_command(self) -> list[str]: ...

    def parse_nodes(self, output: str) -> tuple[Node, ...]: ...

    def jobs_command(self) -> list[str]:
        """Everybody's batch jobs that run or wait."""

    def parse_jobs(self, output: str, now: float) -> tuple[BatchJob, ...]: ...

    def reservations_command(self) -> list[str]: ...

    def parse_reservations(self, output: str, now: float) -> tuple[Reservation, ...]: ...

    def start_command(self, path: str) -> list[str]:
        """Ask when the batch job of this script would start, without submitting it."""

    def parse_start(self, output: str) -> float | None:
        """Seconds since the epoch; None if it does not say."""

    def hosts(self, environment: Mapping[str, str], read: Read) -> list[str]:
        """Inside a batch job: the names of its nodes, each once. Raises OSError if their list cannot be read."""


def shapes_of(nodes: Iterable[Node]) -> tuple[NodeShape, ...]:
    """The usable nodes, counted by what they are like; the most frequent first."""
    counts: dict[NodeShape, int] = {}
    for node in nodes:
        if node.usable:
            shape = NodeShape(
                count=0, cores=node.cores, memory_megabytes=node.memory_megabytes, gpus=node.gpus, queues=node.queues
            )
            counts[shape] = counts.get(shape, 0) + 1
    shapes = (
        NodeShape(
            count=count, cores=like.cores, memory_megabytes=like.memory_megabytes, gpus=like.gpus, queues=like.queues
        )
        for like, count in counts.items()
    )
    return tuple(sorted(shapes, key=lambda shape: -shape.count))
