"""A plan as a Gantt chart in SVG: a lane for each of the cores, or nodes, that are busy at once."""

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

from cwlbalsam.planner.plan import Placement
from cwlbalsam.service.planning import Planned, jobs_that_run
from cwlbalsam.service.report.timeline import lanes, ticks
from cwlbalsam.service.report.units import tick_text

WIDTH, LEFT, LANE, TOP = 1100.0, 90.0, 18.0, 26.0
MAX_LANES = 2000
COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#9c755f", "#bab0ac", "#ff9da7")


def write_chart(planned: Planned) -> str:
    """The whole SVG document; hovering over a bar names its job."""
    span = planned.plan.makespan or 1.0
    colours: dict[str, str] = {}
    body: list[str] = []
    y = TOP
    for number, site in enumerate(planned.problem.sites):
        jobs = [(name, placed) for name, placed in jobs_that_run(planned) if placed.site == number]
        rows = lanes([one.start for _, one in jobs], [one.end for _, one in jobs], MAX_LANES) or []
        if rows:
            body.append(f'<text x="4" y="{y + 13:.0f}">{_text(site.name)}</text>')
        for row in rows:
            body += [_bar(*jobs[index], y, span, colours) for index in row]
            y += LANE
        y += LANE / 2 if rows else 0
    height = y + 8
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {WIDTH:.0f} {height:.0f}" font-family="Helvetica, sans-serif" font-size="11">'
    )
    return "\n".join([head, *_axis(span, height), *body, "</svg>", ""])


def _axis(span: float, height: float) -> Iterator[str]:
    for time in ticks(span):
        x = _x(time, span)
        yield f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height:.0f}" stroke="#dddddd"/>'
        yield f'<text x="{x:.1f}" y="14" text-anchor="middle" fill="#555555">{tick_text(time)}</text>'


def _bar(name: str, placed: Placement, y: float, span: float, colours: dict[str, str]) -> str:
    step = re.sub(r"\[[\d,]*\]", "", name)
    colour = colours.setdefault(step, COLOURS[len(colours) % len(COLOURS)])
    x, end = _x(placed.start, span), _x(placed.end, span)
    width = max(end - x, 0.5)
    title = f"{name}: {placed.start:.6g} to {placed.end:.6g} s, {placed.cores} cores of {len(placed.nodes)} nodes"
    shape = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{LANE - 3:.0f}" fill="{colour}" rx="2"/>'
    return f"<g><title>{_text(title)}</title>{shape}</g>"


def _x(time: float, span: float) -> float:
    return LEFT + time / span * (WIDTH - LEFT - 20)


def _text(text: str) -> str:
    return escape(re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text))
