"""The drawings of a report, as SVG that takes its colours from the page's style."""

from collections.abc import Iterator

from cwlbalsam.service.report.run_data import ReportData, StepData
from cwlbalsam.service.report.text import say
from cwlbalsam.service.report.timeline import Bar, bars, concurrency, lanes, ticks
from cwlbalsam.service.report.units import count, seconds, tick_text

WIDTH, LEFT, RIGHT = 1100, 210, 20
INNER = WIDTH - LEFT - RIGHT
BINS = 440
MAX_LANES = 16
MAX_ROWS = 40
MAX_BARS = 5000
LANE, GAP, HEAD = 6, 9, 22
LANES_TALL = {1: 14, 2: 11, 3: 9, 4: 8, **dict.fromkeys(range(9, 17), 4)}
LABEL = 30


def x_of(time: float, span: float) -> float:
    return LEFT + INNER * min(max(time / span, 0.0), 1.0)


def gantt(data: ReportData) -> str:
    """A row for each step: its jobs in lanes, or how many ran at once where there are too many."""
    rows = [step for step in data.steps if step.starts]
    shown, others = rows, []
    if len(rows) > MAX_ROWS:
        longest = sorted(rows, key=lambda step: (bool(step.failed), sum(step.seconds)), reverse=True)[: MAX_ROWS - 1]
        keep = {id(step) for step in longest}
        shown = [step for step in rows if id(step) in keep]
        others = [step for step in rows if id(step) not in keep]
    if others:
        shown = [*shown, _joined(others)]
    budget = MAX_BARS
    parts: list[str] = []
    y = float(HEAD)
    for step in shown:
        height, body, used = _row(step, y, data.span, budget)
        budget -= used
        parts.append(_label(step, y, height))
        parts += body
        parts.append(
            f'<line class="rule" x1="0" x2="{WIDTH}" y1="{y + height + GAP / 2:.1f}" y2="{y + height + GAP / 2:.1f}"/>'
        )
        y += height + GAP
    return _chart("Timeline of the steps", y + 2, [*_grid(data.span, HEAD - 4, y), *parts])


def _joined(steps: list[StepData]) -> StepData:
    whole = StepData(name=f"{count(len(steps))} other steps")
    for step in steps:
        whole.bad |= {len(whole.starts) + index for index in step.bad}
        for name in ("total", "done", "skipped", "failed", "killed", "running", "waiting"):
            setattr(whole, name, getattr(whole, name) + getattr(step, name))
        for name in ("starts", "ends", "jobs"):
            getattr(whole, name).extend(getattr(step, name))
    return whole


def _label(step: StepData, y: float, height: float) -> str:
    name = step.name or "(the tool)"
    short = name if len(name) <= LABEL else f"{name[: LABEL // 2 - 1]}…{name[-LABEL // 2 :]}"
    ran = count(len(step.starts))
    return (
        f'<g><title>{say(name)}: {ran} jobs ran</title><text class="label" x="{LEFT - 10}" '
        f'y="{y + height / 2 + 4:.1f}" text-anchor="end">{say(short)}'
        f'<tspan class="dim"> {ran}</tspan></text></g>'
    )


def _row(step: StepData, y: float, span: float, budget: int) -> tuple[float, list[str], int]:
    """Height, drawing and number of bars of one step."""
    found = lanes(step.starts, step.ends, MAX_LANES)
    if found is not None:
        gap = 1.5 * span / INNER
        drawn = [bars(lane, step.starts, step.ends, step.bad, gap) for lane in found]
        used = sum(map(len, drawn))
        if used <= budget:
            tall = LANES_TALL.get(len(found), LANE)
            height = len(found) * (tall + 1.0)
            placed = [(bar, y + number * (tall + 1)) for number, lane in enumerate(drawn) for bar in lane]
            placed.sort(key=lambda pair: pair[0].bad)  # nothing may cover a failure
            parts = [_bar(step, bar, top, tall, span) for bar, top in placed]
            return height, parts, used
    height = 34.0
    values = concurrency(step.starts, step.ends, span, BINS)
    top = max(values)
    text = f"{step.name}: up to {top:,.0f} jobs at once"
    parts = [f'<g class="{_state(step)}"><title>{say(text)}</title>{_area(values, y, height, top)}</g>']
    failed = sorted({round(x_of(step.ends[index], span)) for index in step.bad})
    parts += [f'<rect class="failed" x="{x}" y="{y:.1f}" width="1.5" height="{height:.1f}"/>' for x in failed]
    return height, parts, len(failed)


def _state(step: StepData) -> str:
    return "failed" if step.failed and step.failed == len(step.starts) else "done"


def _bar(step: StepData, bar: Bar, y: float, height: float, span: float) -> str:
    left = x_of(bar.start, span)
    width = max(x_of(bar.end, span) - left, 2.5 if bar.bad else 1.2)
    what = step.jobs[bar.first] if bar.jobs == 1 else f"{count(bar.jobs)} jobs, first {step.jobs[bar.first]}"
    what = what or "the tool"
    title = f"{what[:120]}: {seconds(bar.start)} to {seconds(bar.end)} ({seconds(bar.end - bar.start)})"
    state = "failed" if bar.bad else "done"
    return (
        f'<rect class="{state}" x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">'
        f"<title>{say(title)}</title></rect>"
    )


def running(data: ReportData) -> str:
    """How many jobs ran at each moment."""
    starts = [start for step in data.steps for start in step.starts]
    ends = [end for step in data.steps for end in step.ends]
    values = concurrency(starts, ends, data.span, BINS)
    top = _round_up(max(values, default=0.0))
    height, y = 130.0, float(HEAD)
    parts = list(_grid(data.span, HEAD - 4, y + height))
    for share in (0.0, 0.5, 1.0):
        level = y + height * (1 - share)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level:.1f}" y2="{level:.1f}"/>')
        parts.append(f'<text class="axis" x="{LEFT - 10}" y="{level + 4:.1f}" text-anchor="end">{top * share:g}</text>')
    parts.append(f'<g class="done">{_area(values, y, height, top)}</g>')
    return _chart("Jobs running at once", y + height + 8, parts)


def _round_up(value: float) -> float:
    for scale in (1, 2, 4, 8, 10, 20, 40, 60, 80, 100, 200, 400, 600, 800, 1000, 2000, 4000, 8000):
        if value <= scale * 1.001:
            return float(scale)
    return value


def _area(values: list[float], y: float, height: float, top: float) -> str:
    bottom = y + height
    step = INNER / len(values)
    points = [f"M{LEFT},{bottom:.1f}"]
    before = -1.0
    for index, value in enumerate(values):
        level = bottom - height * min(value / top, 1.0) if top else bottom
        if abs(level - before) >= 0.05:
            points.append(f"H{LEFT + index * step:.1f}V{level:.1f}")
            before = level
    points.append(f"H{WIDTH - RIGHT}V{bottom:.1f}Z")
    return f'<path class="area" d="{"".join(points)}"/>'


def _grid(span: float, top: float, bottom: float) -> Iterator[str]:
    for tick in ticks(span):
        x = x_of(tick, span)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'
        yield f'<text class="axis" x="{x:.1f}" y="{top - 4:.1f}" text-anchor="middle">{tick_text(tick)}</text>'


def _chart(label: str, height: float, parts: list[str]) -> str:
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{say(label)}">'
    return "\n".join([head, *parts, "</svg>"])
