"""The books of a run: which jobs there are, who waits for whom, what they have made, and what is yet to be written.

They keep count and decide nothing. Values pass through as msgpack and are never decoded here.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Raw

from cwlbalsam.cwl.tasks import Outcome
from cwlbalsam.executor.live import LiveJob, stored
from cwlbalsam.executor.memory import Memory
from cwlbalsam.jobs.model import Changes, Move, State
from cwlbalsam.jobs.references import NULL, Elements, Tree, resolve
from cwlbalsam.jobs.states import FINAL, Event, advance
from cwlbalsam.parser.expand import Expansion

_NO_INPUTS: dict[str, Tree] = {}  # of all jobs that have finished
_encode = msgspec.msgpack.encode


class Books:
    """ready: jobs that may start. finished: jobs whose children have not been counted down. late: jobs that are still
    to come, and what they have to wait for beside their own parents."""

    def __init__(self, memory: Memory) -> None:
        self.jobs: dict[int, LiveJob] = {}
        self.ready: deque[int] = deque()
        self.finished: deque[int] = deque()
        self.late: dict[int, list[int]] = {}
        self.elements = Elements(self.value)
        self._memory = memory if memory else None
        self._changes = Changes()
        self._owed: dict[int, list[int]] = {}  # jobs that are still to come, and who waits for them

    # --- what is yet to be written ---

    @property
    def has_changes(self) -> bool:
        return bool(self._changes.moves) or self.has_new_jobs

    @property
    def has_new_jobs(self) -> bool:
        """Or jobs that have been taken up again."""
        return bool(self._changes.jobs or self._changes.restarts)

    def take_changes(self) -> Changes:
        """All that has changed since the last time."""
        changes, self._changes = self._changes, Changes()
        return changes

    # --- jobs come ---

    def admit(self, expansion: Expansion) -> list[LiveJob]:
        """Add the jobs of an expansion; those that wait for nobody are ready.

        Returns jobs that will never finish, for which somebody has come to wait.
        """
        lost: list[LiveJob] = []
        memory, changes = self._memory, self._changes
        for plan in expansion.jobs:
            job = self.jobs[plan.id] = LiveJob(plan, children=self._owed.pop(plan.id, []))
            known = memory.of(plan) if memory is not None else None
            if known is not None:
                job.attempt, job.kept = known.attempt, known.finished
        for plan in expansion.jobs:
            self._wait(plan.id, plan.parents(), lost)
            if plan.id in self.late:
                self._wait(plan.id, self.late.pop(plan.id), lost)
        for number, trees in expansion.gathers.items():
            self.jobs[number].plan.inputs = trees
        for number, found in expansion.waits.items():
            self._wait(number, found, lost)
        for plan in expansion.jobs:
            job = self.jobs[plan.id]
            if job.waiting_for == 0:
                job.state = State.READY
                self.ready.append(plan.id)
            if memory is None or memory.of(plan) is None:
                changes.jobs.append(stored(job))
            elif not job.kept:
                changes.restarts.append(stored(job))
        return lost

    def _wait(self, number: int, found: Iterable[int], lost: list[LiveJob]) -> None:
        job = self.jobs[number]
        for parent in found:
            self._changes.edges.append((parent, number))
            before = self.jobs.get(parent)
            if before is None:
                self._owed.setdefault(parent, []).append(number)
                job.waiting_for += 1
            elif before.children is not None:
                before.children.append(number)
                job.waiting_for += 1
                if before.state in FINAL and before.state is not State.JOB_FINISHED:
                    lost.append(before)

    # --- jobs go on ---

    def move(self, job: LiveJob, event: Event, outcome: Outcome | None = None, message: str = "") -> None:
        """Raises IllegalTransition."""
        state = advance(job.state, event)
        if job.kept and state is not State.JOB_FINISHED:  # else it is as the store has it
            self._restart(job)
        job.state = state
        if job.kept:
            return
        kept = _encode(outcome) if outcome is not None else None
        self._changes.moves.append(
            Move(job=job.plan.id, state=state, time=time.time(), attempt=job.attempt, message=message, outcome=kept)
        )

    def finish(self, job: LiveJob, outputs: Mapping[str, Raw]) -> None:
        """End what the coordinator does itself."""
        self.move(job, Event.FINISHED)
        job.outputs = outputs
        self.finished.append(job.plan.id)

    def forget(self, job: LiveJob) -> None:
        """What it ended with before does not count: it runs again, as a new attempt in a directory of its own."""
        job.attempt += 1
        if job.kept:
            self._restart(job)

    def _restart(self, job: LiveJob) -> None:
        job.kept = False
        self._changes.restarts.append(stored(job))

    def restart(self, job: LiveJob) -> None:
        """Run a finished job once more. Its inputs are those of its plan again."""
        job.attempt += 1
        job.state, job.children = State.READY, []
        self._restart(job)
        self.ready.append(job.plan.id)

    def hold(self, job: LiveJob, makers: Sequence[LiveJob]) -> None:
        """Restart a job when others, which run once more, have finished."""
        job.waiting_for = len(makers)
        for maker in makers:
            assert maker.children is not None
            maker.children.append(job.plan.id)
        if not makers:
            self.ready.append(job.plan.id)

    def release(self, number: int) -> None:
        """Count down the children of a finished job: O(children)."""
        finished = self.jobs[number]
        children, finished.children = finished.children, None
        for child in children or ():
            job = self.jobs[child]
            job.waiting_for -= 1
            if job.waiting_for == 0:
                if job.state is State.AWAITING_PARENTS:
                    job.state = advance(job.state, Event.PARENTS_FINISHED)
                    self.ready.append(child)
                elif job.state is State.RESTART_READY:
                    self.ready.append(child)
        if finished.plan.kind == "job":
            finished.plan.inputs = _NO_INPUTS

    def doom(self, job: LiveJob, reason: str) -> Iterator[LiveJob]:
        """End all that waits for a job that will never finish; each as it ends."""
        doomed = deque(job.children or ())
        while doomed:
            child = self.jobs[doomed.popleft()]
            if child.state not in FINAL:
                self.move(child, Event.PARENT_FAILED, message=reason)
                yield child
                doomed.extend(child.children or ())

    # --- values ---

    def value(self, number: int, port: str) -> Raw:
        """Raises LookupError if the job has made nothing."""
        outputs = self.jobs[number].outputs
        if outputs is None:
            raise LookupError(f"job {number} has no outputs")
        return outputs.get(port, NULL)

    def inputs(self, job: LiveJob) -> dict[str, Raw]:
        """What a job reads, whose parents have finished. Raises JobError."""
        return {name: resolve(tree, self.value, self.elements) for name, tree in job.plan.inputs.items()}

    def previous(self, job: LiveJob) -> dict[str, Raw]:
        """The inputs of the iteration before, of a loop's node."""
        before = job.plan.previous
        return dict(self.jobs[before].outputs or {}) if before >= 0 else {}
