"""`cwlbalsam rm`."""

import time
from contextlib import closing

import click

from cwlbalsam.cli.tables import Span
from cwlbalsam.jobs.ids import short_run_id
from cwlbalsam.jobs.model import RunRecord
from cwlbalsam.service.home import find_home
from cwlbalsam.service.runs import prune_results, remove_run
from cwlbalsam.store import Store, open_store

ENDED = ("finished", "failed", "interrupted", "killed")


@click.command("rm")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--all-finished", is_flag=True, help="All runs that have finished well.")
@click.option("--older-than", type=Span(), help="All runs that ended longer ago than this, e.g. 12h, 30d.")
@click.option("--reuse-older-than", type=Span(), help="Results for --reuse that no run has used for this time.")
@click.option("--force", is_flag=True, help="Kill runs that are still running.")
def command(
    runs: tuple[str, ...], all_finished: bool, older_than: float | None, reuse_older_than: float | None, force: bool
) -> None:
    """Remove runs: their records and their job directories; or results that were kept for --reuse.

    Files in the output directories of runs are yours and stay. With both --all-finished and --older-than, runs that
    finished well and longer ago. What was learned from a run of how long tools take goes with it: `cwlbalsam models
    export`, and `import`, keep that. What it has left at sites that ssh reaches is removed by `cwlbalsam site gc`.

    \b
    Examples:
      cwlbalsam rm 0199e6a2-4c1f
      cwlbalsam rm --all-finished --older-than 30d
      cwlbalsam rm --reuse-older-than 30d
    """
    if not runs and not all_finished and older_than is None and reuse_older_than is None:
        raise click.UsageError("Name the runs, or use --all-finished, --older-than or --reuse-older-than.")
    home = find_home()
    with closing(open_store(home.path)) as store:
        chosen = {record.id: record for record in map(store.run, runs)}
        if all_finished or older_than is not None:
            chosen |= {record.id: record for record in ended_runs(store, all_finished, older_than or 0.0)}
        for record in chosen.values():
            remove_run(store, home, record, force)
            click.echo(f"{short_run_id(record.id)} removed", err=True)
        if reuse_older_than is not None:
            click.echo(f"{prune_results(store, home, reuse_older_than)} results removed", err=True)


def ended_runs(store: Store, only_finished: bool, seconds: float) -> list[RunRecord]:
    """Runs that ended longer ago than that."""
    ended = store.runs(0, ["finished"] if only_finished else ENDED)
    return [record for record in ended if record.ended <= time.time() - seconds]
