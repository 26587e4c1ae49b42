"""What can be wrong with a workflow although its document is valid, checked on lowered records."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from cwlbalsam.cwl.records import (
    ArrayType,
    EnumType,
    Field,
    Link,
    Primitive,
    Process,
    RecordType,
    Source,
    Step,
    Type,
    UnionType,
    WorkflowProcess,
)
from cwlbalsam.cwl.types import NULL, accepts_null, describe, options_of, without_null
from cwlbalsam.errors import Problem, did_you_mean

Features = Mapping[str, frozenset[str]]
# A value of the left type may be given where the right one is wanted.
WIDENINGS = {
    ("int", "long"),
    ("int", "float"),
    ("int", "double"),
    ("long", "float"),
    ("long", "double"),
    ("float", "double"),
}


def check_workflow(
    workflow: WorkflowProcess, processes: Sequence[Process], features: Features
) -> tuple[list[Problem], list[Problem]]:
    """Mistakes and doubts. features: requirement classes that hold for each step, and under "" for the workflow."""
    problems: list[Problem] = []
    warnings = shared_names(workflow)
    for step in workflow.steps:
        process = processes[step.run]
        problems += _check_interface(step, process)
        problems += _check_features(step, process, features[step.name])
    for link in workflow.links:
        if len(link.sources) > 1 and "MultipleInputFeatureRequirement" not in features[""]:
            problems.append(_missing_feature(link.place, "MultipleInputFeatureRequirement", "several sources"))
    if not problems:
        found, doubts = _check_links(workflow, processes)
        problems += found
        warnings += doubts
        problems += _check_cycles(workflow)
    return problems, warnings


def shared_names(workflow: WorkflowProcess) -> list[Problem]:
    """Steps that are called as an input or output of their workflow: in a packed document one would hide the other."""
    named = {field.name: "output" for field in workflow.outputs} | {field.name: "input" for field in workflow.inputs}
    return [
        Problem(
            step.place,
            f"step '{step.name}' has the name of an {named[step.name]} of the workflow",
            "not all programs can tell them apart: rename one",
        )
        for step in workflow.steps
        if step.name in named
    ]


def fits(source: Type, sink: Type, *, strict: bool = False) -> bool:
    """Whether values of the source type are values of the sink type: all of them (strict) or some but null."""
    if "Any" in (_primitive(source), _primitive(sink)):
        return True
    if isinstance(source, UnionType):
        if strict:
            return all(fits(option, sink, strict=True) for option in source.options)
        return any(fits(option, sink) for option in source.options if option != NULL)
    if isinstance(sink, UnionType):
        return any(fits(source, option, strict=strict) for option in sink.options)
    match source, sink:
        case ArrayType(), ArrayType():
            return fits(source.items, sink.items, strict=strict)
        case RecordType(), RecordType():
            given = {field.name: field.type for field in source.fields}
            return all(fits(given.get(field.name, NULL), field.type, strict=strict) for field in sink.fields)
        case EnumType(), EnumType():
            return bool(set(source.symbols) <= set(sink.symbols) if strict else set(source.symbols) & set(sink.symbols))
        case EnumType(), Primitive(name="string"):
            return True
        case Primitive(name="string"), EnumType():
            return not strict
    return source == sink or (_primitive(source), _primitive(sink)) in WIDENINGS


def _known(wanted: str, known: Iterable[str]) -> str:
    """A hint: the names most like the wanted one, else all of them."""
    names = sorted(known)
    return did_you_mean(wanted, names, f"there are {', '.join(map(repr, names))}" if names else "there are none")


def _primitive(value: Type) -> str:
    return value.name if isinstance(value, Primitive) else ""


def _check_interface(step: Step, process: Process) -> Iterator[Problem]:
    known = {field.name for field in process.outputs}
    for name in step.outputs:
        if name not in known:
            message = f"step '{step.name}': '{process.id}' has no output '{name}'"
            yield Problem(step.place, message, _known(name, known))
    given = {link.name for link in step.inputs}
    for field in process.inputs:
        if field.name not in given and field.default is None and not accepts_null(field.type):
            message = f"step '{step.name}': required input '{field.name}' of '{process.id}' is not given"
            yield Problem(step.place, message, f"add `{field.name}:` under the step's `in`")
    for link in step.loop.links if step.loop else ():
        if link.name not in given:
            message = f"step '{step.name}' loops over '{link.name}', which is no input of the step"
            yield Problem(link.place, message, _known(link.name, given))
        for source in link.sources:
            if source.port not in step.outputs:
                message = f"step '{step.name}', loop input '{link.name}': the step has no output '{source.port}'"
                yield Problem(link.place, message, _known(source.port, step.outputs))
    for name in step.scatter:
        if name not in given:
            message = f"step '{step.name}' scatters over '{name}', which is no input of the step"
            yield Problem(step.place, message, _known(name, given))


def _check_features(step: Step, process: Process, features: frozenset[str]) -> Iterator[Problem]:
    links = (*step.inputs, *(step.loop.links if step.loop else ()))
    wanted = {
        "ScatterFeatureRequirement": ("scatter", bool(step.scatter)),
        "SubworkflowFeatureRequirement": ("a workflow as a step", isinstance(process, WorkflowProcess)),
        "MultipleInputFeatureRequirement": ("several sources", any(len(link.sources) > 1 for link in links)),
        "StepInputExpressionRequirement": ("valueFrom", any(link.value_from is not None for link in links)),
    }
    for name, (what, used) in wanted.items():
        if used and name not in features:
            yield _missing_feature(step.place, name, f"step '{step.name}': {what}")


def _missing_feature(place: str, name: str, what: str) -> Problem:
    return Problem(place, f"{what} needs {name}", f"add `requirements: {{{name}: {{}}}}` to the workflow")


def _check_links(workflow: WorkflowProcess, processes: Sequence[Process]) -> tuple[list[Problem], list[Problem]]:
    sources = _source_types(workflow, processes)
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for link, sink, what, converted in _sinks(workflow, processes):
        for source in link.sources:
            given = sources.get((source.step, source.port))
            name = f"{source.step}/{source.port}".strip("/")
            if given is None:
                names = [f"{step}/{port}".strip("/") for step, port in sources]
                problems.append(Problem(link.place, f"{what}: no such source '{name}'", _known(name, names)))
                continue
            if converted:
                continue
            merged = _merged(given, link)
            if not fits(merged, sink):
                message = f"{what}: source '{name}' of type {describe(merged)} cannot be a {describe(sink)}"
                problems.append(Problem(link.place, message))
            elif not fits(merged, sink, strict=True):
                message = f"{what}: source '{name}' of type {describe(merged)} may be no {describe(sink)}"
                warnings.append(Problem(link.place, message))
    return problems, warnings


def _source_types(workflow: WorkflowProcess, processes: Sequence[Process]) -> dict[tuple[str, str], Type]:
    types: dict[tuple[str, str], Type] = {("", field.name): field.type for field in workflow.inputs}
    for step in workflow.steps:
        process = processes[step.run]
        outputs = {field.name: field.type for field in process.outputs}
        depth = len(step.scatter) if step.scatter_method == "nested_crossproduct" else bool(step.scatter)
        for name in step.outputs:
            value = outputs[name]
            if step.when is not None and step.loop is None:
                value = _union(NULL, value)
            for _ in range(depth):
                value = ArrayType(items=value)
            if step.loop is not None and step.loop.output_method == "all_iterations":
                value = ArrayType(items=value)
            types[step.name, name] = value
    return types


def _sinks(workflow: WorkflowProcess, processes: Sequence[Process]) -> Iterator[tuple[Link, Type, str, bool]]:
    """Link, type wanted, what to call it, and whether an expression comes between so that types say nothing."""
    for step in workflow.steps:
        process = processes[step.run]
        fields: dict[str, Field] = {field.name: field for field in process.inputs}
        for link in step.inputs:
            field = fields.get(link.name)
            sink: Type = field.type if field else Primitive(name="Any")
            if field and (field.default is not None or link.default is not None):
                sink = _union(NULL, sink)
            if link.name in step.scatter:
                sink = ArrayType(items=sink)
            yield link, sink, f"step '{step.name}', input '{link.name}'", link.value_from is not None
    outputs = {field.name: field.type for field in workflow.outputs}
    for link in workflow.links:
        yield link, outputs[link.name], f"workflow output '{link.name}'", False


def _merged(source: Type, link: Link) -> Type:
    """What one source contributes to its sink, after linkMerge and pickValue."""
    if link.link_merge == "merge_flattened":
        options = (entry.items if isinstance(entry, ArrayType) else entry for entry in options_of(source))
        source = ArrayType(items=_union(*options))
    elif link.link_merge == "merge_nested":
        source = ArrayType(items=source)
    if link.pick_value and isinstance(source, ArrayType):
        inner = _union(*without_null(source.items))
        return ArrayType(items=inner) if link.pick_value == "all_non_null" else inner
    return source


def _union(*types: Type) -> Type:
    options: list[Type] = []
    for value in types:
        options.extend(options_of(value))
    unique = tuple(dict.fromkeys(options))
    return unique[0] if len(unique) == 1 else UnionType(options=unique)


def _check_cycles(workflow: WorkflowProcess) -> Iterator[Problem]:
    import networkx  # takes longer than to compile a small document

    places = {step.name: step.place for step in workflow.steps}
    graph = networkx.DiGraph()
    for step in workflow.steps:
        graph.add_edges_from((source.step, step.name) for source in _all_sources(step) if source.step)
    for component in networkx.strongly_connected_components(graph):
        start = min(component)
        if len(component) > 1 or graph.has_edge(start, start):
            cycle = [edge[0] for edge in networkx.find_cycle(graph.subgraph(component), start)]
            path = " -> ".join([*cycle, cycle[0]])
            yield Problem(places[start], f"steps wait for each other in a circle: {path}")


def _all_sources(step: Step) -> Iterator[Source]:
    for link in step.inputs:
        yield from link.sources
