"""What a campaign does to everybody else's batch jobs."""

from collections.abc import Mapping, Sequence

from cwlbalsam.planner.queues.machine import Machine


def others_waits(
    forks: Mapping[str, Machine], machines: Mapping[str, Machine], after_days: Sequence[float]
) -> dict[float, float]:
    """The mean wait of others, those who wait at the instant and who come within so many days after it, by days.

    machines: at the instant; forks: of them, which live on until all of these have started.
    """
    sums = dict.fromkeys(after_days, 0.0)
    counts = dict.fromkeys(after_days, 0)
    for name, fork in forks.items():
        before = machines[name]
        everybody = [*before.rules.queue, *before.coming(max(after_days) * 86_400)]
        for request in everybody:
            while request.id not in fork.starts:
                fork.advance(max(fork.next_time(), fork.now + 86_400))
            for days in after_days:
                if request.submitted <= before.now + days * 86_400:
                    sums[days] += fork.starts[request.id] - request.submitted
                    counts[days] += 1
    return {days: sums[days] / max(counts[days], 1) for days in after_days}
