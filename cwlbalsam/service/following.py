"""On the way of a run that follows a plan: which site each job goes to, and when to plan again."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from cwlbalsam.cwl.records import Program, ToolProcess
from cwlbalsam.cwl.tasks import Task
from cwlbalsam.errors import UserError
from cwlbalsam.executor.events import (
    Event,
    JobEnded,
    JobsAdded,
    JobStarted,
    PlanEnded,
    PlanMade,
    Reporter,
    RunEnded,
    RunStarted,
)
from cwlbalsam.jobs.names import step_of
from cwlbalsam.planner.improve import Effort
from cwlbalsam.planner.models.observation import Observation, Setting
from cwlbalsam.planner.problem import Duration, Window
from cwlbalsam.planner.schedule import SEARCHED_JOBS, make_plan
from cwlbalsam.service.expected import Fixed, expect
from cwlbalsam.service.kept_plan import Assignment, KeptPlan, PlannedJob, read_plan, rows_of, write_plan
from cwlbalsam.service.models import setting_of
from cwlbalsam.service.planning import Planned, summary, tools_by_step
from cwlbalsam.service.room import Ground, cores_of

CLEARLY = 1.3
"""A run is behind or ahead of its plan if a job ends so many times later or earlier than planned,"""
AT_LEAST_SECONDS = 3.0
"""and by so much."""
BETWEEN_SECONDS = 5.0
"""Between two plans for that reason."""
EFFORT = Effort(seconds=0.2)
"""Of a plan that is made while the run waits for it."""
LEAST_LEFT = 0.1
"""Of a job's expected time, for one that should have ended already."""


def _expected(planned: Planned) -> float:
    return planned.interval.median if planned.interval.median < math.inf else planned.plan.makespan


class Follower:
    """Hands events on, and measures them against the plan. clock: seconds, never going back."""

    def __init__(
        self,
        program: Program,
        values: Mapping[str, Any],
        planned: Planned,
        reporter: Reporter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder: Path | None = None  # where the plan is kept
        self._program, self._values, self._planned = program, values, planned
        self._reporter, self._clock = reporter, clock
        self._interval, self._first = planned.interval, planned.terms.constraints
        self._sites = Assignment({})
        self._tools = tools_by_step(program)
        self._kept = KeptPlan(seconds=_expected(planned), interval=summary(planned)["interval"])
        self._kept.notes = list(planned.notes)
        self._begun = self._planned_at = clock()
        self._rows: dict[str, PlannedJob] = {}
        self._sent: dict[str, Setting] = {}
        self._seen: list[tuple[ToolProcess, Observation]] = []  # since the last plan
        self._first_sent: dict[str, float] = {}  # by site
        self._started: dict[str, float] = {}
        self._ended: dict[str, float] = {}  # seconds that it took
        self._widths: Counter[str] = Counter()
        self._seen_widths: dict[str, int] = {}
        self._open: set[str] = set()  # steps whose jobs no plan can name
        self._paces: dict[str, list[float]] = {}
        self._take(planned, 0.0)

    def _take(self, planned: Planned, later: float) -> None:
        """From now on this plan counts, for jobs that were not sent yet."""
        sent = {name: self._sites.of(name) for name in self._sent}
        kept = {name: row for name, row in self._rows.items() if name in self._sent}
        self._rows = {row.name: row for row in rows_of(summary(planned), later)} | kept
        self._sites = Assignment({name: row.site for name, row in self._rows.items()} | sent)

    # --- asked by the pool ---

    def site_of(self, task: Task) -> str:
        """Where a tool's job goes; plans again if there are jobs that the plan did not know of."""
        step = step_of(task.name)
        width, planned = self._widths[step], self._sites.count(step)
        if width != planned and self._seen_widths.get(step) != width and step not in self._open:
            self._seen_widths[step] = width
            self._plan_again(f"step '{step}' has {width} jobs, not {planned}")
            if task.name not in self._sites:
                self._open.add(step)
        tool = self._program.processes[task.process]
        site = self._sites.of(task.name)
        if isinstance(tool, ToolProcess):
            inputs = {name: msgspec.msgpack.decode(raw) for name, raw in task.inputs.items()}
            self._sent[task.name] = setting_of(tool, inputs, site)
        self._first_sent.setdefault(site, self._clock())
        return site

    def planned_start(self, task: Task) -> float:
        """Seconds after the start of the run."""
        row = self._rows.get(task.name)
        return row.start if row else 0.0

    # --- events ---

    def report(self, event: Event) -> None:
        """See `Reporter`."""
        self._reporter.report(event)
        match event:
            case RunStarted():
                self._begun = self._planned_at = self._clock()
                self._tell("")
                self._keep()
            case JobsAdded():
                self._widths.update(event.steps)
            case JobStarted(name):
                self._job_started(name)
            case JobEnded(name, ending="done"):
                self._job_ended(name, event.seconds)
            case RunEnded():
                self._run_ended(event)

    def _job_started(self, name: str) -> None:
        now = self._clock()
        self._started[name] = now
        if name in self._sent:
            site = self._sites.of(name)
            opening = min(self._first_sent.values()) - self._begun
            self._kept.starts.setdefault(site, opening + now - self._first_sent[site])

    def _job_ended(self, name: str, seconds: float) -> None:
        self._ended[name] = seconds
        setting, row = self._sent.get(name), self._rows.get(name)
        tool = self._tools.get(step_of(name))
        if setting is None or tool is None:
            return
        self._seen.append((tool, Observation(setting=setting, wall_seconds=seconds)))
        if row is None:
            return
        if row.end > row.start:
            self._paces.setdefault(step_of(name), []).append(seconds / (row.end - row.start))
        now = self._clock() - self._begun
        late = now - row.end
        is_clear = abs(late) >= AT_LEAST_SECONDS and not row.end / CLEARLY <= now <= row.end * CLEARLY
        if is_clear and self._clock() - self._planned_at >= BETWEEN_SECONDS and len(self._sent) < len(self._rows):
            what = f"{late:.1f} s later" if late > 0 else f"{-late:.1f} s earlier"
            self._plan_again(f"'{name}' ended {what} than planned")

    def _run_ended(self, event: RunEnded) -> None:
        self._kept.taken = event.seconds
        self._keep()
        if event.status == "finished":
            low, high, probability = self._interval.low, self._interval.high, self._interval.probability
            self._reporter.report(PlanEnded(self._kept.seconds, low, high, probability, event.seconds))

    # --- planning again ---

    def _plan_again(self, why: str) -> None:
        """A plan that cannot be kept any more, or is not worth its time, is followed as far as it goes."""
        now = self._clock()
        if len(self._rows) > SEARCHED_JOBS:
            return
        self._planned.estimates.add(self._seen)
        self._seen.clear()
        told = self._planned.terms
        grounds = [replace(one, windows=self._windows(one, now)) for one in told.grounds]
        left = max(self._first.node_seconds - self._spent(), 0.0)
        constraints = replace(
            self._first, node_seconds=left, deadline=max(self._first.deadline - now + self._begun, 0.0)
        )
        terms = replace(told, fixed={**told.fixed, **self._fixed(now)}, grounds=grounds, constraints=constraints)
        try:
            expected = expect(self._program, self._values, terms, self._widths)
            plan = make_plan(expected.problem, EFFORT)
        except UserError:
            return
        self._planned_at = now
        self._planned = replace(self._planned, problem=expected.problem, plan=plan)
        self._take(self._planned, now - self._begun)
        self._kept.again.append((now - self._begun, why))
        self._tell(why)

    def _fixed(self, now: float) -> dict[str, Fixed]:
        found = {}
        for name in self._sent:
            row = self._rows.get(name)
            site = self._sites.of(name)
            if name in self._ended:
                found[name] = Fixed(site, Duration(0.0))
                continue
            paces = sorted(self._paces.get(step_of(name), [1.0]))
            usual = (row.end - row.start if row else 1.0) * paces[len(paces) // 2]
            passed = now - self._started.get(name, now)
            found[name] = Fixed(site, Duration(max(usual - passed, LEAST_LEFT * usual, 1e-3)))
        return found

    def _windows(self, ground: Ground, now: float) -> tuple[Window, ...]:
        """Where something has started, nodes are there."""
        passed = math.inf if ground.name in self._kept.starts else now - self._begun
        return tuple(replace(one, opens=max(one.opens - passed, 0.0)) for one in ground.windows)

    def _spent(self) -> float:
        """Node-seconds of what has ended."""
        cores = {ground.name: cores_of(ground.limits("")) for ground in self._planned.terms.grounds}
        rows = ((self._rows[name], seconds) for name, seconds in self._ended.items() if name in self._rows)
        return math.fsum(seconds * len(row.nodes) * row.cores / cores[row.site] for row, seconds in rows)

    # --- telling ---

    def _tell(self, why: str) -> None:
        jobs = Counter(row.site for row in self._rows.values())
        left = self._planned.plan.makespan + (self._clock() - self._begun) if why else self._kept.seconds
        self._reporter.report(PlanMade(left, dict(jobs), why))

    def _keep(self) -> None:
        if self.folder is None:
            return
        before = read_plan(self.folder)  # of a run that is taken up: what has ended is in no new plan
        rows = {row.name: row for row in before.jobs} if before else {}
        self._kept.jobs = list((rows | self._rows).values())
        write_plan(self.folder, self._kept)
