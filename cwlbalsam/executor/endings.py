"""What the end of an attempt means: for its job, which has finished, goes on, is tried again or fails, and for those
that wait for it."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from cwlbalsam.cwl.tasks import Grant, Outcome
from cwlbalsam.errors import JobError
from cwlbalsam.executor.asking import is_unsized
from cwlbalsam.executor.books import Books
from cwlbalsam.executor.events import JobEnded, JobKept, Reporter
from cwlbalsam.executor.growth import Growth
from cwlbalsam.executor.live import Failure, LiveJob, RetryPolicy
from cwlbalsam.executor.remaking import Loss, Remaking
from cwlbalsam.executor.transitions import Scripted, Scripts
from cwlbalsam.jobs.commands import COMMAND
from cwlbalsam.jobs.states import Event

MAX_LOSSES = 3  # a job that has ended so many workers gets no other one
KILLED = {-9, 137}  # exit codes of a command that was killed, as the kernel does when memory is short


class Endings:
    """stopping: nothing more is to be started. killed: jobs that the user wants to end, and that still run."""

    def __init__(
        self,
        books: Books,
        growth: Growth,
        scripts: Scripts,
        remaking: Remaking,
        reporter: Reporter,
        *,
        retry: RetryPolicy,
        stop_on_error: bool,
    ) -> None:
        self.failures: list[Failure] = []
        self.stopping = False
        self.killed: set[int] = set()
        self.retry = retry
        self._books = books
        self._growth = growth
        self._scripts = scripts
        self._remaking = remaking
        self._reporter = reporter
        self._stop_on_error = stop_on_error

    def take(self, job: LiveJob, outcome: Outcome) -> None:
        """An attempt has ended."""
        plan = job.plan
        match outcome.ending:
            case ending if plan.id in self.killed and ending not in ("done", "skipped"):
                self.kill(job, outcome)
            case "done" if is_unsized(job):
                job.grant = msgspec.convert(_decoded(outcome.outputs), Grant)
                self._again(job, spent=False)
            case "done" if self._scripts.has(job, "postprocess"):
                self._books.move(job, Event.RAN, outcome)
                self._scripts.begin(job, "postprocess", outcome)
            case "done" | "skipped":
                self._books.move(job, Event.SKIPPED if outcome.ending == "skipped" else Event.FINISHED, outcome)
                self._conclude(job, outcome)
            case _ if outcome.missing and (losses := self._remaking.losses(outcome.missing)):
                self._mend(job, outcome, losses)
            case "temporary" if outcome.exit_code is None and job.losses + 1 < MAX_LOSSES:
                job.losses += 1
                self._again(job, spent=True)
            case "cancelled" if self.stopping:
                self._again(job, spent=False)
                self._reporter.report(JobEnded(plan.name, plan.id, outcome.ending, outcome.error, outcome.log))
            case _ if job.failures < self.retry.retries and not outcome.bug and not self.stopping:
                job.failures += 1
                self._retry_failed(job, outcome)
            case _:
                self.fail(job, outcome.error, outcome)

    def take_over(self, job: LiveJob, outcome: Outcome) -> None:
        """Its attempt had ended so in an earlier part of the run."""
        skipped = outcome.ending == "skipped"
        if not skipped and not job.kept and self._scripts.has(job, "postprocess"):
            self._books.move(job, Event.DISPATCHED)
            self._books.move(job, Event.RAN, outcome)
            self._scripts.begin(job, "postprocess", outcome)
            return
        self._books.move(job, Event.SKIPPED if skipped else Event.FINISHED, outcome)
        self._finish(job, outcome)
        if job.plan.kind == "job":
            self._reporter.report(JobKept(job.plan.name, job.plan.id))

    def take_script(self, job: LiveJob, outcome: Outcome | None, ended: Scripted, error: str) -> None:
        """Its script has ended. outcome: of the job, if the script came after it. error: why the script has not ended
        well, or why what it asks for cannot be."""
        if not error:
            self._go_on(job, outcome)
        elif ended.cancelled or self.stopping:
            self._reporter.report(JobEnded(job.plan.name, job.plan.id, "cancelled", error))
        elif job.failures < self.retry.retries:
            job.failures += 1
            self._scripts.begin(job, ended.script.phase, outcome)
        else:
            self.fail(job, error, outcome)

    def _go_on(self, job: LiveJob, outcome: Outcome | None) -> None:
        if outcome is None:
            self._books.move(job, Event.PREPROCESSED)
            self._books.ready.append(job.plan.id)
            return
        for event in (Event.POSTPROCESSED, Event.STAGED_OUT, Event.FINISHED):
            self._books.move(job, event)
        self._conclude(job, outcome)

    # --- well ---

    def _conclude(self, job: LiveJob, outcome: Outcome) -> None:
        plan = job.plan
        self.killed.discard(plan.id)
        self._finish(job, outcome)
        if plan.kind == "job":
            seconds, reused = outcome.ended - outcome.started, outcome.reused
            self._reporter.report(
                JobEnded(plan.name, plan.id, outcome.ending, log=outcome.log, seconds=seconds, reused=reused)
            )

    def _finish(self, job: LiveJob, outcome: Outcome) -> None:
        """What waits for it goes on."""
        self._remaking.end(job, outcome.outputs)
        job.end(outcome.outputs)
        self._books.finished.append(job.plan.id)
        self._growth.conclude(job.plan, skipped=outcome.ending == "skipped")

    # --- once more ---

    def _again(self, job: LiveJob, *, spent: bool) -> None:
        """Through no fault of the job's."""
        self._books.move(job, Event.PREEMPTED)
        job.attempt += spent
        self._books.ready.append(job.plan.id)

    def _retry_failed(self, job: LiveJob, outcome: Outcome) -> None:
        timeout = outcome.ending == "timeout"
        self._books.move(job, Event.TIMED_OUT if timeout else Event.FAILED_RUN, outcome, outcome.error)
        self._books.move(job, Event.RETRY)
        if outcome.exit_code in KILLED and job.grant is not None:
            job.grant = replace(job.grant, ram=job.grant.ram * self.retry.memory_factor)
        if timeout:
            job.time_factor *= self.retry.time_factor
        job.attempt += 1
        self._books.ready.append(job.plan.id)

    def _mend(self, job: LiveJob, outcome: Outcome, losses: list[Loss]) -> None:
        """What it reads has to be made again."""
        if self.stopping:
            self._again(job, spent=True)
            self._reporter.report(JobEnded(job.plan.name, job.plan.id, "cancelled", outcome.error, outcome.log))
            return
        try:
            waits = self._remaking.begin(job, losses)
            job.losses += not waits  # it was started before; not for ever, whatever it calls what is gone
            if job.losses >= MAX_LOSSES:
                raise JobError(outcome.error)
        except JobError as error:
            self.fail(job, str(error), outcome)
            return
        self._books.move(job, Event.PREEMPTED, message=outcome.error)
        job.attempt += 1
        self._books.hold(job, waits)

    # --- badly ---

    def fail(self, job: LiveJob, error: str, outcome: Outcome | None = None) -> None:
        """For good. outcome: of its last attempt, if it came to one."""
        plan = job.plan
        self._books.move(job, Event.GIVE_UP, outcome, error)
        log, bug = (outcome.log, outcome.bug) if outcome else ("", False)
        self.failures.append(Failure(plan.id, plan.name, error, log, bug))
        self.stopping = self.stopping or self._stop_on_error
        ending = outcome.ending if outcome and outcome.ending != "done" else "failed"
        self._reporter.report(JobEnded(plan.name, plan.id, ending, error, log))
        self._growth.wither(job, "failed")

    def kill(self, job: LiveJob, outcome: Outcome | None = None) -> None:
        """As the user wants; nothing of it runs any more."""
        plan = job.plan
        self.killed.discard(plan.id)
        self._books.move(job, Event.KILLED_BY_USER, outcome, "killed by the user")
        if plan.process != COMMAND:  # the document's outputs depend on it
            self.failures.append(Failure(plan.id, plan.name, "killed by the user", "", bug=False))
        self._reporter.report(JobEnded(plan.name, plan.id, "killed", "killed by the user"))
        self._growth.wither(job, "was killed")


def _decoded(outputs: Mapping[str, Raw]) -> dict[str, object]:
    return {name: msgspec.msgpack.decode(value) for name, value in outputs.items()}
