"""A result of the planner's benchmarks as a markdown table, and as JSON."""

import datetime
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.report import this_machine

Cell = str | int | float


class Page(Struct, kw_only=True):
    """rows: one value a column. notes: how to read it. details: whatever else is worth keeping, for the JSON alone."""

    title: str
    columns: Sequence[str]
    rows: list[list[Cell]]
    notes: list[str]
    details: object = None

    def table(self) -> list[str]:
        """Lines of a markdown table; numbers to the right."""
        number = [all(not isinstance(row[column], str) for row in self.rows) for column in range(len(self.columns))]
        return [
            f"| {' | '.join(self.columns)} |",
            f"| {' | '.join('---:' if right else '---' for right in number)} |",
            *(f"| {' | '.join(map(_text, row))} |" for row in self.rows),
        ]

    def write(self, experiment: str, folder: Path) -> None:
        """Keep `planner-<experiment>.md` and `.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        machine = this_machine(folder)
        lines = [
            f"# planner {experiment}: {self.title}",
            "",
            *self.table(),
            "",
            *(f"- {note}" for note in self.notes),
            f"- {date}, {machine}",
            f"- again: `python -m benchmarks.planner {experiment}`",
            "",
        ]
        name = folder / f"planner-{experiment}"
        name.with_suffix(".md").write_text("\n".join(lines))
        kept = {"experiment": experiment, "date": date, "machine": machine, **msgspec.structs.asdict(self)}
        name.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")


def _text(value: Cell) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value
