"""What a document is expected to run, as a problem for the planner: its jobs before any of them has run.

What only a run can tell is assumed, and said: `when` is true, a loop does one iteration, a scatter over what a step
makes has GUESSED_WIDTH jobs.
"""

import math
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from cwlbalsam.cwl.records import ExpressionProcess, Process, Program, ToolProcess
from cwlbalsam.cwl.resources import static_grant
from cwlbalsam.cwl.tasks import Grant
from cwlbalsam.executor.capacity import Capacity, Machine
from cwlbalsam.jobs.references import (
    Const,
    Default,
    Item,
    ListOf,
    Merge,
    Pick,
    Port,
    Tree,
    array_items,
    is_array,
    parents,
)
from cwlbalsam.parser.expand import Expander, Expansion, Planned
from cwlbalsam.planner.problem import Constraints, Duration, Job, Objective, Option, Problem, Site, Window, Work

GUESSED_WIDTH = 10
TOOL = Duration(60.0, 1.0)
"""Of a command of which nothing is known: two thirds of them end within 22 to 163 s."""
EXPRESSION = Duration(0.02, 0.5)
Estimate = Callable[[Process], Duration]


def assumed(process: Process) -> Duration:
    """Without any history: what a tool's time limit leaves likely."""
    if isinstance(process, ToolProcess):
        limit = process.requirements.time_limit
        return Duration(min(TOOL.median, limit / 2), TOOL.spread) if isinstance(limit, float) and limit else TOOL
    return EXPRESSION if isinstance(process, ExpressionProcess) else Duration(0.0)


@dataclass
class Expected:
    """notes: what was assumed, a sentence each."""

    problem: Problem
    notes: list[str] = field(default_factory=list)


def expect_local(
    program: Program,
    values: Mapping[str, object],
    machine: Machine,
    constraints: Constraints,
    objective: Objective = "time",
    estimate: Estimate = assumed,
) -> Expected:
    """The jobs of a Program on this machine alone. Raises JobError for a job that is larger than it."""
    inputs = {name: Raw(msgspec.msgpack.encode(value)) for name, value in values.items()}
    unfolded = _Unfolding(program, inputs)
    cores = max(math.floor(machine.cores), 1)
    number = {job: index for index, job in enumerate(unfolded.jobs)}
    works: dict[tuple[str, int], int] = {}
    made: list[Work] = []
    jobs: list[Job] = []
    for planned in unfolded.jobs.values():
        key = step_path(planned), planned.process if planned.kind == "job" else -1
        if key not in works:
            works[key] = len(made)
            made.append(_work(key[0], planned, program.processes[planned.process], machine, cores, estimate))
        after = tuple(sorted(number[other] for other in unfolded.parents(planned)))
        jobs.append(Job(planned.name, works[key], after=after))
    site = Site("local", (Window(1),), cores=cores)
    problem = Problem(jobs=tuple(jobs), works=tuple(made), sites=(site,), constraints=constraints, objective=objective)
    return Expected(problem, unfolded.notes)


def step_path(planned: Planned) -> str:
    """A job's name without the indices of scatters and loops: what all jobs of a step share."""
    return re.sub(r"\[[\d,]*\]", "", planned.name)


def _work(name: str, planned: Planned, process: Process, machine: Machine, cores: int, estimate: Estimate) -> Work:
    if planned.kind != "job" or not isinstance(process, ToolProcess):
        seconds = estimate(process) if planned.kind == "job" else Duration(0.0)
        return Work(name, (Option(0, seconds, nodes=0),))
    grant = static_grant(process) or Grant()
    Capacity(machine).check(grant)
    of_memory = grant.ram / machine.ram * cores if machine.ram else 0.0
    wanted = max(math.ceil(grant.cores), math.ceil(of_memory - 1e-9), 1)
    return Work(name, (Option(0, estimate(process), cores=min(wanted, cores)),))


class _Unfolding:
    """All jobs that a Program will have, by id, as far as can be told beforehand."""

    def __init__(self, program: Program, inputs: Mapping[str, Raw]) -> None:
        self.jobs: dict[int, Planned] = {}
        self.notes: list[str] = []
        self._program = program
        self._expander = Expander(program)
        self._gathers: dict[int, dict[str, Tree]] = {}
        self._waits: dict[int, list[int]] = {}
        self._noted: set[str] = set()
        waiting: deque[Planned] = deque()
        self._admit(self._expander.start(inputs)[0], waiting)
        while waiting:
            point = waiting.popleft()
            if point.kind == "scatter":
                self._admit(self._expander.scattered(point, self._lengths(point)), waiting)
            elif point.kind == "bind" and point.exit >= 0:
                self._note(point, "is taken to run: its `when` is known then only")
                self._admit(self._expander.bound(point), waiting)
            elif point.kind == "loop" and point.iteration == 0:
                self._note(point, "is taken to run once: how often it loops is known then only")
                self._admit(self._expander.repeated(point), waiting)
            elif point.kind == "loop":
                self._admit(self._expander.ended(point), waiting)
            elif point.kind == "job" and point.step and self._expander.step(point).when is not None:
                self._note(point, "is taken to run: its `when` is known then only")

    def parents(self, planned: Planned) -> set[int]:
        """All jobs that must have ended before one."""
        gathered = self._gathers.get(planned.id, {})
        found = planned.parents().union(self._waits.get(planned.id, ()))
        return found.union(*map(parents, gathered.values())) if gathered else found

    def _admit(self, expansion: Expansion, waiting: deque[Planned]) -> None:
        for job in expansion.jobs:
            self.jobs[job.id] = job
        waiting.extend(expansion.jobs)
        self._gathers.update(expansion.gathers)
        for waiter, others in expansion.waits.items():
            self._waits.setdefault(waiter, []).extend(others)

    def _note(self, planned: Planned, text: str) -> None:
        path = step_path(planned)
        if path not in self._noted:
            self._noted.add(path)
            self.notes.append(f"step '{path}' {text}")

    def _lengths(self, point: Planned) -> dict[str, int]:
        step = self._expander.step(point)
        found = {name: self._length(point.inputs[name]) for name in step.scatter}
        if None not in found.values():
            return {name: length for name, length in found.items() if length is not None}
        self._note(point, f"is taken to have {GUESSED_WIDTH} jobs: what it scatters over is known then only")
        if step.scatter_method != "dotproduct":
            return {name: GUESSED_WIDTH if length is None else length for name, length in found.items()}
        known = [length for length in found.values() if length is not None]
        return dict.fromkeys(found, known[0] if known else GUESSED_WIDTH)

    def _length(self, tree: Tree) -> int | None:
        """Of the array that a tree will be; None if only a run can tell."""
        value = self._value(tree)
        if value is not None:
            return len(array_items(value)) if is_array(value) else None
        match tree:
            case ListOf(items):
                return len(items)
            case Merge("nested", items):
                return len(items)
            case Merge(_, items):
                lengths = [self._length(one) for one in items]
                return sum(one for one in lengths if one is not None) if None not in lengths else None
            case Pick(_, inner) | Default(inner):
                return self._length(inner)
            case Port(job, port):
                source = self._source(job, port)
                return None if source is None else self._length(source)
        return None

    def _value(self, tree: Tree) -> Raw | None:
        """What a tree is, if it depends on the inputs alone."""
        match tree:
            case Const(known):
                return known
            case Port(job, port):
                source = self._source(job, port)
                return None if source is None else self._value(source)
            case Item(inner, path):
                element = self._value(inner)
                for index in path:
                    items = array_items(element) if element is not None and is_array(element) else []
                    element = items[index] if index < len(items) else None
                return element
            case Default(inner):
                return self._value(inner)
        return None

    def _source(self, job: int, port: str) -> Tree | None:
        """What a job that computes nothing hands on at a port."""
        planned = self.jobs.get(job)
        if planned is None or planned.kind == "job":
            return None
        source = self._gathers.get(job, {}).get(port) or planned.inputs.get(port)
        if source is None and planned.kind == "bind":
            fields = self._program.processes[planned.process].inputs
            default = next((one.default for one in fields if one.name == port), None)
            source = Const(Raw(msgspec.msgpack.encode(default)))
        return source
