"""`cwlbalsam show`."""

from contextlib import closing
from typing import Any

import click
import msgspec

from cwlbalsam.cli.tables import duration, plain, print_table, size, when
from cwlbalsam.jobs.ids import short_run_id
from cwlbalsam.jobs.model import RunRecord
from cwlbalsam.service.home import find_home
from cwlbalsam.service.runs import FAILED_STATES, RunView, StepView, ending_of, shown_jobs, view_run, view_steps
from cwlbalsam.store import StoredJob, open_store

FAILURES = 5


@click.command("show")
@click.argument("run")
@click.option("--jobs", "list_jobs", is_flag=True, help="List the jobs, not the steps.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the run's inputs and outputs.")
def command(run: str, list_jobs: bool, as_json: bool) -> None:
    """Show RUN and its steps: how many of their jobs are done, and what they needed.

    \b
    Examples:
      cwlbalsam show 0199e6a2-4c1f
      cwlbalsam show 0199e6a2-4c1f --jobs
    """
    with closing(open_store(find_home().path)) as store:
        record = store.run(run)
        view, jobs = view_run(store, record), store.jobs(record.id)
    if as_json:
        click.echo(msgspec.json.encode(as_tree(record, view, jobs, list_jobs)))
        return
    print_summary(record, view)
    if not list_jobs:
        print_failures([job for job in jobs if job.state in FAILED_STATES], record.id)
    if list_jobs:
        print_jobs(shown_jobs(jobs))
    else:
        print_steps(view_steps(jobs))


def as_tree(record: RunRecord, view: RunView, jobs: list[StoredJob], list_jobs: bool) -> dict[str, Any]:
    """What --json prints."""
    tree: dict[str, Any] = msgspec.structs.asdict(view)
    for name in ("document", "directory", "outdir", "host", "pid", "ended", "message"):
        tree[name] = getattr(record, name)
    tree["inputs"] = msgspec.msgpack.decode(record.inputs) if record.inputs else None
    tree["outputs"] = msgspec.msgpack.decode(record.outputs) if record.outputs else None
    tree["steps"] = view_steps(jobs)
    if list_jobs:
        tree["jobs"] = [
            {"id": job.id, "name": job.name, "state": job.state.name, "attempt": job.attempt}
            | msgspec.structs.asdict(ending_of(job))
            for job in shown_jobs(jobs)
        ]
    return tree


def print_summary(record: RunRecord, view: RunView) -> None:
    lines = {
        "run": record.id,
        "name": view.name,
        "document": record.document,
        "status": view.status,
        "started": when(record.created),
        "time": duration(view.seconds),
        "jobs": f"{view.done} of {view.total} done" + (f", {view.failed} failed" if view.failed else ""),
        "process": f"{record.pid} on {record.host}" if view.status == "running" else "",
        "outputs": record.outdir,
        "files": record.directory,
        "message": record.message,
    }
    for name, text in lines.items():
        if text:
            click.echo(f"{name + ':':<10}{plain(text)}")


def print_failures(failed: list[StoredJob], run: str) -> None:
    """The first few, and where to learn more."""
    for job in failed[:FAILURES]:
        said = ending_of(job).error or job.message
        click.echo(f"{'failed:':<10}{plain(job.name) or 'the run'}: {plain(said.partition(chr(10))[0])}")
    if failed:
        more = f"{len(failed) - FAILURES:,} more; " if len(failed) > FAILURES else ""
        click.echo(f"{'':<10}{more}`cwlbalsam explain {short_run_id(run)} {failed[0].id}` tells more of the first")


def print_steps(steps: list[StepView]) -> None:
    if not steps:
        return
    click.echo()
    header = ["STEP", "DONE ", "REUSED ", "SKIPPED ", "RUNNING ", "WAITING ", "FAILED "]
    header += ["MEDIAN ", "LONGEST ", "CPU ", "MEMORY "]
    rows = []
    for step in steps:
        counts = map(number, (step.reused, step.skipped, step.running, step.waiting, step.failed))
        times = map(duration, (step.median_seconds, step.longest_seconds, step.cpu_seconds))
        used = (*times, size(step.peak_memory_bytes)) if step.done or step.failed else [""] * 4
        rows.append([step.name, f"{step.done}/{step.total}", *counts, *used])
    print_table(header, rows)


def print_jobs(jobs: list[StoredJob]) -> None:
    if not jobs:
        return
    click.echo()
    rows = []
    for job in jobs:
        ending = ending_of(job)
        said = (ending.error or job.message).partition("\n")[0]
        state = "SKIPPED" if ending.ending == "skipped" else "REUSED" if ending.reused else job.state.name
        used = [duration(ending.ended - ending.started), duration(ending.cpu_seconds), size(ending.peak_memory_bytes)]
        rows.append([str(job.id), job.name, state, number(job.attempt), *(used if job.outcome else [""] * 3), said])
    print_table(["ID ", "JOB", "STATE", "ATTEMPT ", "TIME ", "CPU ", "MEMORY ", "MESSAGE"], rows)


def number(value: int) -> str:
    """Zeros are left blank."""
    return str(value or "")
