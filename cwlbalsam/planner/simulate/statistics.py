"""What a simulated machine did, in numbers."""

from collections.abc import Mapping, Sequence
from statistics import fmean, median

from msgspec import Struct

from cwlbalsam.planner.queues.requests import Request

BOUND_SECONDS = 10.0
"""A shorter job counts as one of this length: else the slowdown of the shortest ones would be all that counts."""


class Statistics(Struct, frozen=True, kw_only=True):
    """Waits and slowdowns are of batch jobs. utilisation: share of nodes in use, from first arrival to last end."""

    jobs: int
    mean_wait_seconds: float
    median_wait_seconds: float
    mean_bounded_slowdown: float
    utilisation: float
    node_hours: float
    begin: float
    end: float


def bounded_slowdown(wait_seconds: float, seconds: float) -> float:
    """Source: Feitelson and others, "Theory and practice in parallel job scheduling" (1997)."""
    return max(1.0, (wait_seconds + seconds) / max(seconds, BOUND_SECONDS))


def measure(requests: Sequence[Request], starts: Mapping[str, float], nodes: int) -> Statistics:
    """requests: at least one, all of them in `starts`."""
    waits = [starts[request.id] - request.submitted for request in requests]
    begin = min(request.submitted for request in requests)
    end = max(starts[request.id] + request.seconds for request in requests)
    used = sum(request.nodes * request.seconds for request in requests)
    return Statistics(
        jobs=len(requests),
        mean_wait_seconds=fmean(waits),
        median_wait_seconds=median(waits),
        mean_bounded_slowdown=fmean(
            bounded_slowdown(wait, request.seconds) for wait, request in zip(waits, requests, strict=True)
        ),
        utilisation=used / (nodes * (end - begin)),
        node_hours=used / 3600,
        begin=begin,
        end=end,
    )


def utilisation(requests: Sequence[Request], starts: Mapping[str, float], nodes: int, parts: int) -> list[float]:
    """Share of nodes in use in each of so many equal parts of the time from the first arrival to the last end."""
    begin = min(request.submitted for request in requests)
    width = (max(starts[request.id] + request.seconds for request in requests) - begin) / parts
    used = [0.0] * parts
    for request in requests:
        start = starts[request.id] - begin
        end = start + request.seconds
        for part in range(int(start / width), min(int(end / width), parts - 1) + 1):
            used[part] += request.nodes * max(0.0, min(end, (part + 1) * width) - max(start, part * width))
    return [seconds / (nodes * width) for seconds in used]
