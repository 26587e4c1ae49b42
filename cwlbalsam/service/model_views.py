"""Models as people see them: a line of figures each, and a plot of data, fit and interval."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

import msgspec
from msgspec import Struct

from cwlbalsam.planner.models.application import ApplicationModel
from cwlbalsam.planner.models.book import Book, Page, pooled_site_speeds
from cwlbalsam.planner.models.observation import Observation, Setting
from cwlbalsam.service.report.units import seconds as seconds_text
from cwlbalsam.service.report.units import size as size_text

POINTS = 128
WIDTH, HEIGHT, LEFT, BOTTOM, MARGIN = 720, 420, 80, 50, 20
COLUMNS, LINES = 64, 16


class Line(Struct, kw_only=True):
    """What `models ls` says of one application. Times and memory: of its usual job."""

    key: str
    name: str
    jobs: int
    timeouts: int
    median_seconds: float
    low_seconds: float
    high_seconds: float
    memory_bytes: float
    matters: list[str]


class Curve(Struct, kw_only=True):
    """A plot: time over one quantity, all else as in the usual job. logarithmic: of the x axis."""

    title: str
    axis: str
    xs: list[float]
    medians: list[float]
    lows: list[float]
    highs: list[float]
    points: list[tuple[float, float, bool]]  # x, seconds, ended by its time limit
    bytes: bool


def fitted(page: Page) -> ApplicationModel:
    """The model of one application."""
    return ApplicationModel(page.prior, page.observations)


def site_speeds(book: Book) -> dict[str, float]:
    """How many times longer jobs take at each site than elsewhere, over all applications."""
    effects = {page.key: fitted(page).site_effects() for page in book.pages}
    return {site: math.exp(speed.log_slowness) for site, speed in pooled_site_speeds(effects).items()}


def usual(page: Page) -> Setting:
    """The setting of the job in the middle of those seen, by size of input."""
    seen = sorted(page.observations, key=lambda one: one.setting.input_bytes)
    return seen[len(seen) // 2].setting if seen else Setting()


def line_of(page: Page) -> Line:
    model = fitted(page)
    low, median, high = model.wall_seconds([usual(page)]).quantiles((0.05, 0.5, 0.95))[0].tolist()
    memory = float(model.memory_bytes([usual(page)]).medians()[0])
    return Line(
        key=page.key,
        name=page.name,
        jobs=len(page.observations),
        timeouts=sum(one.censored for one in page.observations),
        median_seconds=median,
        low_seconds=low,
        high_seconds=high,
        memory_bytes=memory if any(one.peak_memory_bytes for one in page.observations) else 0.0,
        matters=[name for name, share in model.relevance().items() if share > 0.5],
    )


def curve_of(page: Page) -> Curve:
    """Over the input's size if it differs, else over nodes or processors, else over the number that matters most."""
    model, base = fitted(page), usual(page)
    axis, values = _axis(page, model)
    low, high = min(values), max(values)
    if high <= low:
        low, high = low * 0.5, high * 2.0 or 1.0
    counted = axis in {"nodes", "ranks", "threads"}
    if counted:
        high *= 2.0
    xs = _steps(low, high, counted)
    forecasts = model.wall_seconds([_moved(base, axis, x) for x in xs]).quantiles((0.05, 0.5, 0.95)).T.tolist()
    seen = zip(values, page.observations, strict=False)  # without jobs, there is a place for the belief alone
    return Curve(
        title=f"{page.name}: wall time over {axis}",
        axis=axis,
        xs=xs,
        lows=forecasts[0],
        medians=forecasts[1],
        highs=forecasts[2],
        points=[(x, one.wall_seconds, one.censored) for x, one in seen],
        bytes=axis == "input size",
    )


def _axis(page: Page, model: ApplicationModel) -> tuple[str, list[float]]:
    def spread(axis: str) -> list[float]:
        return [_value(one, axis) for one in page.observations]

    relevance = sorted(model.relevance().items(), key=lambda item: -item[1])
    for axis in ("input size", "nodes", "ranks", "threads", *(name for name, _ in relevance)):
        values = spread(axis)
        if values and max(values) > min(values):
            return axis, values
    return "input size", spread("input size") or [0.0]


def _value(one: Observation, axis: str) -> float:
    if axis == "input size":
        return one.setting.input_bytes
    if axis in {"nodes", "ranks", "threads"}:
        return float(getattr(one.setting, axis))
    return one.setting.numbers.get(axis, 0.0)


def _moved(base: Setting, axis: str, x: float) -> Setting:
    if axis == "input size":
        return msgspec.structs.replace(base, input_bytes=x)
    if axis in {"nodes", "ranks", "threads"}:
        return msgspec.structs.replace(base, **{axis: max(1, round(x))})
    return msgspec.structs.replace(base, numbers={**base.numbers, axis: x})


def _steps(low: float, high: float, whole: bool) -> list[float]:
    if whole:
        return sorted({float(round(low + (high - low) * step / POINTS)) for step in range(POINTS + 1)})
    if low > 0 and high / low > 20:
        return [low * (high / low) ** (step / POINTS) for step in range(POINTS + 1)]
    return [low + (high - low) * step / POINTS for step in range(POINTS + 1)]


# --- drawing -------------------------------------------------------------------------------------------------------


class _Scale:
    """From data to 0..1: logarithmic where the values differ by more than a factor of 20."""

    def __init__(self, values: Sequence[float]) -> None:
        self.low, self.high = min(values), max(values)
        self.logarithmic = self.low > 0 and self.high / self.low > 20
        self._of = math.log if self.logarithmic else float
        self._back = math.exp if self.logarithmic else float
        self._first, self._last = self._of(self.low), self._of(self.high)

    def place(self, value: float) -> float:
        span = self._last - self._first
        if span <= 0:
            return 0.5
        return min(max((self._of(max(value, self.low)) - self._first) / span, 0.0), 1.0)

    def ticks(self, count: int = 4) -> list[float]:
        return [float(self._back(self._first + (self._last - self._first) * n / count)) for n in range(count + 1)]


def _scales(curve: Curve) -> tuple[_Scale, _Scale]:
    shown = [*curve.lows, *curve.highs, *(seconds for _, seconds, _ in curve.points)]
    return _Scale([*curve.xs, *(x for x, _, _ in curve.points)]), _Scale(shown)


def _x_text(curve: Curve, value: float) -> str:
    return size_text(value) if curve.bytes else f"{value:.4g}"


def write_svg(curve: Curve) -> str:
    """A drawing of its own: the interval as a band, the fit as a line, jobs as dots, timeouts as triangles."""
    across, up = _scales(curve)

    def at(x: float, y: float) -> str:
        left = LEFT + (WIDTH - LEFT - MARGIN) * across.place(x)
        return f"{left:.1f},{HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 2 * MARGIN) * up.place(y):.1f}"

    band = [at(x, y) for x, y in zip(curve.xs, curve.highs, strict=True)]
    band += [at(x, y) for x, y in zip(curve.xs[::-1], curve.lows[::-1], strict=True)]
    fit = " ".join(at(x, y) for x, y in zip(curve.xs, curve.medians, strict=True))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="Helvetica, sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="16" font-weight="bold">{escape(curve.title)}</text>',
        f'<polygon points="{" ".join(band)}" fill="#a9cdf5" fill-opacity="0.6"><title>90 % interval</title></polygon>',
        f'<polyline points="{fit}" fill="none" stroke="#1d5fa8" stroke-width="2"><title>median</title></polyline>',
    ]
    for tick in up.ticks():
        level = at(curve.xs[0], tick).partition(",")[2]
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - MARGIN}" y1="{level}" y2="{level}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{level}" text-anchor="end">{escape(seconds_text(tick))}</text>')
    for tick in across.ticks():
        place = at(tick, up.low).partition(",")[0]
        parts.append(f'<text x="{place}" y="{HEIGHT - 30}" text-anchor="middle">{escape(_x_text(curve, tick))}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(curve.axis)}</text>')
    for x, y, censored in curve.points:
        left, top = map(float, at(x, y).split(","))
        if censored:
            shape = f'<path d="M{left - 4:.1f},{top + 3:.1f} h8 l-4,-8 z" fill="#c0392b">'
            parts.append(f"{shape}<title>ended by its time limit</title></path>")
        else:
            parts.append(f'<circle cx="{left:.1f}" cy="{top:.1f}" r="3" fill="#333" fill-opacity="0.7"/>')
    return "\n".join([*parts, "</svg>", ""])


def write_text(curve: Curve) -> str:
    """The same in characters: `:` the interval, `-` the fit, `o` jobs, `^` timeouts."""
    across, up = _scales(curve)
    grid = [[" "] * COLUMNS for _ in range(LINES)]

    def put(x: float, y: float, mark: str) -> None:
        grid[LINES - 1 - round(up.place(y) * (LINES - 1))][round(across.place(x) * (COLUMNS - 1))] = mark

    for x, low, high in zip(curve.xs, curve.lows, curve.highs, strict=True):
        top, bottom = (LINES - 1 - round(up.place(y) * (LINES - 1)) for y in (high, low))
        for row in range(top, bottom + 1):
            grid[row][round(across.place(x) * (COLUMNS - 1))] = ":"
    for x, middle in zip(curve.xs, curve.medians, strict=True):
        put(x, middle, "-")
    for x, y, censored in curve.points:
        put(x, y, "^" if censored else "o")
    labels = {LINES - 1: seconds_text(up.low), 0: seconds_text(up.high)}
    body = [f"{labels.get(row, ''):>10} |{''.join(line)}" for row, line in enumerate(grid)]
    ends = f"{_x_text(curve, across.low)}{_x_text(curve, across.high):>{COLUMNS - len(_x_text(curve, across.low))}}"
    legend = "o jobs  - median  : 90 % interval" + ("  ^ ended by the time limit" if _timeouts(curve) else "")
    return "\n".join([curve.title, *body, f"{'':>10} +{'-' * COLUMNS}", f"{'':>12}{ends}", f"{'':>12}{legend}"])


def _timeouts(curve: Curve) -> bool:
    return any(censored for _, _, censored in curve.points)
