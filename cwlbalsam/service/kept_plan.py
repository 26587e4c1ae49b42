"""The plan of a run as it is kept in the run's folder, for `explain`, for later plans, and for taking the run up."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from cwlbalsam.jobs.names import step_of
from cwlbalsam.sites.site import LOCAL

PLAN_FILE = "plan.json"


class RunnerUp(Struct, kw_only=True):
    """The other place or size that would have ended the job first. later_seconds: may be negative."""

    site: str
    nodes: int
    cores: int
    later_seconds: float


class PlannedJob(Struct, kw_only=True):
    """Times are seconds from the start of the run. cores: of each node."""

    name: str
    site: str
    nodes: list[int]
    cores: int
    start: float
    end: float
    why: str
    runner_up: RunnerUp | None = None


class KeptPlan(Struct, kw_only=True):
    """seconds, interval: as first expected, of the whole run. again: why it was planned anew, and when.

    starts: how many seconds a site takes to start its first job: until the run hands out jobs at all, and from when it
    is sent to its start. taken: seconds of the whole run, 0: not ended.
    """

    seconds: float = 0.0
    interval: dict[str, float | None] = {}
    notes: list[str] = []
    jobs: list[PlannedJob] = []
    again: list[tuple[float, str]] = []
    starts: dict[str, float] = {}
    taken: float = 0.0


def write_plan(folder: Path, plan: KeptPlan) -> None:
    """A plan that cannot be kept costs no run."""
    with suppress(OSError):
        new = folder / f"{PLAN_FILE}.new"
        new.write_bytes(msgspec.json.encode(plan))
        new.replace(folder / PLAN_FILE)


def read_plan(folder: Path) -> KeptPlan | None:
    """None if there is none, or a damaged one."""
    with suppress(OSError, msgspec.DecodeError, ValueError, RecursionError):
        return msgspec.json.decode((folder / PLAN_FILE).read_bytes(), type=KeptPlan)
    return None


class Assignment:
    """The site of each job. A job that the plan does not know goes where its step's jobs go, by their shares."""

    def __init__(self, jobs: Mapping[str, str]) -> None:
        self._sites = dict(jobs)
        self._shares: dict[str, Counter[str]] = {}
        for name, site in self._sites.items():
            self._shares.setdefault(step_of(name), Counter())[site] += 1
        self._given: dict[str, Counter[str]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._sites

    def count(self, step: str) -> int:
        """How many jobs of a step it knows."""
        return self._shares[step].total() if step in self._shares else 0

    def of(self, name: str) -> str:
        """`local` where nothing is known of the whole step."""
        if name not in self._sites:
            self._sites[name] = self._by_share(step_of(name))
        return self._sites[name]

    def _by_share(self, step: str) -> str:
        """The site that is furthest behind its share."""
        shares, given = self._shares.get(step), self._given.setdefault(step, Counter())
        if shares is None:
            return LOCAL
        count = given.total() + 1
        site = max(shares, key=lambda one: (shares[one] / shares.total() * count - given[one], shares[one], one))
        given[site] += 1
        return site


def reasons(plan: KeptPlan, name: str) -> list[str]:
    """Why a job was meant to run where, in which size and when, and what the runner-up would have cost."""
    planned = next((job for job in plan.jobs if job.name == name), None)
    if planned is None:
        step = step_of(name)
        shares = Counter(job.site for job in plan.jobs if step_of(job.name) == step)
        if not shares:
            return []
        told = ", ".join(f"{count} at {site}" for site, count in shares.most_common())
        return [f"its step was planned with other jobs ({told}): it took the site whose share was open"]
    found = [
        f"planned at site '{planned.site}' on {_size(len(planned.nodes), planned.cores)}, which is what its tool asks "
        f"for there, from {planned.start:.1f} s to {planned.end:.1f} s after the start of the run",
        f"that time: it {planned.why}",
        f"that site: {_against(planned.runner_up)}",
    ]
    return found + [f"planned anew after {at:.1f} s: {why}" for at, why in plan.again[-1:]]


def _size(nodes: int, cores: int) -> str:
    return f"{nodes} node{'s' * (nodes != 1)} x {cores} core{'s' * (cores != 1)}"


def _against(other: RunnerUp | None) -> str:
    if other is None:
        return "no other one may or can run it"
    if other.later_seconds >= 0:
        cost = f"would have ended it {other.later_seconds:.1f} s later"
    else:
        cost = f"would have ended it {-other.later_seconds:.1f} s earlier, and the whole run no sooner"
    return f"the runner-up, '{other.site}' on {_size(other.nodes, other.cores)}, {cost}"


def rows_of(summary: Mapping[str, Any], later: float = 0.0) -> list[PlannedJob]:
    """The jobs of a plan that begins so much later than its run."""
    found = msgspec.convert(summary["jobs"], type=list[PlannedJob])
    for job in found:
        job.start += later
        job.end += later
    return found
