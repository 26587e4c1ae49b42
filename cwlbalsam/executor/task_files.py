"""The files of the tasks of one run, which some of its sites have under paths of their own.

What a task reads is brought to where it runs, unless it is there; what it makes stays where it was made.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from cwlbalsam.cwl.places import HERE, SCHEME, location_at, split_location
from cwlbalsam.cwl.records import Program
from cwlbalsam.cwl.tasks import Outcome, Task
from cwlbalsam.cwl.values import files_and_directories
from cwlbalsam.executor.needs import (
    FILE_MARK,
    has_command,
    has_default_files,
    is_changed_first,
    reads_files,
    written_out,
)
from cwlbalsam.executor.wanted import Wanted
from cwlbalsam.executor.whereabouts import Whereabouts

SITE_MARK = SCHEME.encode()
"""In the msgpack of each location at a site."""
_encode = msgspec.msgpack.encode
Values = dict[str, Any]


class TaskFiles:
    """Places are named by whose paths they have: a site that shares this machine's files is HERE."""

    def __init__(self, program: Program, whereabouts: Whereabouts) -> None:
        self._program = program
        self._whereabouts = whereabouts

    def program_at(self, place: str) -> bytes:
        """What the document puts into working directories has another path at a site."""
        processes = []
        for process in self._program.processes:
            if any(True for _ in written_out(process)):
                process = msgspec.msgpack.decode(_encode(process), type=type(process))
                for value in written_out(process):
                    self._whereabouts.translate(place, value, {})
            processes.append(process)
        return _encode(replace(self._program, processes=tuple(processes)))

    def is_bound_here_first(self, task: Task, inputs: Values, previous: Values) -> bool:
        """Not if even that reads files that are not here, unless the document's own files are here."""
        if not is_changed_first(self._program, task, inputs):
            return False
        if task.top or has_default_files(self._program.processes[task.process], inputs):
            return True
        there = set(self._whereabouts.sizes([inputs, previous])) - {HERE}
        return not there or not reads_files(self._program, replace(task, mode="bind"), {**inputs, **previous})

    def where_most_is(self, values: Any) -> str:
        sizes = self._whereabouts.sizes(values)
        return max(sizes, key=lambda place: (sizes[place], place == HERE), default=HERE)

    async def moved(self, task: Task, place: str, inputs: Values, previous: Values) -> Task:
        """The task with paths of a place, where all its files are."""
        process = self._program.processes[task.process]
        private = f"{task.job}.{task.attempt}" if process.requirements.inplace_update else ""
        wanted: dict[str, Wanted] = {}
        for value in (inputs, previous):
            self._whereabouts.translate(place, value, wanted, private)
        if has_command(self._program, task):
            for value in msgspec.msgpack.decode(_encode(list(written_out(process)))):
                self._whereabouts.translate(place, value, wanted)
        if wanted:
            await self._whereabouts.bring(list(wanted.values()))
        return replace(task, inputs=encoded(inputs), previous=encoded(previous))

    def named(self, place: str, outcome: Outcome) -> Outcome:
        """The outcome with locations as the run has them."""
        outputs = dict(outcome.outputs)
        for name, raw in outputs.items():
            if FILE_MARK in bytes(raw):
                value = msgspec.msgpack.decode(raw)
                self._whereabouts.translate_back(place, value)
                outputs[name] = Raw(_encode(value))
        log, command = outcome.log, outcome.command
        if place != HERE:
            log = location_at(place, log) if log else ""
            if command is not None and command.stderr:
                command = replace(command, stderr=location_at(place, command.stderr))
        missing = self._whereabouts.locations_back(place, outcome.missing)
        return replace(outcome, outputs=outputs, log=log, command=command, missing=missing)

    async def with_log(self, outcome: Outcome) -> Outcome:
        """What a failed command has printed is fetched: the user wants to read it. All else stays where it is."""
        command = outcome.command
        log, stderr = await asyncio.gather(self.log(outcome.log), self.log(command.stderr if command else ""))
        if command is not None:
            outcome = replace(outcome, command=replace(command, stderr=stderr))
        return replace(outcome, log=log)

    async def log(self, location: str) -> str:
        """The path here of what was printed at a site; its location if it does not come."""
        value = {"class": "File", "location": location}
        if location:
            with contextlib.suppress(Exception):  # the site is down, or answers nonsense: perhaps that is why it failed
                await self._fetch([value])
                return split_location(value["location"])[1]
        return location

    async def close(self) -> None:
        """End what is under way."""
        await self._whereabouts.close()

    async def fetch(self, outputs: dict[str, Raw]) -> dict[str, Raw]:
        """Values with all their files here. Raises UserError."""
        values = {name: msgspec.msgpack.decode(raw) for name, raw in outputs.items() if SITE_MARK in bytes(raw)}
        await self._fetch(list(values.values()))
        return {**outputs, **encoded(values)}

    async def _fetch(self, values: list[Any]) -> None:
        wanted: dict[str, Wanted] = {}
        self._whereabouts.translate(HERE, values, wanted)
        if wanted:
            await self._whereabouts.bring(list(wanted.values()))


def forget_listings(values: Values) -> None:
    """Inputs are bound once more where their tool runs: what is listed there must not be listed one level deeper."""
    for value in values.values():
        for found in files_and_directories(value):
            if found["class"] == "Directory" and "location" in found:
                found.pop("listing", None)


def decoded(values: Mapping[str, Raw]) -> Values:
    return {name: msgspec.msgpack.decode(raw) for name, raw in values.items()}


def encoded(values: Values) -> dict[str, Raw]:
    return {name: Raw(_encode(value)) for name, value in values.items()}
