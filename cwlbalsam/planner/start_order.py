"""In which order tasks that are ready are given to free nodes."""

from collections.abc import Callable

from cwlbalsam.cwl.tasks import Task

Order = Callable[[Task], tuple[float, ...]]
"""The lower, the earlier; of equals the older."""


def oldest_first(task: Task) -> tuple[float, ...]:
    """Of the highest priority."""
    return (-task.priority,)


def widest_first(task: Task) -> tuple[float, ...]:
    """Of the highest priority: MPI jobs by their cores, then the longest.

    Small ones fill what is left, and the end is not one wide job alone.
    Source: longest processing time first (Graham 1969), over width.
    """
    width = max(task.grant.ranks, task.grant.nodes)
    return (-task.priority, -float(width * task.grant.cores), -task.wall_seconds)


ORDERS: dict[str, Order] = {"oldest": oldest_first, "widest": widest_first}
