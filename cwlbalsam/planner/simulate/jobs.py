"""A document's expected jobs as tasks of a campaign, which take whole nodes."""

import math
from collections.abc import Sequence
from graphlib import TopologicalSorter

from cwlbalsam.planner.problem import Option, Problem
from cwlbalsam.planner.simulate.work import Task

SURE = 0.95
"""The quantile of its run time that a job is given."""


def tasks_of(problem: Problem) -> list[Task]:
    """Each job by the first option of its work; parents come first.

    Jobs of one work that are equally far from the start share nodes, as many as have room on one: there are others to
    take a core that gets free, so that a task lasts as long as one job in the mean. Jobs without nodes take no time.
    """
    options = [work.options[0] for work in problem.works]
    order = list(TopologicalSorter({number: job.after for number, job in enumerate(problem.jobs)}).static_order())
    level: dict[int, int] = {}
    groups: dict[tuple[int, int], list[int]] = {}
    for number in order:
        job = problem.jobs[number]
        level[number] = 1 + max((level[parent] for parent in job.after), default=0)
        groups.setdefault((level[number], job.work), []).append(number)
    tasks: list[Task] = []
    needs: dict[int, frozenset[int]] = {}  # the tasks that have ended when a job has
    for (_, work), members in sorted(groups.items()):
        option = options[work]
        if not option.nodes:
            needs |= {number: _needs(problem.jobs[number].after, needs) for number in members}
            continue
        beside = _beside(option, problem.sites[option.site].cores)
        for first in range(0, len(members), beside):
            some = members[first : first + beside]
            parents = _needs([parent for number in some for parent in problem.jobs[number].after], needs)
            needs |= dict.fromkeys(some, frozenset([len(tasks)]))
            tasks.append(_task(option, tuple(sorted(parents))))
    return tasks


def _needs(jobs: Sequence[int], needs: dict[int, frozenset[int]]) -> frozenset[int]:
    """Of several jobs together; one and the same set where all have that."""
    distinct = {id(found): found for job in jobs if (found := needs[job])}
    sets = list(distinct.values())
    return sets[0] if len(sets) == 1 else frozenset().union(*sets)


def _beside(option: Option, cores: int) -> int:
    return max(cores // option.cores, 1) if option.cores and option.nodes == 1 else 1


def _task(option: Option, parents: tuple[int, ...]) -> Task:
    seconds = option.seconds
    mean = seconds.median * math.exp(seconds.spread**2 / 2)
    most = max(seconds.quantile(SURE), mean)
    return Task(nodes=option.nodes, seconds=max(mean, 0.1), most_seconds=max(most, 0.1), parents=parents)
