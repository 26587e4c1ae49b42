"""The workflow with its steps coloured by what became of their jobs."""

import base64
from collections.abc import Mapping

from cwlbalsam.cwl.records import Program
from cwlbalsam.service.graph import draw, to_svg, walk

FILLS = {
    "done": "#a9cdf5",
    "failed": "#f2a09d",
    "killed": "#d3d8df",
    "running": "#9fe0d6",
    "waiting": "#eceff3",
    "skipped": "#d8cbf2",
}
MAX_NODES = 400
MAX_BYTES = 900_000


def draw_run(program: Program, states: Mapping[str, str]) -> str | None:
    """SVG in base64: as an image, it can neither run scripts nor clash with the page. None if nobody could read it.

    states: by step; a step that never got jobs is waiting.
    """
    graph = draw(program)
    nodes = [node for part in walk(graph) for node in part.nodes]
    if len(nodes) > MAX_NODES:
        return None
    for node in nodes:
        if node.kind in {"input", "output"}:
            node.fill = "#ffffff"
        else:
            node.fill = FILLS[states.get("" if node.id == "process" else node.id, "waiting")]
    text = to_svg(graph).encode()
    return base64.b64encode(text).decode() if len(text) <= MAX_BYTES else None
