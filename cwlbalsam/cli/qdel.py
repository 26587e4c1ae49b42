"""`cwlbalsam qdel`."""

import click

from cwlbalsam.jobs.states import FINAL
from cwlbalsam.service.home import find_home
from cwlbalsam.service.queue import kill_jobs


@click.command("qdel")
@click.argument("jobs", nargs=-1, type=int, required=True, metavar="JOB...")
def command(jobs: tuple[int, ...]) -> None:
    """End jobs that `cwlbalsam qsub` has submitted. Those that wait for them never run.

    \b
    Example:
      cwlbalsam qdel 101 102
    """
    for found in kill_jobs(find_home(), jobs):
        if found.state in FINAL:
            click.echo(f"job {found.id} has ended already", err=True)
