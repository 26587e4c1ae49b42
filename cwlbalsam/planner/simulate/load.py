"""A made-up load, for where no log is at hand."""

import math
import random

from cwlbalsam.planner.queues.requests import Request

DAY, WEEK = 86_400.0, 7 * 86_400.0
BUSIEST_HOUR = 14


def make_load(nodes: int, days: float, share: float, seed: int = 0) -> list[Request]:
    """Batch jobs that together ask for about `share` of a machine.

    Sizes: log-uniform, three of four a power of two; run times: log-normal, median 20 minutes, most 24 hours; asked
    for: rounded up to what people ask for, mostly far too much; arrivals: more by day than by night and at weekends.
    Shapes after Lublin and Feitelson, "The workload on parallel supercomputers" (2003), in simpler terms.
    """
    dice = random.Random(seed)  # noqa: S311 - no secret
    wanted = share * nodes * days * DAY
    made: list[tuple[int, float, float]] = []
    while wanted > 0:
        size = _size(dice, nodes)
        seconds = max(10.0, min(dice.lognormvariate(math.log(1200), 1.8), DAY))
        made.append((size, _asked(dice, seconds), float(round(seconds))))
        wanted -= size * seconds
    arrivals = sorted(_arrival(dice, days) for _ in made)
    return [
        Request(f"made {number}", size, wall, arrived, seconds)
        for number, (arrived, (size, wall, seconds)) in enumerate(zip(arrivals, made, strict=True))
    ]


def _size(dice: random.Random, nodes: int) -> int:
    if dice.random() < 0.25:
        return 1
    exponent = dice.uniform(0, math.log2(nodes / 2))
    return max(1, min(nodes, 2 ** round(exponent) if dice.random() < 0.75 else round(2**exponent)))


def _asked(dice: random.Random, seconds: float) -> float:
    """A quarter uses all of its time; others ask for up to ten times as much."""
    wanted = seconds if dice.random() < 0.25 else seconds * 10 ** dice.random()
    steps = (300, 900, 1800, 3600, 7200, 14_400, 28_800, 43_200)
    return float(next((step for step in steps if step >= wanted), DAY))


def _arrival(dice: random.Random, days: float) -> float:
    """By rejection: a sine over the day, half as much at weekends."""
    while True:
        time = dice.uniform(0, days * DAY)
        day = 1 + 0.7 * math.cos(2 * math.pi * (time % DAY / 3600 - BUSIEST_HOUR) / 24)
        weekend = 0.5 if time % WEEK >= 5 * DAY else 1.0
        if dice.random() * 1.7 < day * weekend:
            return float(round(time))
