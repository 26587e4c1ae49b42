"""The workers that serve one run, wherever they are: tasks wait, go out in batches, and end in one outcome each."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.tasks import Ending, Outcome, Report, Task
from cwlbalsam.errors import UserError
from cwlbalsam.executor.dispatch import Batch, Dispatcher
from cwlbalsam.executor.frames import FRAME_TASKS, Cancel, Learn, Work, pack
from cwlbalsam.executor.placement import Node

R = TypeVar("R", Outcome, Report)
Written = Mapping[tuple[int, int, bytes], Outcome]
"""What a worker has journalled, by job, attempt and fingerprint."""


class Link(Protocol):
    """The way to one worker."""

    def send(self, frame: bytes) -> None:
        """Never waits, never fails: a worker that is gone is told by `Crew.lost`."""


class Member(Struct, eq=False):
    """A worker, and the Programs that it knows."""

    link: Link
    programs: set[str] = msgspec.field(default_factory=set)


class Crew:
    """programs: digest -> msgpack of a Program. on_outcomes, on_started: as a coordinator takes them. launching: makes
    the launch command of a task that has got its hosts; raises JobError."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        programs: Callable[[str], bytes],
        on_outcomes: Callable[[list[Outcome]], None],
        on_started: Callable[[list[int]], None],
        launching: Callable[[Task], Task] | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._programs = programs
        self._on_outcomes, self._on_started = on_outcomes, on_started
        self._launching = launching
        self._members: dict[int, Member] = {}
        self._cancels: list[tuple[int, Cancel]] = []
        self._unreported: list[Outcome] = []

    def __len__(self) -> int:
        """Tasks without an outcome that is reported."""
        return len(self._dispatcher) + len(self._unreported)

    @property
    def members(self) -> Collection[int]:
        return self._members.keys()

    def join(self, number: int, link: Link, node: Node) -> None:
        self._members[number] = Member(link)
        self._dispatcher.add_worker(number, node)

    def submit(self, tasks: Sequence[Task]) -> None:
        self._dispatcher.add(tasks)

    def refuse(self, task: Task, error: str, ending: Ending = "failed") -> None:
        """Answer a task that nobody has."""
        self._unreported.append(ended(task, ending, error))

    def cancel(self, jobs: Sequence[int], *, unstarted: bool = False) -> None:
        dropped, there = self._dispatcher.cancel(jobs)
        self._unreported += [ended(task, "cancelled", "cancelled") for task in dropped]
        for number, numbers in there.items():
            self._cancels.append((number, Cancel(numbers, unstarted)))

    def cancel_all(self) -> None:
        self.cancel(self._dispatcher.jobs())

    def turn(self) -> None:
        """Send what can be sent now, and report what is known."""
        for number, batch in self._dispatcher.assign().items():
            self._send(self._members[number], batch)
        for number, cancel in self._cancels:
            if number in self._members:
                self._members[number].link.send(pack(cancel))
        self._cancels.clear()
        self._tell_started()
        self._report([])

    def heard(self, outcomes: list[Outcome]) -> None:
        """What a worker has to report. Anything about a task that it does not have is dropped."""
        if known := self.settle(outcomes):
            self._report(known)

    def settle(self, reports: Sequence[R]) -> list[R]:
        """Tasks have ended: those that a worker had are returned, for the caller to report."""
        known = [report for report in reports if self._dispatcher.worker_of(report.job) is not None]
        for report in known:
            self._dispatcher.finished(report.job, report.ended - report.started)
        if known:
            self._tell_started()
        return known

    def lost(self, number: int, how: str, written: Written) -> None:
        """A worker has died, and nothing of its jobs lives."""
        if self._members.pop(number, None) is None:
            return
        for task in self._dispatcher.drop_worker(number):
            known = written.get((task.job, task.attempt, task.fingerprint))
            self._unreported.append(known or ended(task, "temporary", f"the worker that ran this job died{how}"))

    def give_up(self) -> None:
        """No worker will ever come."""
        for task in self._dispatcher.drop_waiting():
            self._unreported.append(ended(task, "temporary", "no worker is left"))

    def drop(self, jobs: Sequence[int], error: str) -> None:
        """Fail tasks that no worker has."""
        self._unreported += [ended(task, "failed", error) for task in self._dispatcher.drop_waiting(jobs)]

    def _send(self, member: Member, batch: Batch) -> None:
        for digest in {task.program for task in batch.tasks} - member.programs:
            member.link.send(pack(Learn(digest, self._programs(digest))))
            member.programs.add(digest)
        if self._launching is not None:
            batch.tasks = [task for task in map(self._launched, batch.tasks) if task is not None]
        limits = list(batch.limits.items())
        for first in range(0, len(batch.tasks), FRAME_TASKS):
            member.link.send(pack(Work(batch.tasks[first : first + FRAME_TASKS], limits)))

    def _launched(self, task: Task) -> Task | None:
        """With its launch command; None if there can be none, which is answered."""
        if not task.hosts or self._launching is None:
            return task
        try:
            return self._launching(task)
        except UserError as error:
            self._dispatcher.finished(task.job, 0.0)
            self._unreported.append(ended(task, "failed", str(error)))
            return None

    def _tell_started(self) -> None:
        if started := self._dispatcher.take_started():
            self._on_started(started)

    def _report(self, outcomes: list[Outcome]) -> None:
        outcomes, self._unreported = self._unreported + outcomes, []
        if outcomes:
            self._on_outcomes(outcomes)


def ended(task: Task, ending: Ending, error: str) -> Outcome:
    """The outcome of a task that no worker has ended."""
    return Outcome(job=task.job, attempt=task.attempt, ending=ending, error=error)


def by_task(outcomes: Sequence[Outcome]) -> Written:
    return {(outcome.job, outcome.attempt, outcome.fingerprint): outcome for outcome in outcomes}
