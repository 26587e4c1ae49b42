"""A plan: where and when each job runs, and what is moved for it."""

from typing import Literal

from msgspec import Struct

Wait = Literal["nothing", "time", "window", "nodes", "job", "transfer"]
"""What a job's start waits for: nothing; its own not_before; its window; nodes that another job has until then; the end
of a job; a transfer."""


class Alternative(Struct, frozen=True, gc=False):
    """The runner-up: the other place or size that would have ended the job first. later: seconds (may be negative)."""

    site: int
    nodes: int
    cores: int
    later: float


class Placement(Struct, frozen=True):
    """Where and when a job runs. option: index in its work's options; window: in the site's windows.

    nodes: numbers of nodes of the window, of each of which it has so many cores. waits_for: the job of the wait `nodes`
    or `job`, the data of `transfer`, else -1.
    """

    site: int
    window: int
    option: int
    nodes: tuple[int, ...]
    cores: int
    start: float
    end: float
    node_seconds: float
    wait: Wait = "nothing"
    waits_for: int = -1
    runner_up: Alternative | None = None


class Transfer(Struct, frozen=True, gc=False):
    """One movement of one datum."""

    data: int
    source: int
    target: int
    start: float
    end: float


class Plan(Struct, frozen=True, kw_only=True):
    """placements: one a job, in the order of the Problem's jobs. order: the jobs as they start.

    bound: no plan can have a shorter makespan (with the same durations).
    """

    placements: tuple[Placement, ...]
    transfers: tuple[Transfer, ...]
    order: tuple[int, ...]
    makespan: float
    node_seconds: float
    bytes_moved: float
    bound: float = 0.0
    evaluations: int = 0


class Interval(Struct, frozen=True):
    """Of the makespan, from durations drawn at random. probability: that it lies between low and high."""

    low: float
    median: float
    high: float
    probability: float = 0.9
