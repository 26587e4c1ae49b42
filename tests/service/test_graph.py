import shutil
from xml.dom.minidom import parseString

import pytest

from cwlbalsam.cwl.records import Field, Link, Primitive, Program, Source, Step, ToolProcess, WorkflowProcess
from cwlbalsam.service import graph as drawing
from cwlbalsam.service.graph import draw, render, to_dot, walk
from cwlbalsam.service.shapes import Cluster
from cwlbalsam.service.svg import write_svg

ANY = Primitive(name="Any")
PORT = (Field(name="x", type=ANY),)
TOOL = ToolProcess(id="tool", version="v1.2", inputs=PORT, outputs=PORT)


def step(name: str, run: int, source: Source, **more: object) -> Step:
    links = (Link(name="x", sources=(source,)),)
    return Step(name=name, run=run, inputs=links, outputs=("x",), version="v1.2", **more)  # type: ignore[arg-type]


def workflow(*steps: Step, result: str) -> WorkflowProcess:
    links = (Link(name="x", sources=(Source(step=result, port="x"),)),)
    return WorkflowProcess(id="wf", version="v1.2", inputs=PORT, outputs=PORT, links=links, steps=steps)


INNER = workflow(step("only", 0, Source(port="x")), result="only")
OUTER = workflow(
    step('first "<&>"', 0, Source(port="x"), scatter=("x",)),
    step("second", 1, Source(step='first "<&>"', port="x")),
    result="second",
)
PROGRAM = Program(uri="file:///wf.cwl", main=2, processes=(TOOL, INNER, OUTER))


def test_subworkflows_are_opened_and_edges_lead_to_their_ports() -> None:
    graph = draw(PROGRAM)
    assert [cluster.id for cluster in walk(graph)] == ["", "second/"]
    assert graph.edges == [
        ("in:x", 'first "<&>"'),
        ('first "<&>"', "second/in:x"),
        ("second/out:x", "out:x"),
    ]
    assert graph.clusters[0].edges == [("second/in:x", "second/only"), ("second/only", "second/out:x")]


def test_dot_is_quoted_and_shows_scatter() -> None:
    dot = to_dot(draw(PROGRAM))
    assert '"first \\"<&>\\"" [label="first \\"<&>\\"\\n(scatter x)"' in dot
    assert dot.count("subgraph") == 1


@pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz")
def test_graphviz_reads_the_dot() -> None:
    assert "first &quot;&lt;&amp;&gt;&quot;" in render(PROGRAM, "svg")


def test_svg_is_made_without_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing.shutil, "which", lambda _: None)
    svg = parseString(render(PROGRAM, "svg"))
    paths = [path for path in svg.getElementsByTagName("path") if path.getAttribute("marker-end")]
    assert len(svg.getElementsByTagName("g")) == 6
    assert len(paths) == 5


def test_a_cycle_is_drawn_nevertheless() -> None:
    nodes = [drawing.Node(name, name, "tool") for name in "ab"]
    parseString(write_svg(Cluster("", "", nodes=nodes, edges=[("a", "b"), ("b", "a"), ("a", "a")])))


def test_subworkflows_beyond_the_limit_stay_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MAX_NODES", 2)
    graph = draw(PROGRAM)
    assert graph.clusters == []
    assert ('first "<&>"', "second") in graph.edges


def test_a_tool_stands_between_its_inputs_and_outputs() -> None:
    graph = draw(Program(uri="", main=0, processes=(TOOL,)))
    assert graph.edges == [("in:x", "process"), ("process", "out:x")]
