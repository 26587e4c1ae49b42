"""What a document is expected to run, and where it could, as a problem for the planner."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from msgspec import Struct

from cwlbalsam.cwl.records import ExpressionProcess, Process, Program, ToolProcess
from cwlbalsam.cwl.resources import static_grant
from cwlbalsam.cwl.tasks import Grant
from cwlbalsam.cwl.values import files_and_directories
from cwlbalsam.errors import JobError, UserError
from cwlbalsam.jobs.names import step_of
from cwlbalsam.parser.expand import Planned
from cwlbalsam.planner.problem import (
    Constraints,
    Data,
    Duration,
    Job,
    Link,
    Objective,
    Option,
    Problem,
    Site,
    Work,
)
from cwlbalsam.service.room import ENGINE, Ground, cores_of, room
from cwlbalsam.service.unfolding import Unfolding
from cwlbalsam.sites.site import LOCAL

TOOL = Duration(60.0, 1.0)
"""Of a command of which nothing is known: two thirds of them end within 22 to 163 s."""
EXPRESSION = Duration(0.02, 0.5)
NOTHING = Duration(0.0)
MOST_READ = 500_000
"""Pairs of a job and what it reads: beyond, files are not planned with."""


class Fixed(Struct, frozen=True):
    """A job whose site is settled. seconds: that it still takes; 0.0: it has ended."""

    site: str
    seconds: Duration


class Estimates(Protocol):
    """What is expected of a tool's jobs before they run."""

    def seconds(self, tool: ToolProcess, jobs: Sequence[Mapping[str, Any]], site: str) -> Sequence[Duration]:
        """jobs: of each, those inputs that are known."""

    def output_bytes(self, tool: ToolProcess) -> float:
        """Of one job, all its files together."""


class Assumed:
    """Without any history."""

    def seconds(self, tool: ToolProcess, jobs: Sequence[Mapping[str, Any]], site: str) -> Sequence[Duration]:
        """See `Estimates`."""
        return [assumed(tool)] * len(jobs)

    def output_bytes(self, tool: ToolProcess) -> float:
        """See `Estimates`."""
        return 0.0


def assumed(process: Process) -> Duration:
    """What a tool's time limit leaves likely."""
    if isinstance(process, ToolProcess):
        limit = process.requirements.time_limit
        return Duration(min(TOOL.median, limit / 2), TOOL.spread) if isinstance(limit, float) and limit else TOOL
    return EXPRESSION if isinstance(process, ExpressionProcess) else NOTHING


class Terms(Struct, frozen=True, kw_only=True):
    """What a plan is made with. allowed: the sites that a step may go to. links: between sites, by their names.

    fixed: jobs whose site is settled, by name.
    """

    grounds: Sequence[Ground]
    allowed: Callable[[str], Sequence[str]] = lambda _: ()
    estimates: Estimates = Assumed()
    links: Mapping[tuple[str, str], Link] = {}
    constraints: Constraints = Constraints()
    objective: Objective = "time"
    fixed: Mapping[str, Fixed] = {}


@dataclass
class Expected:
    """notes: what was assumed, a sentence each."""

    problem: Problem
    notes: list[str] = field(default_factory=list)


def expect(
    program: Program, values: Mapping[str, object], terms: Terms, widths: Mapping[str, int] | None = None
) -> Expected:
    """The jobs of a Program. Raises UserError for a step that no site can run, and says why not."""
    return _Expecting(program, Unfolding(program, values, widths), terms).make()


class _Expecting:
    def __init__(self, program: Program, unfolded: Unfolding, terms: Terms) -> None:
        self.program, self.unfolded, self.terms = program, unfolded, terms
        self.grounds = {ground.name: ground for ground in terms.grounds}
        # Site 0 is this machine, whether tools may run here or not: what takes no node belongs to it.
        self.sites = [LOCAL, *(name for name in self.grounds if name != LOCAL)]
        self.number = {job.id: index for index, job in enumerate(unfolded)}
        self.works: list[Work] = []
        self.work_of: dict[Any, int] = {}
        self.notes: list[str] = []

    def make(self) -> Expected:
        work = self._works()
        inputs, data = self._data() if len(self.sites) > 1 else ({}, [])
        jobs = tuple(
            Job(
                planned.name,
                work[planned.id],
                inputs=inputs.get(planned.id, ()),
                after=tuple(sorted(self.number[other] for other in self.unfolded.parents(planned))),
            )
            for planned in self.unfolded
        )
        problem = Problem(
            jobs=jobs,
            works=tuple(self.works),
            sites=tuple(map(self._site, self.sites)),
            data=tuple(data),
            links=tuple(self._links()),
            constraints=self.terms.constraints,
            objective=self.terms.objective,
        )
        return Expected(problem, [*self.unfolded.notes, *self.notes])

    # --- works ---

    def _works(self) -> dict[int, int]:
        """Of each job, the number of its work."""
        found: dict[int, int] = {}
        alike: dict[tuple[str, int], list[Planned]] = {}
        for planned in self.unfolded:
            fixed = self.terms.fixed.get(planned.name) if planned.kind == "job" else None
            process = self.program.processes[planned.process]
            if planned.kind == "job" and isinstance(process, ToolProcess):
                if fixed is not None and not fixed.seconds.median:
                    ended = Option(self.sites.index(fixed.site), NOTHING, nodes=0)
                    found[planned.id] = self._add(step_of(planned.name), (ended,), needs_engine=False)
                else:
                    alike.setdefault((step_of(planned.name), planned.process), []).append(planned)
            else:
                seconds = assumed(process) if planned.kind == "job" and fixed is None else NOTHING
                option = Option(0, seconds, nodes=0)
                found[planned.id] = self._add(step_of(planned.name), (option,), needs_engine=False)
        for (step, index), jobs in alike.items():
            tool = self.program.processes[index]
            assert isinstance(tool, ToolProcess)
            found.update(self._tool_works(step, tool, jobs))
        return found

    def _tool_works(self, step: str, tool: ToolProcess, jobs: Sequence[Planned]) -> dict[int, int]:
        docker = tool.requirements.docker
        needs_engine = docker is not None and docker.required
        rooms = self._rooms(step, tool, needs_engine)
        inputs = [self.unfolded.values(job) for job in jobs]
        seconds = {name: self.terms.estimates.seconds(tool, inputs, name) for name in rooms}
        found = {}
        for number, job in enumerate(jobs):
            options = tuple(
                Option(self.sites.index(name), seconds[name][number], nodes=nodes, cores=cores)
                for name, (nodes, cores) in rooms.items()
            )
            fixed = self.terms.fixed.get(job.name)
            if fixed is not None:
                nodes, cores = rooms.get(fixed.site) or (1, 1)
                options = (Option(self.sites.index(fixed.site), fixed.seconds, nodes=nodes, cores=cores),)
            found[job.id] = self._add(step, options, needs_engine)
        return found

    def _add(self, name: str, options: tuple[Option, ...], needs_engine: bool) -> int:
        key = name, tuple((one.site, one.seconds.median, one.seconds.spread, one.nodes) for one in options)
        if key not in self.work_of:
            self.work_of[key] = len(self.works)
            self.works.append(Work(name, options, frozenset([ENGINE]) if needs_engine else frozenset()))
        return self.work_of[key]

    def _rooms(self, step: str, tool: ToolProcess, needs_engine: bool) -> dict[str, tuple[int, int]]:
        """Nodes and cores of each that a job takes, by the sites that can run it."""
        grant = static_grant(tool) or Grant()
        limit = tool.requirements.time_limit
        seconds = float(limit) if isinstance(limit, (int, float)) else 0.0
        found, why = {}, []
        for name in self.terms.allowed(step) or [ground.name for ground in self.terms.grounds]:
            try:
                found[name] = room(self.grounds[name], grant, seconds, needs_engine)
            except JobError as error:
                why.append((name, error))
        if found:
            return found
        if len(why) == 1:
            problem = why[0][1].problems[0]
            raise UserError(f"step '{step}' cannot run at site '{why[0][0]}': {problem.message}", hint=problem.hint)
        lines = "\n".join(f"{name}: {error.problems[0].message}" for name, error in why)
        raise UserError(f"step '{step}' can run at none of the sites", hint=lines)

    # --- data ---

    def _data(self) -> tuple[dict[int, tuple[int, ...]], list[Data]]:
        """What each job reads, and the data: a user's file, or all that a job makes."""
        data: list[Data] = []
        of_job: dict[int, int] = {}
        of_file: dict[str, int] = {}
        found: dict[int, tuple[int, ...]] = {}
        home = tuple(index for index, name in enumerate(self.sites) if name == LOCAL or self.grounds[name].seen)
        total = 0
        for planned in self.unfolded:
            is_tool = planned.kind == "job" and self._tool(planned) is not None
            if not is_tool and planned.id != self.unfolded.root:
                continue
            mine = []
            for maker in sorted(self._tools_above(planned)):
                if maker not in of_job:
                    tool = self._tool(self.unfolded.jobs[maker])
                    size = self.terms.estimates.output_bytes(tool) if tool is not None else 0.0
                    of_job[maker] = len(data)
                    data.append(Data(size, producer=self.number[maker]))
                mine.append(of_job[maker])
            for path, size in _files(self.unfolded.values(planned)) if is_tool else ():
                if path not in of_file:
                    of_file[path] = len(data)
                    data.append(Data(size, sites=home))
                mine.append(of_file[path])
            found[planned.id] = tuple(dict.fromkeys(mine))
            total += len(mine)
            if total > MOST_READ:
                self.notes.append("the time to move files is not planned with: there are too many")
                return {}, []
        return found, data

    def _tools_above(self, planned: Planned) -> set[int]:
        """Commands that made what a job reads, past expressions, which hand files on."""
        found: set[int] = set()
        waiting, seen = list(self.unfolded.makers(planned)), set()
        while waiting:
            number = waiting.pop()
            if number in seen or number == planned.id:
                continue
            seen.add(number)
            maker = self.unfolded.jobs[number]
            if self._tool(maker) is not None:
                found.add(number)
            else:
                waiting += self.unfolded.makers(maker)
        return found

    def _tool(self, planned: Planned) -> ToolProcess | None:
        process = self.program.processes[planned.process]
        return process if planned.kind == "job" and isinstance(process, ToolProcess) else None

    # --- sites ---

    def _site(self, name: str) -> Site:
        ground = self.grounds.get(name)
        if ground is None:
            return Site(name, ())
        software = frozenset([ENGINE]) if ground.engine else frozenset[str]()
        return Site(name, ground.windows, cores=cores_of(ground.limits("")), software=software)

    def _links(self) -> Iterator[Link]:
        for source, first in enumerate(self.sites):
            for target, second in enumerate(self.sites):
                if source != target:
                    known = self.terms.links.get((first, second)) or Link(source, target, 1e12, shared=False)
                    yield Link(source, target, known.bytes_per_second, known.latency_seconds, shared=False)


def _files(values: Mapping[str, Any]) -> Iterable[tuple[str, float]]:
    """Path and bytes of what a job reads of the user's."""
    for value in values.values():
        for found in files_and_directories(value):
            size = found.get("size")
            yield str(found.get("location") or found.get("path") or ""), float(size if isinstance(size, int) else 0)
