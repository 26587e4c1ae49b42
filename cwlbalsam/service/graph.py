"""A workflow as a graph: of inputs, steps and outputs, subworkflows drawn inside the step that runs them."""

import json
import shutil
import subprocess
from collections.abc import Iterator

from cwlbalsam.cwl.records import Link, Process, Program, Step, WorkflowProcess
from cwlbalsam.service.shapes import COLOURS, Cluster, Node, NodeKind
from cwlbalsam.service.svg import write_svg

MAX_NODES = 20_000  # subworkflows beyond these stay closed boxes
DOT_SECONDS = 60


def draw(program: Program) -> Cluster:
    """The graph of a document; of a single tool, the tool between its inputs and outputs."""
    return _Drawing(program).open(program.processes[program.main], "", program.processes[program.main].id)


class _Drawing:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.left = MAX_NODES

    def open(self, process: Process, prefix: str, label: str) -> Cluster:
        cluster = Cluster(prefix, label)
        for name in (one.name for one in process.inputs):
            cluster.nodes.append(Node(f"{prefix}in:{name}", name, "input"))
        for name in (one.name for one in process.outputs):
            cluster.nodes.append(Node(f"{prefix}out:{name}", name, "output"))
        self.left -= len(cluster.nodes)
        if isinstance(process, WorkflowProcess):
            self.fill(cluster, process)
        else:
            middle = Node(f"{prefix}process", label, _kind(process))
            cluster.nodes.append(middle)
            cluster.edges += [(node.id, middle.id) for node in cluster.nodes if node.kind == "input"]
            cluster.edges += [(middle.id, node.id) for node in cluster.nodes if node.kind == "output"]
        return cluster

    def fill(self, cluster: Cluster, workflow: WorkflowProcess) -> None:
        opened: dict[str, bool] = {}
        for step in workflow.steps:
            process = self.program.processes[step.run]
            self.left -= 1
            opened[step.name] = isinstance(process, WorkflowProcess) and self.left > 0
            if opened[step.name]:
                label = " ".join(filter(None, [step.name, _remark(step)]))
                cluster.clusters.append(self.open(process, f"{cluster.id}{step.name}/", label))
            else:
                cluster.nodes.append(_box(cluster.id, step, process))
        for step in workflow.steps:
            for link in step.inputs:
                target = f"{cluster.id}{step.name}"
                target = f"{target}/in:{link.name}" if opened[step.name] else target
                cluster.edges += [(source, target) for source in _sources(cluster.id, link, opened)]
        for link in workflow.links:
            target = f"{cluster.id}out:{link.name}"
            cluster.edges += [(source, target) for source in _sources(cluster.id, link, opened)]
        known = {node.id for part in walk(cluster) for node in part.nodes}
        pairs = dict.fromkeys(cluster.edges)
        cluster.edges = [pair for pair in pairs if pair[0] in known and pair[1] in known]


def walk(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster and all within."""
    yield cluster
    for inner in cluster.clusters:
        yield from walk(inner)


def _sources(prefix: str, link: Link, opened: dict[str, bool]) -> Iterator[str]:
    for source in link.sources:
        if not source.step:
            yield f"{prefix}in:{source.port}"
        elif opened.get(source.step):
            yield f"{prefix}{source.step}/out:{source.port}"
        else:
            yield f"{prefix}{source.step}"


def _box(prefix: str, step: Step, process: Process) -> Node:
    return Node(
        f"{prefix}{step.name}",
        step.name,
        _kind(process),
        remark=_remark(step),
        dashed=step.when is not None,
        double=bool(step.scatter),
    )


def _kind(process: Process) -> NodeKind:
    return process.__struct_config__.tag  # type: ignore[return-value]  # the tags are these words


def _remark(step: Step) -> str:
    parts = [f"scatter {', '.join(step.scatter)}"] if step.scatter else []
    parts += ["loop"] if step.loop else []
    parts += ["when"] if step.when is not None and not step.loop else []
    return f"({'; '.join(parts)})" if parts else ""


def to_dot(graph: Cluster) -> str:
    """The graph in Graphviz's language."""
    return "\n".join(["digraph workflow {", *_dot_lines(graph, 0), "}", ""])


def _dot_lines(cluster: Cluster, depth: int) -> Iterator[str]:
    pad = "  " * (depth + 1)
    yield f"{pad}label={_quote(cluster.label)};"
    if depth == 0:
        yield f"{pad}rankdir=TB; fontname=Helvetica;"
        yield f'{pad}node [shape=box, style=filled, fontname=Helvetica, fontsize=10, color="#333333"];'
    else:
        yield f'{pad}style="rounded,dashed"; fontname=Helvetica; fontsize=10;'
    for node in cluster.nodes:
        label = f"{node.label}\n{node.remark}" if node.remark else node.label
        extra = ", peripheries=2" if node.double else ""
        extra += ', style="filled,dashed"' if node.dashed else ""
        extra += ", shape=ellipse" if node.kind in {"input", "output"} else ""
        yield f'{pad}{_quote(node.id)} [label={_quote(label)}, fillcolor="{node.fill or COLOURS[node.kind]}"{extra}];'
    for inner in cluster.clusters:
        yield f"{pad}subgraph {_quote(f'cluster_{inner.id}')} {{"
        yield from _dot_lines(inner, depth + 1)
        yield f"{pad}}}"
    for start, end in cluster.edges:
        yield f"{pad}{_quote(start)} -> {_quote(end)};"


def _quote(text: str) -> str:
    """A quoted string of DOT, whose escapes are JSON's as far as labels go."""
    return json.dumps(text, ensure_ascii=False)


def to_svg(graph: Cluster) -> str:
    """The graph as SVG: drawn by Graphviz if it is here, else by a plain layout of our own."""
    program = shutil.which("dot")
    if program:
        try:
            done = subprocess.run(
                [program, "-Tsvg"], input=to_dot(graph), capture_output=True, text=True, timeout=DOT_SECONDS, check=True
            )
            return done.stdout
        except (OSError, subprocess.SubprocessError):
            pass
    return write_svg(graph)


def render(program: Program, form: str) -> str:
    """The drawing of a document; form: `dot` or `svg`."""
    graph = draw(program)
    return to_dot(graph) if form == "dot" else to_svg(graph)
