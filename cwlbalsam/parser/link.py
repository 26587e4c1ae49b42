"""Linking: from a document to a Program.

Follows `run:` from the main process down. A body is lowered once; what its callers require is joined along each call
path, and every distinct (body, requirements) becomes one process of the Program.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from cwlbalsam.cwl.records import Link, Loop, Process, Program, Source, Step, WorkflowProcess
from cwlbalsam.errors import DocumentError, Problem, UnsupportedError, UserError
from cwlbalsam.parser.checks import check_workflow
from cwlbalsam.parser.fetching import show_uri
from cwlbalsam.parser.frontend import Library
from cwlbalsam.parser.lower import GIVEN, content_digest, lower_fields, lower_leaf, process_name, with_key
from cwlbalsam.parser.nodes import Node, as_list, shortname
from cwlbalsam.parser.ontology import load_ontology
from cwlbalsam.parser.requirements import Entry, Inherited, class_name, lower_requirements, read_entries
from cwlbalsam.parser.types import TypeLowering

PROCESS_CLASSES = {"CommandLineTool", "ExpressionTool", "Operation", "Workflow"}


@dataclass
class Linker:
    """Builds one Program.

    overrides: requirements by the URI of the process or step they are for. problems and warnings gather what is found
    on the way, so that all mistakes of a document are told at once.
    """

    library: Library
    overrides: Mapping[str, list[Entry]] = field(default_factory=dict)
    with_ontology: bool = True
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    types: TypeLowering = field(default_factory=TypeLowering)
    _bodies: dict[int, Process] = field(default_factory=dict)
    _linked: dict[Any, int] = field(default_factory=dict)
    _open: list[int] = field(default_factory=list)

    def program(self, uri: str) -> Program:
        """Raises DocumentError with everything that is wrong."""
        data, document = self.library.process(uri)
        main = self.process(Node(data, document), Inherited(), "main")
        if self.problems:
            # One mistake may be found by several callers, each with its hint.
            found = {(problem.place, problem.message): problem for problem in reversed(self.problems)}
            raise DocumentError(list(reversed(found.values())))
        processes = tuple(self.processes)
        ontology = load_ontology(self.library, self.warnings) if self.with_ontology else {}
        digest = content_digest([processes, main, ontology])
        return Program(
            uri=uri,
            main=main,
            processes=processes,
            namespaces=dict(document.namespaces),
            ontology=ontology,
            digest=digest,
        )

    def process(self, node: Node, inherited: Inherited, name: str) -> int:
        """The index of a process as it is under this call path."""
        requirements = [*read_entries(node, "requirements"), *self.overrides.get(str(node.get("id", "")), ())]
        inherited = inherited.under(requirements, read_entries(node, "hints"))
        if id(node.data) in self._open:
            raise DocumentError([Problem(node.place(), "the workflow runs itself")])
        key = (id(node.data), inherited.key())
        if key in self._linked:
            return self._linked[key]
        for entry in (*inherited.requirements.values(), *inherited.hints.values()):
            if entry.name == "SchemaDefRequirement":
                self.types.define(entry.node)
        self._open.append(id(node.data))
        try:
            process = self._link(node, inherited, name)
        finally:
            self._open.pop()
        index = self._linked[key] = len(self.processes)
        self.processes.append(process)
        return index

    def _link(self, node: Node, inherited: Inherited, name: str) -> Process:
        linked = lower_requirements(inherited, node.version)
        if node.get("class") == "Workflow":
            workflow = self._workflow(node, inherited, process_name(node, name))
            return with_key(replace(workflow, requirements=linked))
        body = self._bodies.get(id(node.data))
        if body is None:
            body = self._bodies[id(node.data)] = lower_leaf(node, self.types, process_name(node, name))
        return with_key(replace(body, requirements=linked))

    def _workflow(self, node: Node, inherited: Inherited, name: str) -> WorkflowProcess:
        inputs, outputs = lower_fields(node, self.types)
        step_nodes = node.named_children("steps")
        sources = _sources(node, step_nodes)
        steps = []
        for step_node in step_nodes:
            try:
                steps.append(self._step(step_node, inherited, sources))
            except UnsupportedError:
                raise  # it has an exit code of its own
            except UserError as error:
                self.problems.extend(error.problems)
        links = tuple(self._link_record(entry, "outputSource", sources) for entry in node.children("outputs"))
        workflow = WorkflowProcess(
            id=name,
            version=node.version,
            inputs=inputs,
            outputs=outputs,
            links=links,
            steps=tuple(steps),
            place=node.place(),
        )
        if len(steps) == len(step_nodes):
            problems, warnings = check_workflow(workflow, self.processes, _features(inherited, step_nodes))
            self.problems.extend(problems)
            self.warnings.extend(warnings)
        called = [process.digest for step in steps if (process := self.processes[step.run])]
        return replace(workflow, digest=content_digest([workflow, called], GIVEN))

    def _step(self, node: Node, inherited: Inherited, sources: Mapping[str, Source]) -> Step:
        name = shortname(node.get("id", ""))
        own = [*read_entries(node, "requirements"), *self.overrides.get(str(node.get("id", "")), ())]
        inherited = inherited.under(own, read_entries(node, "hints"))
        run = self._run(node, inherited, name)
        scatter = tuple(shortname(entry) for entry in as_list(node.get("scatter")))
        method = node.get("scatterMethod")
        if len(scatter) > 1 and method is None:
            problem = f"step '{name}' scatters over several inputs and needs a scatterMethod"
            raise DocumentError(
                [Problem(node.place("scatter"), problem, "one of dotproduct, flat_crossproduct, nested_crossproduct")]
            )
        loop, when = _loop(node, lambda entry: self._link_record(entry, "outputSource", None))
        if loop is not None and scatter:
            raise DocumentError([Problem(node.place("scatter"), f"step '{name}' cannot both scatter and loop")])
        step = Step(
            name=name,
            run=run,
            inputs=tuple(self._link_record(entry, "source", sources) for entry in node.named_children("in")),
            outputs=tuple(shortname(_identifier(entry)) for entry in as_list(node.get("out"))),
            scatter=scatter,
            scatter_method=method or "dotproduct",
            when=when if loop is not None else node.template("when"),
            loop=loop,
            scope=inherited.scope(),
            version=node.version,
            place=node.place(),
        )
        return replace(step, key=content_digest(replace(step, run=0)))

    def _run(self, node: Node, inherited: Inherited, name: str) -> int:
        target = node.get("run")
        if isinstance(target, Mapping):
            inner = node.child(target)
        else:
            try:
                inner = Node(*self.library.process(str(target)))
            except UnsupportedError:
                raise
            except UserError as error:
                raise DocumentError(
                    [
                        Problem(p.place or node.place("run"), p.message, p.hint or f"run by step '{name}'")
                        for p in error.problems
                    ]
                ) from error
        if inner.get("class") not in PROCESS_CLASSES:
            where = show_uri(str(target)) if isinstance(target, str) else "this"
            raise DocumentError([Problem(node.place("run"), f"{where} is no process")])
        return self.process(inner, inherited, name)

    def _link_record(self, node: Node, key: str, sources: Mapping[str, Source] | None) -> Link:
        """sources: None for a loop, whose sources are outputs of the iteration before."""
        written = node.get(key, node.get("loopSource"))
        found = [_source(uri, sources) for uri in map(str, as_list(written))]
        method: Any = node.get("linkMerge") or ("merge_nested" if len(found) > 1 else None)
        return Link(
            name=shortname(node.get("id", "")),
            sources=tuple(found),
            listed=isinstance(written, list),
            link_merge=method if found else None,
            pick_value=node.get("pickValue"),
            default=node.value("default"),
            load_contents=bool(node.get("loadContents")),
            load_listing=node.get("loadListing"),
            value_from=node.template("valueFrom"),
            place=node.place(key if written is not None else None),
        )


def _sources(node: Node, steps: Iterable[Node]) -> dict[str, Source]:
    """Everything that may be a source inside a workflow, by identifier."""
    sources = {str(entry.data["id"]): Source(port=shortname(entry.data["id"])) for entry in node.children("inputs")}
    for step in steps:
        for entry in as_list(step.get("out")):
            uri = _identifier(entry)
            sources[uri] = Source(step=shortname(step.data["id"]), port=shortname(uri))
    return sources


def _source(uri: str, sources: Mapping[str, Source] | None) -> Source:
    if sources is None:
        return Source(port=shortname(uri))
    # An identifier that is no source (a step, a step's input) gets a name that no source has; the checks report it.
    return sources.get(uri) or Source(step=uri.partition("#")[2], port="")


def _identifier(entry: Any) -> str:
    return str(entry["id"] if isinstance(entry, Mapping) else entry)


def _loop(node: Node, link: Any) -> tuple[Loop | None, Any]:
    """CWL v1.3's `loop` and cwltool:Loop are the same thing in two spellings."""
    old = next(
        (entry for entry in node.children("requirements") if class_name(str(entry.get("class"))) == "Loop"), None
    )
    if old is None and node.get("loop") is None:
        return None, None
    if old is not None and node.get("when") is not None:
        raise DocumentError([Problem(node.place("when"), "cwltool:Loop has its own loopWhen and takes no `when`")])
    source, when_key = (old, "loopWhen") if old is not None else (node, "when")
    when = source.template(when_key)
    if when is None:
        raise DocumentError([Problem(source.place(), f"a loop needs `{when_key}`, else it would never end")])
    every = source.get("outputMethod") in ("all", "all_iterations")
    return (
        Loop(
            links=tuple(link(entry) for entry in source.children("loop")),
            output_method="all_iterations" if every else "last_iteration",
            place=source.place("loop"),
        ),
        when,
    )


def _features(inherited: Inherited, steps: Iterable[Node]) -> dict[str, frozenset[str]]:
    """For each step (by name; "" is the workflow) the requirement classes that hold there."""
    base = {*inherited.requirements, *inherited.hints}
    features = {"": frozenset(base)}
    for step in steps:
        own = {
            class_name(str(entry.get("class", ""))) for key in ("requirements", "hints") for entry in step.children(key)
        }
        features[shortname(step.get("id", ""))] = frozenset(base | own)
    return features
