"""`cwlbalsam ls`."""

from contextlib import closing

import click
import msgspec

from cwlbalsam.cli.tables import duration, print_table, when
from cwlbalsam.jobs.ids import short_run_id
from cwlbalsam.service.home import find_home
from cwlbalsam.service.runs import list_runs
from cwlbalsam.store import open_store

STATUSES = ["running", "lost", "finished", "failed", "interrupted", "killed"]


@click.command("ls")
@click.option(
    "-n", "limit", default=20, show_default=True, type=click.IntRange(0), metavar="N", help="At most N runs; 0: all."
)
@click.option("--status", multiple=True, type=click.Choice(STATUSES), help="Only runs of this status; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(limit: int, status: tuple[str, ...], as_json: bool) -> None:
    """List runs, the newest first.

    A run is 'lost' if it should be running but its process is gone.

    \b
    Examples:
      cwlbalsam ls
      cwlbalsam ls -n 5 --status failed --status lost
    """
    with closing(open_store(find_home().path)) as store:
        runs = list_runs(store, limit, status)
    if as_json:
        click.echo(msgspec.json.encode(runs))
        return
    if not runs:
        click.echo("no runs", err=True)
        return
    rows = [
        [
            short_run_id(run.id),
            run.name,
            run.status,
            when(run.created),
            f"{run.done}/{run.total}",
            duration(run.seconds),
        ]
        for run in runs
    ]
    print_table(["RUN", "NAME", "STATUS", "STARTED", "JOBS ", "TIME "], rows)
