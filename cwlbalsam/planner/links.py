"""When data arrive at sites: each is sent to a site once, and transfers over a shared link go one after another."""

import math
from collections.abc import Sequence

from cwlbalsam.planner.compact import Compact
from cwlbalsam.planner.plan import Transfer
from cwlbalsam.planner.profile import Profile


class Links:
    """The transfers planned so far. A datum comes from where it was made or was from the start, not from a copy."""

    def __init__(self, compact: Compact) -> None:
        self._compact = compact
        self._sites = len(compact.problem.sites)
        self._arrived: dict[int, float] = {}
        self._busy = {
            link.source * self._sites + link.target: Profile(1) for link in compact.problem.links if link.shared
        }
        self.transfers: list[Transfer] = []

    def ready(self, job: int, target: int, ends: Sequence[float], where: Sequence[int], commit: bool = False) -> float:
        """When all that a job reads is at a site, and all that it follows has ended.

        ends, where: of each job, when it ends and at which site. commit: it runs there, so plan the transfers.
        """
        compact = self._compact
        ready = compact.problem.jobs[job].not_before
        missing: list[tuple[float, int, int]] = []
        for parent, datum in compact.parents[job]:
            end = ends[parent]
            if datum >= 0 and where[parent] != target:
                arrived = self._arrived.get(datum * self._sites + target)
                if arrived is None:
                    missing.append((end, datum, where[parent]))
                    continue
                end = arrived
            ready = max(ready, end)
        for datum in compact.external[job]:
            if target in compact.problem.data[datum].sites:
                continue
            arrived = self._arrived.get(datum * self._sites + target)
            if arrived is None:
                missing.append((0.0, datum, self._nearest(datum, target)))
            else:
                ready = max(ready, arrived)
        return max(ready, self._move(missing, target, commit)) if missing else ready

    def arrival(self, datum: int, target: int) -> float | None:
        """When a transfer brings a datum to a site; None if none does."""
        return self._arrived.get(datum * self._sites + target)

    def _nearest(self, datum: int, target: int) -> int:
        sites = self._compact.problem.data[datum].sites
        return min(sites, key=lambda source: self._compact.seconds_to_move(datum, source, target))

    def _move(self, missing: list[tuple[float, int, int]], target: int, commit: bool) -> float:
        """missing: (since when it can be had, datum, from where). Returns when the last arrives."""
        missing.sort()
        latest = 0.0
        behind: dict[int, float] = {}
        moved: set[int] = set()
        for since, datum, source in missing:
            if datum in moved:
                continue
            moved.add(datum)
            seconds = self._compact.seconds_to_move(datum, source, target)
            if seconds == math.inf:
                return math.inf
            key = source * self._sites + target
            start = since
            if key in self._busy:
                start = self._busy[key].earliest(max(since, behind.get(key, 0.0)), seconds, 1)
                behind[key] = start + seconds
            latest = max(latest, start + seconds)
            if commit:
                self._arrived[datum * self._sites + target] = start + seconds
                self.transfers.append(Transfer(datum, source, target, start, start + seconds))
                if key in self._busy:
                    self._busy[key].take(start, start + seconds, 1)
        return latest
