"""`cwlbalsam qstat`."""

import time
from typing import Any

import click
import msgspec

from cwlbalsam.cli.tables import duration, print_table
from cwlbalsam.jobs.model import State
from cwlbalsam.jobs.names import step_of
from cwlbalsam.jobs.states import FINAL
from cwlbalsam.service.home import find_home
from cwlbalsam.service.queue import QueuedJob, find_jobs, list_jobs, revive
from cwlbalsam.service.runs import ending_of

WORDS = {
    State.JOB_FINISHED: "done",
    State.FAILED: "failed",
    State.USER_KILLED: "killed",
    State.PARENT_KILLED: "never ran",
    State.RUNNING: "running",
    State.AWAITING_PARENTS: "held",
    State.CREATED: "queued",
    State.READY: "queued",
    State.RESTART_READY: "queued",
}


@click.command("qstat")
@click.argument("jobs", nargs=-1, type=int, metavar="[JOB]...")
@click.option("-a", "--all", "everything", is_flag=True, help="Those that have ended, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(jobs: tuple[int, ...], everything: bool, as_json: bool) -> None:
    """List the jobs that `cwlbalsam qsub` has submitted and that have not ended, or those that are named.

    \b
    Examples:
      cwlbalsam qstat
      cwlbalsam qstat 101 102
      cwlbalsam qstat --all --json
    """
    home = find_home()
    revive(home)
    rows = [as_row(job) for job in (find_jobs(home, jobs) if jobs else list_jobs(home, everything=everything))]
    if as_json:
        click.echo(msgspec.json.encode(rows))
    elif rows:
        print_table(
            ["JOB ", "NAME", "STATE", "SITE", "TIME ", "EXIT ", "MESSAGE"], [list(map(shown, r.values())) for r in rows]
        )


def as_row(found: QueuedJob) -> dict[str, Any]:
    job = found.job
    ending = ending_of(job) if job is not None else None
    seconds = None
    if job is not None and found.state is State.RUNNING:
        seconds = time.time() - job.updated
    elif ending is not None and ending.started and found.state in FINAL:
        seconds = ending.ended - ending.started
    return {
        "id": found.id,
        "name": step_of(found.name),
        "state": WORDS.get(found.state, found.state.name.lower()),
        "site": found.site or "local",
        "seconds": seconds,
        "exit_code": ending.exit_code if ending is not None else None,
        "message": (ending.error if ending is not None else "") or (job.message if job is not None else ""),
    }


def shown(value: Any) -> str:
    if isinstance(value, float):
        return duration(value)
    return "" if value is None else str(value).partition("\n")[0]
