"""The display of a run on a terminal, drawn by rich."""

import time

import rich.live
from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cwlbalsam.cli.progress import count_text, speed_texts
from cwlbalsam.cli.tables import duration, plain
from cwlbalsam.cli.tally import Count, Tally

LINES_AROUND = 5  # heading, foot, and some of what was told before
BAR_WIDTH = 24


class Live:
    """Drawn only when asked to: whoever calls decides how often."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._live = rich.live.Live(
            console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()

    def draw(self) -> None:
        self._live.update(render(self._tally, self._console.height, time.monotonic()), refresh=True)

    def tell(self, text: str) -> None:
        """Above the display. The text is printed as it is, whatever it holds."""
        self._console.print(Text(text))

    def close(self) -> None:
        """The last picture stays."""
        self.draw()
        self._live.stop()


def render(tally: Tally, height: int, now: float) -> Group:
    """The steps that fit into so many lines, and a foot."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("step", no_wrap=True, overflow="ellipsis", max_width=48)
    table.add_column("", width=BAR_WIDTH)
    for heading in ("done", "running", "failed"):
        table.add_column(heading, justify="right", no_wrap=True)
    shown, left = chosen_steps(tally, max(3, height - LINES_AROUND))
    for name, count in shown:
        table.add_row(*_row(name, count))
    parts: list[Table | Text] = [table]
    if left:
        parts.append(Text(f"and {left:,} steps more", style="dim"))
    passed = f"{duration(now - tally.started)} passed"
    parts.append(Text("  ".join([count_text(tally), *speed_texts(tally, now), passed]), style="bold"))
    return Group(*parts)


def chosen_steps(tally: Tally, most: int) -> tuple[list[tuple[str, Count]], int]:
    """The steps to show, as they began, and how many are left out: never one that runs or failed before another."""
    steps = sorted(tally.steps.items(), key=lambda item: item[1].began)
    if len(steps) <= most:
        return steps, 0
    wanted = sorted(range(len(steps)), key=lambda index: (_rank(steps[index][1]), index))[:most]
    return [steps[index] for index in sorted(wanted)], len(steps) - most


def _rank(count: Count) -> int:
    if count.running or count.failed:
        return 0
    return 2 if count.ended >= count.total else 1


def _row(name: str, count: Count) -> tuple[Text, ProgressBar, Text, Text, Text]:
    good = count.done + count.skipped
    style = "red" if count.failed else "green" if good >= count.total else "cyan"
    bar = ProgressBar(
        total=max(count.total, 1), completed=good, width=BAR_WIDTH, complete_style=style, finished_style=style
    )
    skipped = f" ({count.skipped:,} skipped)" if count.skipped else ""
    return (
        Text(plain(name) or "(the tool)", style="bold" if count.running else ""),
        bar,
        Text(f"{good:,}/{count.total:,}{skipped}"),
        Text(f"{count.running:,}" if count.running else "", style="cyan"),
        Text(f"{count.failed:,}" if count.failed else "", style="red"),
    )
