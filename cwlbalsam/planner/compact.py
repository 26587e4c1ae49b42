"""A Problem as lists of numbers, with what the constraints rule out left out: what the inner loops work on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from cwlbalsam.planner.limits import cost, usable_options
from cwlbalsam.planner.problem import Problem, Site

Matrix = list[list[float]]
"""Seconds from a site (row) to another (column)."""


@dataclass
class Pool:
    """A window, as bins of equal capacity: a job takes so many units of so many bins.

    Where all options are of one grain, one bin does: of nodes, or of lanes of so many cores (lanes: a node's). Else
    each node is a bin of its cores.
    """

    site: int
    window: int
    bins: int
    capacity: int
    opens: float
    closes: float
    lanes: int = 0  # per node, where a unit of the only bin is a lane; else 0


@dataclass
class Choices:
    """Where and how a job can run, flat: all options of all works in all windows. node_seconds: cost."""

    option: list[int] = field(default_factory=list)
    site: list[int] = field(default_factory=list)
    pool: list[int] = field(default_factory=list)
    bins: list[int] = field(default_factory=list)
    units: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    cores: list[int] = field(default_factory=list)


@dataclass
class Compact:
    """parents: of each job, (job, datum or -1). moves: of each datum, between sites; None: it never moves."""

    problem: Problem
    pools: list[Pool]
    choices: Choices
    of_work: list[tuple[int, ...]]
    work: list[int]
    parents: list[list[tuple[int, int]]]
    children: list[list[tuple[int, int]]]
    external: list[tuple[int, ...]]
    topological: list[int]
    latency: Matrix
    inverse: Matrix
    shared: bool

    def seconds_to_move(self, datum: int, source: int, target: int) -> float:
        """Over a link that nobody else uses."""
        return self.latency[source][target] + self.problem.data[datum].size_bytes * self.inverse[source][target]

    def arrives(self, datum: int, target: int) -> float:
        """When a datum that is there from the start can be at a site; nobody else using the links."""
        sites = self.problem.data[datum].sites
        return min((self.seconds_to_move(datum, source, target) for source in sites), default=0.0)


def make_compact(problem: Problem) -> Compact:
    """Raises Infeasible for a work that fits nowhere, ValueError for a Problem that makes no sense."""
    _check_sense(problem)
    wanted = {job.work for job in problem.jobs}
    usable = [usable_options(problem, work) if number in wanted else [] for number, work in enumerate(problem.works)]
    pools, pools_of = _make_pools(problem, usable)
    choices, of_work = _make_choices(problem, usable, pools, pools_of)
    parents, children, external = _edges(problem)
    latency, inverse = _matrices(problem)
    return Compact(
        problem=problem,
        pools=pools,
        choices=choices,
        of_work=of_work,
        work=[job.work for job in problem.jobs],
        parents=parents,
        children=children,
        external=external,
        topological=_topological(parents, children),
        latency=latency,
        inverse=inverse,
        shared=any(link.shared for link in problem.links),
    )


def _check_sense(problem: Problem) -> None:
    jobs, data, sites = len(problem.jobs), len(problem.data), len(problem.sites)
    for job in problem.jobs:
        if not 0 <= job.work < len(problem.works):
            raise ValueError(f"{job.name}: no work {job.work}")
        if any(not 0 <= datum < data for datum in job.inputs) or any(not 0 <= other < jobs for other in job.after):
            raise ValueError(f"{job.name}: reads or follows what there is not")
    for datum in problem.data:
        if not -1 <= datum.producer < jobs or any(not 0 <= site < sites for site in datum.sites):
            raise ValueError("a datum of a job or site that there is not")
        if not 0 <= datum.size_bytes < math.inf:
            raise ValueError("a datum of no size")
    for work in problem.works:
        for option in work.options:
            if not 0 <= option.site < sites or option.nodes < 0 or not 0 <= option.seconds.median < math.inf:
                raise ValueError(f"{work.name}: an option that makes no sense")
            if not 0 <= option.cores <= problem.sites[option.site].cores:
                raise ValueError(f"{work.name}: more cores than a node of {problem.sites[option.site].name} has")
    for link in problem.links:
        if not link.bytes_per_second > 0 or link.latency_seconds < 0:
            raise ValueError("a link of no bandwidth")


def _make_pools(problem: Problem, usable: Sequence[Sequence[int]]) -> tuple[list[Pool], list[list[int]]]:
    grains: list[set[int]] = [set() for _ in problem.sites]
    for work, indexes in zip(problem.works, usable, strict=True):
        for option in (work.options[index] for index in indexes if work.options[index].nodes):
            cores = problem.sites[option.site].cores
            grain = option.cores or cores
            grains[option.site].add(grain if option.nodes == 1 or grain == cores else -1)
    pools: list[Pool] = []
    pools_of: list[list[int]] = []
    for number, site in enumerate(problem.sites):
        pools_of.append(list(range(len(pools), len(pools) + len(site.windows))))
        for index, window in enumerate(site.windows):
            bins, capacity, lanes = _shape(site.cores, window.nodes, grains[number])
            pools.append(Pool(number, index, bins, capacity, max(window.opens, 0.0), window.closes, lanes))
        if any(option.site == number and not option.nodes for work in problem.works for option in work.options):
            pools_of[number].append(len(pools))
            pools.append(Pool(number, 0, 1, 0, 0.0, math.inf, 1))
    return pools, pools_of


def _shape(cores: int, nodes: int, grains: set[int]) -> tuple[int, int, int]:
    """Bins, their capacity, and lanes a node."""
    if grains <= {cores}:
        return 1, nodes, 1
    if nodes == 1:
        return 1, cores, cores
    if len(grains) == 1 and -1 not in grains:
        lanes = cores // next(iter(grains))
        return 1, nodes * lanes, lanes
    return nodes, cores, 0


def _make_choices(
    problem: Problem, usable: Sequence[Sequence[int]], pools: Sequence[Pool], pools_of: Sequence[Sequence[int]]
) -> tuple[Choices, list[tuple[int, ...]]]:
    flat = Choices()
    of_work: list[tuple[int, ...]] = []
    for work, indexes in zip(problem.works, usable, strict=True):
        first = len(flat.option)
        for index in indexes:
            option = work.options[index]
            site = problem.sites[option.site]
            seconds = option.seconds.quantile(problem.quantile)
            for number in pools_of[option.site]:
                if not _has_room(pools[number], site, option.nodes, seconds):
                    continue
                bins, units = _units(pools[number], option.nodes, option.cores or site.cores, site.cores)
                flat.option.append(index)
                flat.site.append(option.site)
                flat.pool.append(number)
                flat.bins.append(bins)
                flat.units.append(units)
                flat.seconds.append(seconds)
                flat.cost.append(cost(problem, work, index))
                flat.nodes.append(option.nodes)
                flat.cores.append(option.cores or site.cores)
        of_work.append(tuple(range(first, len(flat.option))))
    return flat, of_work


def _has_room(pool: Pool, site: Site, nodes: int, seconds: float) -> bool:
    if not nodes or not pool.capacity:  # what takes no node is in a pool of its own
        return not nodes and not pool.capacity
    return site.windows[pool.window].nodes >= nodes and pool.closes - pool.opens >= seconds


def _units(pool: Pool, nodes: int, cores: int, of_node: int) -> tuple[int, int]:
    """How many bins, and how many units of each."""
    if not nodes:
        return 1, 0
    if not pool.lanes:
        return nodes, cores
    if pool.lanes == pool.capacity == of_node:  # one node, its cores
        return 1, cores
    return 1, nodes


def _edges(
    problem: Problem,
) -> tuple[list[list[tuple[int, int]]], list[list[tuple[int, int]]], list[tuple[int, ...]]]:
    parents: list[list[tuple[int, int]]] = []
    children: list[list[tuple[int, int]]] = [[] for _ in problem.jobs]
    external: list[tuple[int, ...]] = []
    producer = [one.producer for one in problem.data]
    for number, job in enumerate(problem.jobs):
        mine = [(producer[datum], datum) for datum in job.inputs if producer[datum] >= 0]
        mine += [(other, -1) for other in job.after]
        parents.append(mine)
        external.append(tuple(datum for datum in job.inputs if producer[datum] < 0 and problem.data[datum].sites))
        for other, datum in mine:
            children[other].append((number, datum))
    return parents, children, external


def _matrices(problem: Problem) -> tuple[Matrix, Matrix]:
    size = len(problem.sites)
    latency = [[0.0 if row == column else math.inf for column in range(size)] for row in range(size)]
    inverse = [[0.0] * size for _ in range(size)]
    for link in problem.links:
        if link.source != link.target:
            latency[link.source][link.target] = link.latency_seconds
            inverse[link.source][link.target] = 1 / link.bytes_per_second
    return latency, inverse


def _topological(parents: Sequence[Sequence[object]], children: Sequence[Sequence[tuple[int, int]]]) -> list[int]:
    missing = [len(mine) for mine in parents]
    order = [job for job, count in enumerate(missing) if not count]
    for job in order:
        for child, _ in children[job]:
            missing[child] -= 1
            if not missing[child]:
                order.append(child)
    if len(order) != len(parents):
        raise ValueError("the jobs wait for each other in a circle")
    return order
