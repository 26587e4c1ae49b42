"""What is known of a queue at the moment when a batch job is handed in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from cwlbalsam.jobs.batch import BatchState, MachineState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Arrival(Struct, frozen=True, kw_only=True):
    """A batch job and the state of the machine that it meets. Times in seconds, work in node-seconds as asked for.

    smaller_work: of the queued jobs that ask for no more node-seconds than this one. estimates: seconds until it would
    start by each way to tell, such as a replay of the scheduler's rules and the scheduler's own answer.
    """

    time: float
    nodes: int
    wall_seconds: float
    capacity: int  # the machine's nodes
    free: int
    queued_work: float = 0.0
    smaller_work: float = 0.0
    mean_age: float = 0.0  # of the queued jobs: how long they have waited by now
    estimates: Mapping[str, float] = {}


def arrival_at(
    machine: MachineState, nodes: int, wall_seconds: float, estimates: Mapping[str, float], queue: str = ""
) -> Arrival:
    """What a batch job meets that is handed in now. queue: only its jobs are counted as being ahead, if named."""
    ahead = [job for job in machine.jobs if job.state is BatchState.QUEUED and (not queue or job.queue in {"", queue})]
    work = [job.nodes * job.wall_seconds for job in ahead]
    ages = [machine.time - job.submitted for job in ahead if job.submitted]
    return Arrival(
        time=machine.time,
        nodes=nodes,
        wall_seconds=wall_seconds,
        capacity=machine.nodes,
        free=machine.free,
        queued_work=sum(work),
        smaller_work=sum(one for one in work if one <= nodes * wall_seconds),
        mean_age=max(0.0, sum(ages) / len(ages)) if ages else 0.0,
        estimates=estimates,
    )


def coordinates(arrival: Arrival, names: tuple[str, ...]) -> Floats:
    """Where the arrival lies among others: the nearer, the more alike the waits. names: of the estimates.

    All on scales of logarithms, as waits differ by factors. What a job asks for and the work ahead of it weigh 1 to
    1.5, what says the same again in other words (estimates, ages) weighs 0.7: round numbers, not fitted to any log.
    """
    hour = 3600.0 * max(arrival.capacity, 1)
    own = (
        1.5 * np.log(max(arrival.nodes, 1)),
        np.log(max(arrival.wall_seconds, 1.0)),
        1.5 * np.log1p(max(arrival.queued_work, 0.0) / hour),
        1.5 * np.log1p(max(arrival.smaller_work, 0.0) / hour),
        0.7 * np.log1p(max(arrival.mean_age, 0.0) / 600.0),
        2.0 * min(max((arrival.free - arrival.nodes) / max(arrival.capacity, 1), -0.5), 1.0),
    )
    told = (0.7 * np.log1p(max(arrival.estimates.get(name, 0.0), 0.0) / 60.0) for name in names)
    return np.array([*own, *told])
