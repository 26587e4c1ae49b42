"""Whether a plan is right: told from the problem and the plan alone, with nothing of what made the plan."""

import math
from collections.abc import Iterator
from itertools import pairwise

from cwlbalsam.planner.plan import Placement, Plan
from cwlbalsam.planner.problem import Problem, Work

TOLERANCE = 1e-6
"""Relative to the makespan: what sums of floating point numbers may differ by."""


def faults(problem: Problem, plan: Plan) -> list[str]:
    """What is wrong with a plan, a sentence each; empty if it is right."""
    if len(plan.placements) != len(problem.jobs):
        return [f"{len(plan.placements)} placements for {len(problem.jobs)} jobs"]
    checker = _Checker(problem, plan)
    return [
        *checker.places(),
        *checker.overlaps(),
        *checker.transfers(),
        *checker.starts(),
        *checker.limits(),
        *checker.sums(),
    ]


class _Checker:
    def __init__(self, problem: Problem, plan: Plan) -> None:
        self.problem = problem
        self.plan = plan
        self.slack = TOLERANCE * max((one.end for one in plan.placements if one.end < math.inf), default=1.0)

    def places(self) -> Iterator[str]:
        """Every job in one window of a site that can run it, with the size and the time of one of its options."""
        for job, placed in zip(self.problem.jobs, self.plan.placements, strict=True):
            work = self.problem.works[job.work]
            if not 0 <= placed.option < len(work.options):
                yield f"{job.name}: no such option"
                continue
            option = work.options[placed.option]
            site = self.problem.sites[option.site]
            if not 0 <= placed.window < len(site.windows):
                yield f"{job.name}: no such window"
                continue
            window = site.windows[placed.window]
            if placed.site != option.site or placed.cores != (option.cores or site.cores):
                yield f"{job.name}: not where or how its option says"
            if len(set(placed.nodes)) != option.nodes or len(placed.nodes) != option.nodes:
                yield f"{job.name}: {len(placed.nodes)} nodes instead of {option.nodes}"
            if any(not 0 <= node < window.nodes for node in placed.nodes):
                yield f"{job.name}: a node that the window does not have"
            if not work.software <= site.software:
                yield f"{job.name}: {site.name} lacks its software"
            seconds = option.seconds.quantile(self.problem.quantile)
            if not abs(placed.end - placed.start - seconds) <= self.slack:
                yield f"{job.name}: takes {placed.end - placed.start} s instead of {seconds}"
            opens, closes = max(window.opens, 0.0) - self.slack, window.closes + self.slack
            if option.nodes and not (opens <= placed.start and placed.end <= closes):
                yield f"{job.name}: outside of its window"

    def overlaps(self) -> Iterator[str]:
        """On no node more cores at once than it has."""
        events: dict[tuple[int, int, int], list[tuple[float, int, int]]] = {}
        for number, placed in enumerate(self.plan.placements):
            if placed.end - placed.start <= self.slack:
                continue
            for node in placed.nodes:
                mine = events.setdefault((placed.site, placed.window, node), [])
                mine.append((placed.start + self.slack, placed.cores, number))
                mine.append((placed.end, -placed.cores, number))
        for (site, _, node), mine in events.items():
            used = 0
            for time, cores, number in sorted(mine):
                used += cores
                if used > self.problem.sites[site].cores:
                    name = self.problem.jobs[number].name
                    yield f"{name}: node {node} of {self.problem.sites[site].name} is full at {time}"

    def transfers(self) -> Iterator[str]:
        """From a site that has the datum, over a link that there is, no faster than it allows; none twice."""
        links = {(link.source, link.target): link for link in self.problem.links}
        seen: set[tuple[int, int]] = set()
        over: dict[tuple[int, int], list[tuple[float, float]]] = {}
        for moved in self.plan.transfers:
            datum = self.problem.data[moved.data]
            if (moved.data, moved.target) in seen:
                yield f"datum {moved.data} is sent to {self.problem.sites[moved.target].name} twice"
            seen.add((moved.data, moved.target))
            link = links.get((moved.source, moved.target))
            if link is None:
                yield f"datum {moved.data}: there is no such link"
                continue
            seconds = link.latency_seconds + datum.size_bytes / link.bytes_per_second
            if moved.end - moved.start < seconds - self.slack:
                yield f"datum {moved.data}: moved faster than its link allows"
            if datum.producer >= 0:
                made = self.plan.placements[datum.producer]
                if made.site != moved.source or made.end > moved.start + self.slack:
                    yield f"datum {moved.data}: sent before or from where it is not"
            elif moved.source not in datum.sites or moved.start < -self.slack:
                yield f"datum {moved.data}: sent from where it is not"
            if link.shared:
                over.setdefault((moved.source, moved.target), []).append((moved.start, moved.end))
        for pair, times in over.items():
            times.sort()
            if any(after[0] < before[1] - self.slack for before, after in pairwise(times)):
                yield f"two transfers at once over the link {pair}"

    def starts(self) -> Iterator[str]:
        """No job before its time, its parents and its data."""
        arrived = {(moved.data, moved.target): moved.end for moved in self.plan.transfers}
        for job, placed in zip(self.problem.jobs, self.plan.placements, strict=True):
            if placed.start < job.not_before - self.slack:
                yield f"{job.name}: starts before it may"
            if any(self.plan.placements[other].end > placed.start + self.slack for other in job.after):
                yield f"{job.name}: starts before a job that it follows has ended"
            for datum in job.inputs:
                if self._there(datum, placed, arrived) > placed.start + self.slack:
                    yield f"{job.name}: starts before datum {datum} is there"

    def _there(self, datum: int, placed: Placement, arrived: dict[tuple[int, int], float]) -> float:
        one = self.problem.data[datum]
        if one.producer < 0 and (placed.site in one.sites or not one.sites):
            return 0.0
        if one.producer >= 0 and self.plan.placements[one.producer].site == placed.site:
            return self.plan.placements[one.producer].end
        return arrived.get((datum, placed.site), math.inf)

    def limits(self) -> Iterator[str]:
        """Budgets, the least efficiency, the deadline."""
        constraints, sites = self.problem.constraints, self.problem.sites
        used = [0.0] * len(sites)
        for job, placed in zip(self.problem.jobs, self.plan.placements, strict=True):
            used[placed.site] += self._node_seconds(placed)
            smallest = min(self._sizes(self.problem.works[job.work], placed.site), default=(0, math.inf))
            mine = (placed.end - placed.start) * len(placed.nodes) * placed.cores
            if mine * constraints.min_efficiency > smallest[1] * (1 + TOLERANCE) + self.slack:
                yield f"{job.name}: less efficient than allowed"
        for site, spent in zip(sites, used, strict=True):
            if spent > site.node_seconds * (1 + TOLERANCE):
                yield f"{site.name}: {spent} node-seconds of {site.node_seconds}"
        if sum(used) > constraints.node_seconds * (1 + TOLERANCE):
            yield f"{sum(used)} node-seconds of {constraints.node_seconds}"
        if self.plan.makespan > constraints.deadline * (1 + TOLERANCE):
            yield f"ends at {self.plan.makespan}, later than {constraints.deadline}"

    def _sizes(self, work: Work, number: int) -> Iterator[tuple[int, float]]:
        """Cores of each option that fits a window of a site, and its core-seconds."""
        site = self.problem.sites[number]
        for option in work.options:
            seconds = option.seconds.quantile(self.problem.quantile)
            cores = option.nodes * (option.cores or site.cores)
            fits = (one.nodes >= option.nodes and one.closes - max(one.opens, 0.0) >= seconds for one in site.windows)
            if option.site == number and (not option.nodes or any(fits)):
                yield cores, cores * seconds

    def _node_seconds(self, placed: Placement) -> float:
        return (placed.end - placed.start) * len(placed.nodes) * placed.cores / self.problem.sites[placed.site].cores

    def sums(self) -> Iterator[str]:
        """What the plan says of itself."""
        placements = self.plan.placements
        if abs(self.plan.makespan - max((one.end for one in placements), default=0.0)) > self.slack:
            yield "the makespan is not the last end"
        spent = sum(map(self._node_seconds, placements))
        if abs(self.plan.node_seconds - spent) > TOLERANCE * max(spent, 1.0):
            yield f"says {self.plan.node_seconds} node-seconds, not {spent}"
        if sorted(self.plan.order) != list(range(len(placements))):
            yield "the order is none of all jobs"
        bytes_moved = sum(self.problem.data[one.data].size_bytes for one in self.plan.transfers)
        if abs(self.plan.bytes_moved - bytes_moved) > TOLERANCE * max(bytes_moved, 1.0):
            yield f"says {self.plan.bytes_moved} bytes moved, not {bytes_moved}"
        if self.plan.makespan < self.plan.bound - self.slack:
            yield f"ends at {self.plan.makespan}, before its bound {self.plan.bound}"
