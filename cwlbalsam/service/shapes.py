"""What a drawing of a workflow is made of."""

from dataclasses import dataclass, field
from typing import Literal

NodeKind = Literal["input", "output", "tool", "expression", "operation", "workflow"]
COLOURS = {
    "input": "#94ddf4",
    "output": "#94ddf4",
    "tool": "#f5f5dc",
    "expression": "#d3d3d3",
    "operation": "#ffffff",
    "workflow": "#f3cea1",
}


@dataclass
class Node:
    """id: unique in the graph. remark: scatter, loop or when, shown below the label. fill: empty: its kind's colour."""

    id: str
    label: str
    kind: NodeKind
    remark: str = ""
    dashed: bool = False
    double: bool = False
    fill: str = ""


@dataclass
class Cluster:
    """A workflow: its own nodes and the clusters of its subworkflows. The graph is the outermost one."""

    id: str
    label: str
    nodes: list[Node] = field(default_factory=list)
    clusters: list["Cluster"] = field(default_factory=list)
    edges: list[tuple[str, str]] = field(default_factory=list)
