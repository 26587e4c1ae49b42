"""`python -m benchmarks.planner EXPERIMENT`: measure on recorded data, and keep the table in benchmarks/results."""

import datetime
import shlex
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.planner import models, sites, waits
from benchmarks.planner.tables import Table, markdown, write
from benchmarks.report import this_machine

RESULTS = Path(__file__).resolve().parent.parent / "results"
EXPERIMENTS: dict[str, tuple[str, Callable[[Path], Table]]] = {
    "models": (models.TITLE, models.measure),
    "sites": (sites.TITLE, sites.measure),
    "waits": (waits.TITLE, waits.measure),
}
LIST = "\n".join(f"  {name:12} {title}" for name, (title, _) in EXPERIMENTS.items())


@click.command("benchmarks.planner", help=f"Run one of\n\n\b\n{LIST}")
@click.argument("experiment", type=click.Choice(list(EXPERIMENTS)), metavar="EXPERIMENT")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="CWLBALSAM_PLANNER_DATA",
    default="../shared/planner-data",
    show_default=True,
    help="The folder with swf/ and perf/; also $CWLBALSAM_PLANNER_DATA.",
)
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="For the tables.")
def main(experiment: str, data: Path, results: Path) -> None:
    title, measure = EXPERIMENTS[experiment]
    found = measure(data)
    command = shlex.join(["python", "-m", "benchmarks.planner", experiment])
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    about = [f"{date}, {this_machine(results)}", f"again: `{command} --data DIR`"]
    write(f"planner-{experiment}", title, found, about, results)
    click.echo("\n".join(markdown(found)))


if __name__ == "__main__":
    main()
