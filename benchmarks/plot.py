"""A result as a drawing: one bar a runner, grouped by case."""

from html import escape
from pathlib import Path

from benchmarks.compare import Row
from benchmarks.measure import summarise
from benchmarks.report import Result

WIDTH, LABEL, BAR, GAP, TEXT = 820, 240, 18, 14, 150
COLOURS = {"cwlbalsam": "#0b7a5c", "floor": "#8a8f98"}
OTHERS = "#c3784a"


def write_plot(result: Result, folder: Path, name: str) -> None:
    """Keep `<name>.svg`."""
    (folder / f"{name}.svg").write_text(draw(result))


def draw(result: Result) -> str:
    """SVG; bars are as long as the median wall times, from zero, on a scale of their own for each case."""
    parts, top = [_text(10, 24, f"{result.experiment}: {result.title}", size=15)], 44
    for case, jobs in dict.fromkeys((row.case, row.jobs) for row in result.rows):
        rows = [row for row in result.rows if (row.case, row.jobs) == (case, jobs)]
        parts.append(_text(10, top + 13, f"{case}, {jobs:,} {'job' if jobs == 1 else 'jobs'}"))
        longest = max((summarise(row.samples).wall_seconds for row in rows if row.samples), default=1.0)
        for row in rows:
            parts += _bar(row, top, longest)
            top += BAR + 4
        top += GAP
    parts.append(_text(10, top + 10, f"seconds of wall time; {result.machine}", size=11))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top + 22}" font-family="sans-serif">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])


def _bar(row: Row, top: int, longest: float) -> list[str]:
    name = _text(LABEL - 6, top + 13, row.runner, anchor="end")
    if row.trouble or not row.samples:
        return [name, _text(LABEL + 4, top + 13, row.trouble or "not run", size=12)]
    seconds = summarise(row.samples).wall_seconds
    width = max(1.0, (WIDTH - LABEL - TEXT) * seconds / longest)
    colour = COLOURS.get(row.runner, OTHERS)
    bar = f'<rect x="{LABEL}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>'
    return [name, bar, _text(LABEL + width + 6, top + 13, f"{seconds:.3g} s", size=12)]


def _text(x: float, y: float, text: str, size: int = 13, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'
