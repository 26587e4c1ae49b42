"""`cwlbalsam logs`."""

import sys
from contextlib import closing

import click

from cwlbalsam.cli.tables import plain, plain_lines
from cwlbalsam.errors import UserError
from cwlbalsam.jobs.model import RunRecord
from cwlbalsam.service.home import Home, find_home
from cwlbalsam.service.logs import copy_log
from cwlbalsam.service.runs import ending_of, find_jobs
from cwlbalsam.store import StoredJob, open_store


@click.command("logs")
@click.argument("run")
@click.argument("job", default="")
def command(run: str, job: str) -> None:
    """Print what the commands of RUN's jobs printed and no output captured.

    JOB is a job's name, its number, or a pattern with * and ?. Without it, the failed jobs are shown.

    \b
    Examples:
      cwlbalsam logs 0199e6a2-4c1f
      cwlbalsam logs 0199e6a2-4c1f 'align/sort[3]'
      cwlbalsam logs 0199e6a2-4c1f 'align/*'
    """
    home = find_home()
    with closing(open_store(home.path)) as store:
        record = store.run(run)
        jobs = find_jobs(store, record.id, job)
    if not jobs:
        click.echo("no job has failed; name a job to see what it printed", err=True)
    for found in jobs:
        print_log(found, record, home)


def print_log(job: StoredJob, run: RunRecord, home: Home) -> None:
    """The heading goes to stderr, so that stdout has nothing but what was printed."""
    ending = ending_of(job)
    code = "" if ending.exit_code is None else f", exit code {ending.exit_code}"
    sys.stdout.flush()
    click.echo(f"==> {plain(job.name)} ({job.state.name}{code})", err=True)
    if ending.error or job.message:
        click.echo(plain_lines(ending.error or job.message), err=True)
    if not ending.log:
        return
    try:
        copy_log(ending.log, run, home, sys.stdout.buffer)
    except UserError as error:
        click.echo(error, err=True)
