"""Results as text: a markdown table, and JSON with every sample."""

import datetime
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct

from benchmarks.planner.data import ROOT
from benchmarks.report import Machine, this_machine

FOLDER = ROOT / "benchmarks" / "results"


class Table(Struct, frozen=True, kw_only=True):
    """One experiment, as it is kept. samples: what the rows were made of. remarks: lines below the table."""

    experiment: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    remarks: Sequence[str] = ()
    samples: Sequence[Mapping[str, Any]] = ()
    command: str = ""
    date: str = ""
    machine: Machine | None = None


def results_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--results DIR`."""
    folder = click.Path(path_type=Path)
    return click.option("--results", type=folder, default=FOLDER, metavar="DIR", help="For the tables.")(command)


def lines(table: Table) -> list[str]:
    """The markdown table: the first column is text, all others numbers."""
    rule = ["---", *["---:"] * (len(table.columns) - 1)]
    return [f"| {' | '.join(row)} |" for row in (table.columns, rule, *table.rows)]


def keep(table: Table, folder: Path) -> None:
    """Write `planner-<experiment>.md` and `.json`, print the table."""
    made = msgspec.structs.replace(
        table,
        command=shlex.join(["python", "-m", "benchmarks.planner", *sys.argv[1:]]),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=this_machine(Path(tempfile.gettempdir())),
    )
    remarks = [f"{made.date}, {made.machine}", f"again: `{made.command}`", *made.remarks]
    page = [f"# {made.experiment}: {made.title}", "", *lines(made), "", *[f"- {one}" for one in remarks], ""]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"planner-{made.experiment}.md").write_text("\n".join(page))
    encoded = msgspec.json.format(msgspec.json.encode(made), indent=1)
    (folder / f"planner-{made.experiment}.json").write_bytes(encoded + b"\n")
    click.echo("\n".join([*lines(made), "", *made.remarks]))
