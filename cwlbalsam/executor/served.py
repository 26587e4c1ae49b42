"""A run as the agent of a site serves it: its tasks, its Programs, and the way to tell it what became of them."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from cwlbalsam.cwl.tasks import Outcome, Task
from cwlbalsam.errors import UserError
from cwlbalsam.executor.crew import Crew, Written, by_task
from cwlbalsam.executor.dispatch import Dispatcher
from cwlbalsam.executor.frames import unpack_outcomes, unpack_reports
from cwlbalsam.executor.journal import read_journal, read_journals
from cwlbalsam.executor.messages import (
    CancelJobs,
    CleanUp,
    Ended,
    LearnProgram,
    Message,
    Opened,
    OpenRun,
    Recall,
    Refusal,
    Reported,
    Started,
    Submit,
    framed,
)
from cwlbalsam.executor.placement import Node
from cwlbalsam.executor.wires.base import Outlet

Asking = LearnProgram | Submit | CancelJobs | Recall | CleanUp


class Rules(Struct, frozen=True):
    """What holds for all runs of a site. check: raises UserError for a task that no node of the site could ever run.
    launching: makes an MPI job's launch command for its hosts; raises JobError. changed: called when tasks have come
    or gone."""

    check: Callable[[Task], None]
    launching: Callable[[Task], Task]
    changed: Callable[[], None]


class Guests(Protocol):
    """What a site does for runs of other machines, and after them."""

    def welcome(self, message: OpenRun) -> tuple[OpenRun, Opened]:
        """The run as the site has it. Raises UserError if it cannot be here."""

    def clean_up(self, message: OpenRun) -> None:
        """Remove what the run has left."""


class Served:
    """A run that is connected, or whose workers are still ending.

    nodes: as its dispatcher knows them, by place. is_done: nobody needs what it leaves.
    """

    def __init__(self, number: int, opened: OpenRun, outlet: Outlet, dispatcher: Dispatcher, rules: Rules) -> None:
        self.number, self.opened = number, opened
        self.dispatcher = dispatcher
        self.nodes: dict[int, Node] = {}
        self.workers: set[int] = set()
        self.closed = self.is_done = False
        self._rules = rules
        self._outlet = outlet
        self._programs: dict[str, bytes] = {}
        self.crew = Crew(dispatcher, self._programs.__getitem__, self._tell_ended, self._tell_started, rules.launching)

    # --- from the run ---

    def obey(self, message: Asking) -> None:
        match message:
            case LearnProgram(digest, body):
                self._programs[digest] = body
            case Submit(tasks):
                self._submit(tasks)
            case CancelJobs(jobs, unstarted):
                self.crew.cancel(jobs, unstarted=unstarted)
            case Recall(tasks):
                self._recall(tasks)
            case CleanUp():
                self.is_done = True

    def _submit(self, tasks: Sequence[Task]) -> None:
        fitting = []
        for task in tasks:
            try:
                self._rules.check(task)
                fitting.append(task)
            except UserError as error:
                self.crew.refuse(task, str(error))
        self.crew.submit(fitting)
        self._rules.changed()

    def _recall(self, tasks: Collection[tuple[int, int, bytes]] | None) -> None:
        journals = self.opened.journals
        written = by_task(list(read_journals(Path(journals)))) if journals else {}
        keys = list(written) if tasks is None else tasks
        self.tell(Ended([written.get(key) or _lost(*key) for key in keys]))

    # --- to the run ---

    def tell(self, message: Message) -> None:
        self._outlet.write(framed(message))

    def hand_on(self, said: bytes) -> None:
        """A worker's outcomes go to the run as they came, unless some are of tasks that the worker did not have."""
        reports = unpack_reports(said)
        known = self.crew.settle(reports)
        if len(known) == len(reports):
            self.tell(Reported(said))
        elif known:
            jobs = {report.job for report in known}
            self.tell(Ended([outcome for outcome in unpack_outcomes(said) if outcome.job in jobs]))

    def _tell_ended(self, outcomes: list[Outcome]) -> None:
        self.tell(Ended(outcomes))
        self._rules.changed()

    def _tell_started(self, jobs: list[int]) -> None:
        self.tell(Started(jobs))

    # --- journals ---

    def journal(self, worker: str) -> str:
        """Where a worker keeps its outcomes; "" if nowhere."""
        return str(Path(self.opened.journals, f"{worker}.journal")) if self.opened.journals else ""

    def written(self, worker: str) -> Written:
        path = self.journal(worker)
        return by_task(list(read_journal(Path(path)))) if path else {}


def _lost(job: int, attempt: int, fingerprint: bytes) -> Outcome:
    """Of a task that an agent had which has ended."""
    error = "the site's agent has ended"
    return Outcome(job=job, attempt=attempt, ending="temporary", error=error, fingerprint=fingerprint)


def refusal(error: UserError) -> bytes:
    problem = error.problems[0]
    return framed(Refusal(problem.message, problem.hint))
