"""A result of the planner's benchmarks as a markdown table, and as JSON."""

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from benchmarks.report import this_machine

RESULTS = Path(__file__).resolve().parents[1] / "results"
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


data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="CWLBALSAM_PLANNER_DATA",
    default="../shared/planner-data",
    show_default=True,
    help="Folder of the recorded data; also $CWLBALSAM_PLANNER_DATA.",
)


def measured(experiment: str, measure: Callable[[Path], Page]) -> click.Command:
    """The command of an experiment that needs nothing but the recorded data."""

    @click.command(experiment, help=f"Measure {experiment}, print the table and keep it.")
    @data_option
    @click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="For the tables.")
    def main(data: Path, results: Path) -> None:
        page = measure(data)
        page.write(experiment, results)
        click.echo("\n".join(page.table()))

    return main


def _text(value: Cell) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value
