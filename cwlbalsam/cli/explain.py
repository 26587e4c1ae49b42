"""`cwlbalsam explain`."""

import os
import sys
from collections.abc import Callable
from contextlib import closing

import click

from cwlbalsam.cli.progress import TAIL_BYTES, led
from cwlbalsam.cli.tables import duration, plain, plain_lines, size
from cwlbalsam.jobs.ids import short_run_id
from cwlbalsam.service.explain import Explanation, explain_job, find_job, grant_text
from cwlbalsam.service.home import find_home
from cwlbalsam.service.logs import tail_of
from cwlbalsam.store import open_store

COLOURS = {"failed": "red", "timed out": "red", "done": "green", "runs": "cyan"}


@click.command("explain")
@click.argument("run")
@click.argument("job", default="")
@click.option("--command", "only_command", is_flag=True, help="Print nothing but the command line to try again.")
def command(run: str, job: str, only_command: bool) -> None:
    """Tell why JOB of RUN waits or failed, and how to try it again by hand; of a planned run, why it was to run where
    and when.

    JOB is a job's name or number; without it, the first job that failed.

    \b
    Examples:
      cwlbalsam explain 0199e6a2-4c1f
      cwlbalsam explain 0199e6a2-4c1f 'align/sort[3]'
      cwlbalsam explain 0199e6a2-4c1f --command | sh
    """
    home = find_home()
    with closing(open_store(home.path)) as store:
        record = store.run(run)
        found = explain_job(store, record, find_job(store, record, job))
    if only_command:
        if not found.shell:
            raise click.ClickException("no command line was kept: only those of failed commands are")
        sys.stdout.buffer.write(os.fsencode(found.shell) + b"\n")  # byte by byte, whatever its words hold
        return
    print_explanation(found, short_run_id(record.id), lambda log: tail_of(log, record, home, TAIL_BYTES))


def print_explanation(found: Explanation, run: str, tail: Callable[[str], str]) -> None:
    """tail: the last that was printed to a file."""
    job, ending = found.job, found.ending
    verdict = click.style(found.verdict, fg=COLOURS.get(found.verdict), bold=True)
    click.echo(f"{plain(job.name) or '(the run itself)'} {verdict}")
    for reason in [*found.reasons, *found.plan]:
        click.echo(f"  {plain_lines(reason)}".replace("\n", "\n  "))
    click.echo()
    used = (
        [f"{duration(ending.ended - ending.started)}, {duration(ending.cpu_seconds)} of CPU"] if ending.started else []
    )
    used += [f"at most {size(ending.peak_memory_bytes)} of memory"] if ending.peak_memory_bytes else []
    facts = {
        "job": f"{job.id}, attempt {job.attempt}" if job.attempt > 1 else str(job.id),
        "state": job.state.name,
        "exit code": "" if ending.exit_code is None else str(ending.exit_code),
        "took": ", ".join(used),
        "asks for": grant_text(found.asks)
        if found.asks and not any("asks for" in text for text in found.reasons)
        else "",
        "tool": f"{found.tool} ({found.place})" if found.place else found.tool,
        "directory": found.directory,
        "log": ending.log,
    }
    for name, text in facts.items():
        if text:
            click.echo(f"{name + ':':<11}{plain(text)}")
    if found.inputs:
        click.echo("inputs:")
        for name, text in found.inputs.items():
            click.echo(f"    {plain(name)}: {plain(text)}")
    stderr = ending.command.stderr if ending.command else ""
    for what, path in (("printed last", ending.log), ("stderr ended with", stderr)):
        if path and (lines := led(tail(path))):
            click.echo(f"{what}:\n{lines}")
    if found.shell:
        click.echo(f"try again:\n{_safe_shell(found.shell, run, job.id)}")


def _safe_shell(text: str, run: str, job: int) -> str:
    """A command with control characters would not survive being pasted, and must not reach the terminal."""
    if plain_lines(text) == text:
        return text
    return f"    cwlbalsam explain {run} {job} --command | sh    (it holds control characters)"
