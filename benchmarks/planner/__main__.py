"""`python -m benchmarks.planner EXPERIMENT`: measure, and keep the result in benchmarks/results."""

import importlib
import os
from pathlib import Path

import click

EXPERIMENTS = {
    "easy": "benchmarks.planner.easy",
    "holes": "benchmarks.planner.holes",
}
"""name -> module with `measure(data: Path) -> Page`"""
RESULTS = Path(__file__).resolve().parents[1] / "results"


@click.command("benchmarks.planner")
@click.argument("experiment", type=click.Choice(list(EXPERIMENTS)))
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=lambda: os.environ.get("CWLBALSAM_PLANNER_DATA", "../shared/planner-data"),
    help="Folder of the recorded data.  [default: $CWLBALSAM_PLANNER_DATA or ../shared/planner-data]",
)
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="For the tables.")
def main(experiment: str, data: Path, results: Path) -> None:
    """Run one EXPERIMENT, print its table and keep it as planner-EXPERIMENT.md and .json."""
    page = importlib.import_module(EXPERIMENTS[experiment]).measure(data)
    page.write(experiment, results)
    click.echo("\n".join(page.table()))


if __name__ == "__main__":
    main()
