"""The jobs that a document will have, as far as can be told before any of them has run.

What only a run can tell is assumed, and said: `when` is true, a loop does one iteration, a scatter over what a step
makes has GUESSED_WIDTH jobs.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from cwlbalsam.cwl.records import Program
from cwlbalsam.errors import JobError
from cwlbalsam.jobs.names import step_of
from cwlbalsam.jobs.references import (
    Const,
    Default,
    Elements,
    Item,
    ListOf,
    Merge,
    Pick,
    Port,
    Tree,
    array_items,
    is_array,
    parents,
    ports,
    resolve,
)
from cwlbalsam.parser.expand import Expander, Expansion, Planned

GUESSED_WIDTH = 10


class Unfolding:
    """All jobs that a Program will have, by id. widths: how many jobs steps turned out to have, where that is known."""

    def __init__(self, program: Program, values: Mapping[str, object], widths: Mapping[str, int] | None = None) -> None:
        self.jobs: dict[int, Planned] = {}
        self.notes: list[str] = []
        self._program = program
        self._widths = widths or {}
        self._expander = Expander(program)
        self._elements = Elements(self._known_port)
        self._gathers: dict[int, dict[str, Tree]] = {}
        self._waits: dict[int, list[int]] = {}
        self._makers: dict[tuple[int, str], frozenset[int]] = {}
        self._noted: set[str] = set()
        inputs = {name: Raw(msgspec.msgpack.encode(value)) for name, value in values.items()}
        waiting: deque[Planned] = deque()
        expansion, self.root = self._expander.start(inputs)
        self._admit(expansion, waiting)
        while waiting:
            self._unfold(waiting.popleft(), waiting)

    def _unfold(self, point: Planned, waiting: deque[Planned]) -> None:
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

    # --- what is known of a job ---

    def parents(self, planned: Planned) -> set[int]:
        """All jobs that must have ended before one."""
        gathered = self._gathers.get(planned.id, {})
        found = planned.parents().union(self._waits.get(planned.id, ()))
        return found.union(*map(parents, gathered.values())) if gathered else found

    def values(self, planned: Planned) -> dict[str, Any]:
        """The inputs of a job that depend on the inputs of all alone."""
        known = {name: self._value(tree) for name, tree in planned.inputs.items()}
        return {name: msgspec.msgpack.decode(raw) for name, raw in known.items() if raw is not None}

    def makers(self, planned: Planned) -> set[int]:
        """The jobs that compute what a job reads, past all that only structures the DAG."""
        trees = self._gathers.get(planned.id) or planned.inputs
        return set().union(*(self._makers_of(tree) for tree in trees.values()))

    def _makers_of(self, tree: Tree) -> frozenset[int]:
        if isinstance(tree, Item) and (element := self._element(tree.tree, tree.path)) is not None:
            return self._makers_of(element)
        found = [self._makers_at(port) for port in ports(tree)]
        return found[0] if len(found) == 1 else frozenset().union(*found)

    def _makers_at(self, port: Port) -> frozenset[int]:
        planned = self.jobs.get(port.job)
        if planned is None or planned.kind == "job":
            return frozenset([port.job])
        key = port.job, port.port
        if key not in self._makers:
            source = self._source(*key)
            self._makers[key] = self._makers_of(source) if source is not None else frozenset()
        return self._makers[key]

    def _element(self, tree: Tree, path: tuple[int, ...]) -> Tree | None:
        """One element of what a scatter gathers."""
        source = self._source(tree.job, tree.port) if isinstance(tree, Port) else tree
        if not path or source is None:
            return source
        if isinstance(source, ListOf):
            return self._element(source.items[path[0]], path[1:]) if path[0] < len(source.items) else None
        return self._element(source, path) if isinstance(source, Port) else None

    # --- growing ---

    def _admit(self, expansion: Expansion, waiting: deque[Planned]) -> None:
        for job in expansion.jobs:
            self.jobs[job.id] = job
        waiting.extend(expansion.jobs)
        self._gathers.update(expansion.gathers)
        for waiter, others in expansion.waits.items():
            self._waits.setdefault(waiter, []).extend(others)

    def _note(self, planned: Planned, text: str) -> None:
        path = step_of(planned.name)
        if path not in self._noted:
            self._noted.add(path)
            self.notes.append(f"step '{path}' {text}")

    def _lengths(self, point: Planned) -> dict[str, int]:
        step = self._expander.step(point)
        found = {name: self._length(point.inputs[name]) for name in step.scatter}
        if None not in found.values():
            return {name: length for name, length in found.items() if length is not None}
        if step_of(point.name) in self._widths and len(found) == 1 and "[" not in point.name:
            return dict.fromkeys(found, self._widths[step_of(point.name)])
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
        try:
            return resolve(tree, self._known_port, self._elements)
        except (LookupError, JobError):
            return None

    def _known_port(self, job: int, port: str) -> Raw:
        """Raises LookupError if only a run can tell."""
        source = self._source(job, port)
        if source is None:
            raise LookupError(port)
        return resolve(source, self._known_port, self._elements)

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

    def __iter__(self) -> Iterator[Planned]:
        return iter(self.jobs.values())
