"""`cwlbalsam kill`."""

from contextlib import closing

import click

from cwlbalsam.errors import EXIT_FAILED
from cwlbalsam.jobs.ids import short_run_id
from cwlbalsam.service.home import find_home
from cwlbalsam.service.runs import kill_run
from cwlbalsam.store import open_store


@click.command("kill")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--wait", "wait_seconds", default=30.0, show_default=True, help="Wait so many seconds for each to end.")
def command(runs: tuple[str, ...], wait_seconds: float) -> None:
    """End running runs: their jobs are ended, what they have done is kept.

    A run whose process is gone is marked as killed. Exit code 1 if one has not ended in time.

    \b
    Example:
      cwlbalsam kill 0199e6a2-4c1f
    """
    with closing(open_store(find_home().path)) as store:
        hows = []
        for record in [store.run(run) for run in runs]:
            hows.append(kill_run(store, record, wait_seconds))
            text = f"still ends its jobs after {wait_seconds:g} s" if hows[-1] == "ending" else "killed"
            click.echo(f"{short_run_id(record.id)} {text}", err=True)
    click.get_current_context().exit(EXIT_FAILED if "ending" in hows else 0)
