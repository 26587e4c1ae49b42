"""How the DAG of a run grows: expansions, and jobs that others add; and how it withers behind a job that fails."""

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Raw

from cwlbalsam.cwl.records import Program
from cwlbalsam.errors import JobError
from cwlbalsam.executor.additions import Additions
from cwlbalsam.executor.books import Books
from cwlbalsam.executor.events import JobEnded, JobsAdded, Reporter
from cwlbalsam.executor.live import LiveJob
from cwlbalsam.executor.memory import Memory
from cwlbalsam.jobs.dag import DagChange
from cwlbalsam.jobs.model import BalsamJob, State
from cwlbalsam.jobs.names import step_of
from cwlbalsam.jobs.references import array_items, is_array, unpack_trees
from cwlbalsam.jobs.states import FINAL
from cwlbalsam.parser.expand import Expander, Expansion, Planned


class Growth:
    """additions: what scripts and users ask for."""

    def __init__(self, program: Program, books: Books, memory: Memory, reporter: Reporter) -> None:
        self._books = books
        self._reporter = reporter
        self._expander = Expander(program, memory.ids())
        self.additions = Additions(books.jobs, self._expander)

    def start(self, inputs: Mapping[str, Raw]) -> int:
        """The run's first jobs; returns the one whose outputs are the run's."""
        expansion, root = self._expander.start(inputs)
        self._admit(expansion)
        return root

    def step_key(self, plan: Planned) -> str:
        """What makes the step of a job what it is; "" if it has none."""
        return self._expander.step(plan).key if plan.step is not None else ""

    def conclude(self, plan: Planned, *, skipped: bool) -> None:
        """What is behind a job that has finished, or been skipped."""
        if plan.kind == "bind" and plan.exit >= 0 and not skipped:
            self._admit(self._expander.bound(plan))
        elif plan.kind == "loop":
            self._admit(self._expander.ended(plan) if skipped else self._expander.repeated(plan))

    def scatter(self, job: LiveJob) -> None:
        """Raises JobError if what it scatters over cannot be."""
        step = self._expander.step(job.plan)
        inputs = self._books.inputs(job)
        lengths = {}
        for name in step.scatter:
            if not is_array(inputs[name]):
                raise JobError(f"step '{step.name}' scatters over '{name}', whose value is no array", place=step.place)
            lengths[name] = len(array_items(inputs[name]))
        expansion = self._expander.scattered(job.plan, lengths)
        self._books.finish(job, inputs)
        self._admit(expansion)

    def restore(self, jobs: Iterable[BalsamJob], edges: Iterable[tuple[int, int]], *, again: bool) -> None:
        """Take over jobs that were added in an earlier part of the run, before its first ones are made.

        again: those that failed are tried again.
        """
        added = {job.id: job for job in jobs}
        before: dict[int, list[int]] = {}
        for parent, child in edges:
            if parent in added or child in added:
                (before if child in added else self._books.late).setdefault(child, []).append(parent)
        expansion = Expansion()
        for job in added.values():
            plan = self._expander.added(job.name, unpack_trees(job.inputs), tuple(before.get(job.id, ())), job.id)
            self.additions.named[job.name] = job.id
            if job.state is State.USER_KILLED or (job.state in FINAL - {State.JOB_FINISHED} and not again):
                ended = LiveJob(plan, state=job.state, children=[], attempt=max(job.attempt, 1))
                self._books.jobs[job.id] = ended
            else:
                expansion.jobs.append(plan)
        self._admit(expansion)

    def change(self, change: DagChange) -> list[LiveJob]:
        """Make a change as a whole, but for the jobs to be killed, which are returned. Raises JobError, and changes
        nothing, if it cannot be made."""
        expansion, kills = self.additions.plan(change)
        if expansion.jobs or expansion.waits:
            self._admit(expansion)
        return [self._books.jobs[number] for number in kills]

    def wither(self, job: LiveJob, why: str) -> None:
        """What waits for a job that will never finish."""
        reason = f"'{job.plan.name}' {why}"
        for child in self._books.doom(job, reason):
            if child.plan.kind == "job":
                self._reporter.report(JobEnded(child.plan.name, child.plan.id, "killed", reason))

    def _admit(self, expansion: Expansion) -> None:
        for lost in self._books.admit(expansion):
            self.wither(lost, "failed")
        steps = Counter(step_of(plan.name) for plan in expansion.jobs if plan.kind == "job")
        if steps:
            self._reporter.report(JobsAdded(steps.total(), steps))
