"""Upward ranks: how much work is still to come, at least in the mean, from a job's start to the end of all."""

from collections.abc import Callable, Sequence

from cwlbalsam.planner.compact import Compact

# Topcuoglu, Hariri, Wu: Performance-effective and low-complexity task scheduling for heterogeneous computing, 2002.


def upward_ranks(compact: Compact, seconds: Sequence[float], byte_seconds: float, latency: float) -> list[float]:
    """seconds: of each work. A transfer takes latency + size * byte_seconds."""
    work, children, data = compact.work, compact.children, compact.problem.data
    ranks = [0.0] * len(work)
    for job in reversed(compact.topological):
        longest = 0.0
        for child, datum in children[job]:
            rank = ranks[child]
            if datum >= 0:
                rank += latency + data[datum].size_bytes * byte_seconds
            longest = max(longest, rank)
        ranks[job] = longest + seconds[work[job]]
    return ranks


def mean_ranks(compact: Compact, allowed: Sequence[Sequence[int]]) -> list[float]:
    """With the mean over the allowed choices of each work, and over all links."""
    latency, byte_seconds = _mean_link(compact)
    seconds = [_mean([compact.choices.seconds[one] for one in mine]) for mine in allowed]
    return upward_ranks(compact, seconds, byte_seconds, latency)


def least_ranks(compact: Compact, allowed: Sequence[Sequence[int]]) -> list[float]:
    """With the fastest choices, and nothing to be moved: no plan leaves less than this from a job's start on."""
    seconds = [min((compact.choices.seconds[one] for one in mine), default=0.0) for mine in allowed]
    return upward_ranks(compact, seconds, 0.0, 0.0)


def by_rank(compact: Compact, ranks: Sequence[float]) -> list[int]:
    """The jobs, the highest rank first; parents come before their children."""
    return sorted(compact.topological, key=_descending(ranks))


def _mean_link(compact: Compact) -> tuple[float, float]:
    size = len(compact.latency)
    pairs = [(row, column) for row in range(size) for column in range(size) if row != column]
    linked = [(compact.latency[a][b], compact.inverse[a][b]) for a, b in pairs if compact.latency[a][b] < float("inf")]
    return _mean([one for one, _ in linked]), _mean([one for _, one in linked])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _descending(ranks: Sequence[float]) -> Callable[[int], float]:
    return lambda job: -ranks[job]
