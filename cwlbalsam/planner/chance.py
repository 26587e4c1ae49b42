"""How long a plan takes if the durations vary as they do: its jobs in their order, with durations drawn at random."""

import math
import random
from collections.abc import Sequence

from cwlbalsam.planner.compact import Compact, make_compact
from cwlbalsam.planner.plan import Interval, Plan
from cwlbalsam.planner.problem import Duration, Problem
from cwlbalsam.planner.timing import Timing

DRAWN = 400_000
"""Durations in all: fewer samples of larger plans."""
LEAST, MOST = 20, 500


def makespan_interval(problem: Problem, plan: Plan, probability: float = 0.9, seed: int = 0) -> Interval:
    """Of the makespan, if each job keeps its place and starts as soon as it can.

    Infinite where a job would often outlast its window.
    """
    compact = make_compact(problem)
    choice = choices_of(compact, plan)
    pairs = zip(problem.jobs, plan.placements, strict=True)
    spreads = [problem.works[job.work].options[placed.option].seconds for job, placed in pairs]
    if not any(one.spread for one in spreads):
        return Interval(plan.makespan, plan.makespan, plan.makespan, probability)
    timing, drawn = Timing(compact), random.Random(seed)  # noqa: S311 - no secret
    samples = max(LEAST, min(MOST, DRAWN // max(len(choice), 1)))
    planned = [one.quantile(problem.quantile) for one in spreads]
    found = sorted(
        timing.run_any(plan.order, choice, [_stretch(*one, drawn) for one in zip(spreads, planned, strict=True)])
        for _ in range(samples)
    )
    outside = (1 - probability) / 2
    return Interval(_at(found, outside), _at(found, 0.5), _at(found, 1 - outside), probability)


def choices_of(compact: Compact, plan: Plan) -> list[int]:
    """Of each job, the number of the choice that a plan has made."""
    choices = compact.choices
    found = []
    for work, placed in zip(compact.work, plan.placements, strict=True):
        number = next(
            one
            for one in compact.of_work[work]
            if choices.option[one] == placed.option and compact.pools[choices.pool[one]].window == placed.window
        )
        found.append(number)
    return found


def _stretch(duration: Duration, planned: float, drawn: random.Random) -> float:
    if not planned:
        return 1.0
    return duration.median * math.exp(duration.spread * drawn.gauss()) / planned


def _at(ordered: Sequence[float], part: float) -> float:
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]
