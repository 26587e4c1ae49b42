"""`python -m benchmarks EXPERIMENT`: measure, and keep the result in benchmarks/results."""

import datetime
import shlex
import sys
import tempfile
from pathlib import Path

import click

from benchmarks import peers, transfers
from benchmarks.compare import Plan, compare
from benchmarks.experiments import EXPERIMENTS
from benchmarks.plot import write_plot
from benchmarks.report import Result, table, this_machine, write

RESULTS = Path(__file__).resolve().parent / "results"
FOLDERS = {"--cache", "--work", "--results"}
TITLES = {name: (made.title, made.jobs) for name, made in EXPERIMENTS.items()}
TITLES["transfers"] = transfers.TITLE, transfers.JOBS
LIST = "\n".join(f"  {name:12} {title} ({jobs})" for name, (title, jobs) in TITLES.items())


def _sizes(_: click.Context, __: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in text.split(",") if part)
    except ValueError:
        raise click.BadParameter("whole numbers, separated by commas") from None
    if any(size < 1 for size in sizes):
        raise click.BadParameter("at least 1")
    return sizes


def _runners(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name for name in text.split(",") if name)
    for name in names:
        if name not in peers.PEERS:
            raise click.BadParameter(f"'{name}' is none of {', '.join(peers.PEERS)}")
    return names


def _without_folders(arguments: list[str]) -> list[str]:
    """Which folders were taken matters to nobody else; the file system is told anyway."""
    before = ["", *arguments]
    given = zip(before, arguments, strict=False)
    return [word for last, word in given if not FOLDERS & {last, word} and word.split("=")[0] not in FOLDERS]


@click.command("benchmarks", help=f"Run one of\n\n\b\n{LIST}\n\nJOBS is the number in brackets, or --jobs.")
@click.argument("experiment", type=click.Choice(list(TITLES)), metavar="EXPERIMENT")
@click.option("--jobs", default="", callback=_sizes, metavar="N[,N...]", help="Sizes to measure.")
@click.option("--against", callback=_runners, metavar="RUNNER[,RUNNER...]", help="Instead of the usual ones.")
@click.option("--repeat", default=3, show_default=True, type=click.IntRange(min=1), help="Rounds.")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds; a runner that needs more is given up.")
@click.option(
    "--cache", type=click.Path(path_type=Path), default=peers.default_cache, help="For the peers' environments."
)
@click.option(
    "--work", type=click.Path(path_type=Path), default=None, help="For the runs: a folder on the disk to test."
)
@click.option("--name", default="", help="Of the tables.  [default: EXPERIMENT]")
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="For the tables.")
def main(  # noqa: PLR0913, PLR0917 (one parameter an option)
    experiment: str,
    jobs: tuple[int, ...],
    against: tuple[str, ...] | None,
    repeat: int,
    timeout: float,
    cache: Path,
    work: Path | None,
    name: str,
    results: Path,
) -> None:
    def tell(line: str) -> None:
        click.echo(line, err=True)

    if experiment == "transfers":
        rows = transfers.measure((jobs or (transfers.JOBS,))[0], repeat, work, tell)
    else:
        plan = Plan(jobs=jobs, against=against, repeat=repeat, timeout_seconds=timeout, cache=cache, work=work)
        rows = compare(experiment, plan, tell)
    runners = [runner for runner in dict.fromkeys(row.runner for row in rows) if runner in peers.PEERS]
    result = Result(
        experiment=experiment,
        title=TITLES[experiment][0],
        command=shlex.join(["python", "-m", "benchmarks", *_without_folders(sys.argv[1:])]),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=this_machine(work or Path(tempfile.gettempdir())),
        versions={runner: peers.version(runner, cache) for runner in runners},
        rows=rows,
        notes=EXPERIMENTS[experiment].notes if experiment in EXPERIMENTS else (),
    )
    write(result, results, name or experiment)
    write_plot(result, results, name or experiment)
    click.echo("\n".join(table(rows)))


if __name__ == "__main__":
    main()
