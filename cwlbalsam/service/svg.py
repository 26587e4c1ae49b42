"""A layered drawing of a workflow graph in SVG, for machines without Graphviz.

Each cluster is laid out on its own: nodes and inner clusters in layers by longest path, each layer ordered by the mean
position of its neighbours above.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from cwlbalsam.service.shapes import COLOURS, Cluster, Node

CHARACTER = 6.2
HEIGHT = 32.0
GAP_X, GAP_Y = 18.0, 42.0
MARGIN, TITLE = 14.0, 18.0
PASSES = 4


@dataclass
class _Box:
    """A node or a whole cluster. x, y: of the upper left corner, within the surrounding cluster."""

    width: float
    height: float
    node: Node | None = None
    cluster: Cluster | None = None
    inside: list["_Box"] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0


def write_svg(graph: Cluster) -> str:
    """The whole SVG document."""
    outer = _lay_out(graph)
    places: dict[str, tuple[float, float, float]] = {}  # node id -> middle x, top, bottom
    shapes = list(_shapes(outer, 0.0, 0.0, places))
    lines = [_line(places[start], places[end]) for part in _clusters(outer) for start, end in part.edges]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{outer.width:.0f}" height="{outer.height:.0f}" '
        f'viewBox="0 0 {outer.width:.1f} {outer.height:.1f}" font-family="Helvetica, sans-serif" font-size="10">'
    )
    arrow = (
        '<defs><marker id="arrow" markerWidth="8" markerHeight="8" refX="7" refY="3" orient="auto">'
        '<path d="M0,0 L7,3 L0,6 z" fill="#333"/></marker></defs>'
    )
    return "\n".join([head, arrow, *shapes, *lines, "</svg>", ""])


def _clusters(box: _Box) -> Iterator[Cluster]:
    if box.cluster:
        yield box.cluster
    for inner in box.inside:
        yield from _clusters(inner)


def _lay_out(cluster: Cluster) -> _Box:
    boxes = {node.id: _node_box(node) for node in cluster.nodes}
    boxes |= {inner.id: _lay_out(inner) for inner in cluster.clusters}
    owner = {node.id: node.id for node in cluster.nodes}
    for inner in cluster.clusters:
        owner |= {port.id: inner.id for port in inner.nodes}
    parents: dict[str, list[str]] = {name: [] for name in boxes}
    for start, end in cluster.edges:
        if owner[start] != owner[end]:
            parents[owner[end]].append(owner[start])
    layers = _layers(parents)
    _order(layers, parents)
    return _place(cluster, [[boxes[name] for name in layer] for layer in layers])


def _node_box(node: Node) -> _Box:
    width = max(len(node.label), len(node.remark)) * CHARACTER + 16
    return _Box(max(width, 40.0), HEIGHT + (12 if node.remark else 0), node=node)


def _layers(parents: dict[str, list[str]]) -> list[list[str]]:
    """Names in layers, each below all of its parents. A cycle is cut where it is met."""
    depth: dict[str, int] = {}
    children: dict[str, list[str]] = {name: [] for name in parents}
    waiting = {name: len(above) for name, above in parents.items()}
    for name, above in parents.items():
        for parent in above:
            children[parent].append(name)
    ready = [name for name, count in waiting.items() if not count]
    while len(depth) < len(parents):
        if not ready:
            ready = [next(name for name in parents if name not in depth)]
        name = ready.pop()
        if name in depth:
            continue
        depth[name] = max((depth[parent] + 1 for parent in parents[name] if parent in depth), default=0)
        for child in children[name]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in parents:
        layers[depth[name]].append(name)
    return layers


def _order(layers: list[list[str]], parents: dict[str, list[str]]) -> None:
    for _ in range(PASSES):
        position: dict[str, float] = {}
        for layer in layers:
            for index, name in enumerate(layer):
                position.setdefault(name, index / max(len(layer), 1))
            means = {
                name: sum(position[parent] for parent in parents[name]) / len(parents[name])
                if parents[name] and all(parent in position for parent in parents[name])
                else position[name]
                for name in layer
            }
            layer.sort(key=means.__getitem__)
            position |= {name: (index + 0.5) / len(layer) for index, name in enumerate(layer)}


def _place(cluster: Cluster, layers: list[list[_Box]]) -> _Box:
    widths = [sum(box.width for box in layer) + GAP_X * (len(layer) - 1) for layer in layers]
    inner = max([*widths, len(cluster.label) * CHARACTER], default=0.0)
    y = MARGIN + TITLE
    for layer, width in zip(layers, widths, strict=True):
        x = MARGIN + (inner - width) / 2
        tallest = max(box.height for box in layer)
        for box in layer:
            box.x, box.y = x, y + (tallest - box.height) / 2
            x += box.width + GAP_X
        y += tallest + GAP_Y
    bottom = y - (GAP_Y if layers else 0.0) + MARGIN
    return _Box(inner + 2 * MARGIN, bottom, cluster=cluster, inside=[box for layer in layers for box in layer])


def _shapes(box: _Box, x: float, y: float, places: dict[str, tuple[float, float, float]]) -> Iterator[str]:
    x, y = x + box.x, y + box.y
    if box.node:
        places[box.node.id] = (x + box.width / 2, y, y + box.height)
        yield _node_shape(box.node, box, x, y)
        return
    label = box.cluster.label if box.cluster else ""
    yield (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="6" fill="none" '
        f'stroke="#999" stroke-dasharray="4 3"/>'
    )
    yield f'<text x="{x + MARGIN:.1f}" y="{y + TITLE:.1f}" font-weight="bold">{escape(label)}</text>'
    for inner in box.inside:
        yield from _shapes(inner, x, y, places)


def _node_shape(node: Node, box: _Box, x: float, y: float) -> str:
    dash = ' stroke-dasharray="5 3"' if node.dashed else ""
    width = ' stroke-width="3"' if node.double else ""
    corner = box.height / 2 if node.kind in {"input", "output"} else 2
    middle = x + box.width / 2
    rect = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{corner:.0f}" '
        f'fill="{node.fill or COLOURS[node.kind]}" stroke="#333"{dash}{width}/>'
    )
    text = f'<text x="{middle:.1f}" y="{y + 20:.1f}" text-anchor="middle">{escape(node.label)}</text>'
    if node.remark:
        text += f'<text x="{middle:.1f}" y="{y + 34:.1f}" text-anchor="middle" fill="#555">{escape(node.remark)}</text>'
    return f"<g id={quoteattr(node.id)}>{rect}{text}</g>"


def _line(start: tuple[float, float, float], end: tuple[float, float, float]) -> str:
    (x1, _, y1), (x2, y2, _) = start, end
    bend = (y1 + y2) / 2
    path = f"M{x1:.1f},{y1:.1f} C{x1:.1f},{bend:.1f} {x2:.1f},{bend:.1f} {x2:.1f},{y2 - 1:.1f}"
    return f'<path d="{path}" fill="none" stroke="#333" marker-end="url(#arrow)"/>'
