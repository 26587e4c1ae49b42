"""What no plan can undercut: in time, and in node-hours."""

import math
from collections import Counter
from collections.abc import Sequence

from cwlbalsam.planner.compact import Compact
from cwlbalsam.planner.problem import HOUR, Infeasible
from cwlbalsam.planner.ranks import least_ranks

ROUNDS = 12


def lower_bound(compact: Compact) -> float:
    """Seconds from now to the end of all jobs at least: by the longest path, and by the work for all nodes."""
    ranks = least_ranks(compact, compact.of_work)
    jobs = compact.problem.jobs
    opens = min((pool.opens for pool in compact.pools), default=0.0)
    path = max((max(jobs[job].not_before, opens) + rank for job, rank in enumerate(ranks)), default=0.0)
    return max(path, opens + area_bound(compact))


def area_bound(compact: Compact) -> float:
    """Seconds that the nodes of all sites need for the work if it could be split at will.

    By duality: with a price of a node-second at each site such that a second of all nodes costs 1, no distribution of
    the work takes fewer seconds than what the work costs where it is cheapest. The prices are looked for by raising
    those of overloaded sites.
    """
    counts = Counter(compact.work)
    costs = [(count, _cheapest(compact, work)) for work, count in counts.items()]
    nodes = [sum(window.nodes for window in site.windows) for site in compact.problem.sites]
    prices = _first_prices(costs, nodes)
    best = 0.0
    for number in range(ROUNDS):
        scale = math.fsum(price * size for price, size in zip(prices, nodes, strict=True))
        if not scale:
            return best
        prices = [price / scale for price in prices]
        load = [0.0] * len(nodes)
        total = 0.0
        for count, mine in costs:
            price, site, cost = min((prices[site] * cost, site, cost) for site, cost in mine)
            total += count * price
            load[site] += count * cost
        best = max(best, total)
        busy = [spent / size if size else 0.0 for spent, size in zip(load, nodes, strict=True)]
        mean = max(total, 1e-300)
        step = 0.3 / (number + 1)
        prices = [
            price * (1 + step * min(max(one / mean - 1, -1.0), 1.0)) for price, one in zip(prices, busy, strict=True)
        ]
    return best


def _cheapest(compact: Compact, work: int) -> list[tuple[int, float]]:
    """(site, least node-seconds)."""
    least: dict[int, float] = {}
    for choice in compact.of_work[work]:
        site, cost = compact.choices.site[choice], compact.choices.cost[choice]
        least[site] = min(least.get(site, math.inf), cost)
    return list(least.items())


def _first_prices(costs: Sequence[tuple[int, list[tuple[int, float]]]], nodes: Sequence[int]) -> list[float]:
    """By the speed of each site: exact where a site is faster than another by the same factor for all work."""
    spent, anywhere = [0.0] * len(nodes), [0.0] * len(nodes)
    for count, mine in costs:
        mean = math.fsum(cost for _, cost in mine) / len(mine)
        for site, cost in mine:
            spent[site] += count * cost
            anywhere[site] += count * mean
    return [there / here if here else 1.0 for here, there in zip(spent, anywhere, strict=True)]


def check_budgets(compact: Compact) -> None:
    """Raises Infeasible if even the leanest choices break a budget; a job that fits one site only burdens that one."""
    problem, choices = compact.problem, compact.choices
    total = 0.0
    confined = [0.0] * len(problem.sites)
    for work in compact.work:
        mine = compact.of_work[work]
        leanest = min(choices.cost[one] for one in mine)
        total += leanest
        if len({choices.site[one] for one in mine}) == 1:
            confined[choices.site[mine[0]]] += leanest
    over = [(total, problem.constraints.node_seconds, "in all")]
    over += [(used, site.node_seconds, f"at {site.name}") for used, site in zip(confined, problem.sites, strict=True)]
    for needed, allowed, where in over:
        if needed > allowed * (1 + 1e-9):
            raise Infeasible(
                f"the jobs need at least {needed / HOUR:.4g} node-hours {where}, "
                f"{(needed - allowed) / HOUR:.4g} more than the {allowed / HOUR:.4g} that are allowed",
                limit=f"node-hours {where}",
                needed=needed,
                allowed=allowed,
            )
