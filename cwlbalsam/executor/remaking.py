"""Files between jobs that turn out to be gone when somebody reads them: the jobs that made them run again.

Values stay as they were recorded. What a job made the second time is put into the inputs of whoever reads it from then
on, however the value came there, so nothing between the two has to run again.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from cwlbalsam.cwl.values import files_and_directories
from cwlbalsam.errors import JobError, Problem
from cwlbalsam.executor.books import Books
from cwlbalsam.executor.events import JobsAdded, Reporter, Warned
from cwlbalsam.executor.live import LiveJob
from cwlbalsam.jobs.commands import COMMAND
from cwlbalsam.jobs.model import BalsamJob, State
from cwlbalsam.jobs.names import attempts_above, step_of
from cwlbalsam.jobs.references import parents, unpack_trees
from cwlbalsam.jobs.states import FINAL

SHOWN = 3


class Loss(Struct, frozen=True):
    """A file that is gone. directory: of the attempt of `maker` that had made it."""

    location: str
    directory: str
    maker: LiveJob


class Remade(Struct, frozen=True):
    """Where an attempt's files are now; where they were if it has made none. values: those that the new attempt has
    told of, by location."""

    directory: str
    values: dict[str, dict[str, Any]]


class Remaking:
    """read: a job as the store has it; None: nobody keeps what would be needed. commit: writes what has changed."""

    def __init__(self, books: Books, reporter: Reporter, commit: Callable[[], None]) -> None:
        self.read: Callable[[int], BalsamJob] | None = None
        self._books = books
        self._reporter = reporter
        self._commit = commit
        self._begun: set[int] = set()
        self._directories: dict[int, set[str]] = {}  # jobs under way once more: of files that are gone
        self._remade: dict[str, Remade] = {}  # by the directory that the files were in

    # --- gone ---

    def losses(self, missing: Iterable[str]) -> list[Loss]:
        """Of these locations those that a job has made; all others are the user's."""
        found = (self._loss(location) for location in missing)
        return [loss for loss in found if loss is not None]

    def _loss(self, location: str) -> Loss | None:
        for directory, number in attempts_above(location):
            job = self._books.jobs.get(number)
            if job is not None and (directory in self._remade or self._has_made(job, directory)):
                return Loss(location, directory, job)
        return None

    def _has_made(self, job: LiveJob, directory: str) -> bool:
        if job.plan.kind != "job" or job.plan.process == COMMAND or job.outputs is None:
            return False
        inside = f"{directory}/".encode(), f"{directory}.".encode()
        return any(start in bytes(raw) for raw in job.outputs.values() for start in inside)

    def begin(self, reader: LiveJob, losses: Iterable[Loss]) -> list[LiveJob]:
        """Have what is gone made again; returns the jobs that the reader has to wait for. Raises JobError, and begins
        nothing, if that cannot be."""
        by_maker: dict[int, list[Loss]] = {}
        for loss in losses:
            if not self._has_moved(loss.directory):  # else the reader had been started before
                by_maker.setdefault(loss.maker.plan.id, []).append(loss)
                self._check(loss)
        self._commit()  # that a job has ended is written before that it begins again
        for number, group in by_maker.items():
            if group[0].maker.state is State.JOB_FINISHED:
                self._restart(reader, group)
            self._directories.setdefault(number, set()).update(loss.directory for loss in group)
        return [group[0].maker for group in by_maker.values()]

    def _check(self, loss: Loss) -> None:
        job, name = loss.maker, loss.maker.plan.name
        if job.state not in FINAL:
            return
        problem = ""
        if job.state is not State.JOB_FINISHED:
            problem = f"job '{name}', which had made it, could not make it again"
        elif job.plan.id in self._begun:
            problem = f"job '{name}' has made it twice"
        elif self.read is None:
            problem = f"what job '{name}' would need to make it again is not kept"
        elif not self._is_known(job):
            problem = f"job '{name}' has made it in an earlier form of the workflow"
        if problem:
            hint = "when what removes it is mended, `cwlbalsam resume` makes it again"
            raise JobError(f"input {loss.location} is gone: {problem}", hint=hint)

    def _is_known(self, job: LiveJob) -> bool:
        """Whether all that it read is in the books."""
        assert self.read is not None
        job.plan.inputs = unpack_trees(self.read(job.plan.id).inputs)
        before = [self._books.jobs.get(number) for tree in job.plan.inputs.values() for number in parents(tree)]
        return all(found is not None and found.outputs is not None for found in before)

    def _restart(self, reader: LiveJob, losses: Sequence[Loss]) -> None:
        job = losses[0].maker
        self._begun.add(job.plan.id)
        self._books.restart(job)
        shown = ", ".join(loss.location for loss in losses[:SHOWN]) + (", ..." if len(losses) > SHOWN else "")
        message = f"'{job.plan.name}' runs again: '{reader.plan.name}' reads what it made, which is gone: {shown}"
        self._reporter.report(Warned(Problem("", message)))
        self._reporter.report(JobsAdded(1, Counter([step_of(job.plan.name)])))

    # --- made again ---

    def end(self, job: LiveJob, outputs: Mapping[str, Raw]) -> None:
        """A job has ended well; if it was one that ran once more, its files are where these outputs say."""
        number = job.plan.id
        lost = self._directories.pop(number, None)
        if lost is None:
            return
        values = {}
        directory = ""
        for raw in outputs.values():
            for value in files_and_directories(msgspec.msgpack.decode(raw)):
                for found, maker in attempts_above(value.get("location", "")):
                    if maker == number:
                        values[value["location"]], directory = value, found
        for before in lost:
            self._remade[before] = Remade(directory or before, values)

    def current(self, values: dict[str, Raw]) -> dict[str, Raw]:
        """Values with the files that were made again in place of those that are gone."""
        if not self._remade:
            return values
        return {name: self._current(raw) for name, raw in values.items()}

    def _has_moved(self, directory: str) -> bool:
        remade = self._remade.get(directory)
        return remade is not None and remade.directory != directory

    def _current(self, raw: Raw) -> Raw:
        if b"location" not in bytes(raw):
            return raw
        value = msgspec.msgpack.decode(raw)
        changed = [self._replace(found) for found in files_and_directories(value)]
        return Raw(msgspec.msgpack.encode(value)) if any(changed) else raw

    def _replace(self, value: dict[str, Any]) -> bool:
        location = value.get("location", "")
        for directory, _ in attempts_above(location):
            if self._has_moved(directory):
                remade = self._remade[directory]
                value["location"] = remade.directory + location[len(directory) :]
                told = remade.values.get(value["location"], {})
                for key in value.keys() & {"size", "checksum"}:
                    if key in told:
                        value[key] = told[key]
                    else:
                        del value[key]
                return True
        return False
