"""Tells on stderr what happens during a run."""

import sys
import time
from pathlib import Path

import click

from cwlbalsam.cli.tables import plain_lines
from cwlbalsam.errors import Problem
from cwlbalsam.executor.events import Event, JobEnded, JobsAdded, JobStarted, RunEnded, RunStarted, Warned
from cwlbalsam.service.options import RunOptions

TAIL_BYTES = 4096
TAIL_LINES = 20
REDRAW_SECONDS = 0.1


class Progress:
    """A line for each job that has ended, unless `quiet`; on a terminal one line that counts. Failures always."""

    def __init__(self, options: RunOptions) -> None:
        self.options = options
        self.live = sys.stderr.isatty() and not options.quiet and not options.debug
        self.total = self.ended = self.failed = self.running = 0
        self.drawn = 0.0

    def report(self, event: Event) -> None:
        """See `Reporter`."""
        if isinstance(event, JobsAdded):
            self.total += event.count
        elif isinstance(event, JobStarted):
            self.running += 1
            self.tell(f"{_name(event.name)} started", self.options.debug)
        elif isinstance(event, JobEnded):
            self.job_ended(event)
        elif isinstance(event, Warned):
            self.warn(event.problem)
        elif isinstance(event, RunStarted):
            self.tell(f"run {event.run}: {event.name}", not self.options.quiet and not self.live)
        elif isinstance(event, RunEnded):
            self.drawn = 0.0
            self.tell(f"run {event.run} {event.status} after {event.seconds:.1f} s", not self.options.quiet)
            return
        self.draw()

    def job_ended(self, event: JobEnded) -> None:
        self.ended += 1
        self.running = max(self.running - (event.ending != "killed"), 0)
        bad = event.ending not in {"done", "skipped"}
        self.failed += bad
        if bad and event.ending != "killed":
            self.tell(f"{_name(event.name)} {event.ending}: {event.error}", True)
            self.tell(read_tail(event.log), bool(event.log))
        else:
            shown = self.options.debug or not (self.options.quiet or self.live)
            self.tell(f"{_name(event.name)} {event.ending} ({event.seconds:.2f} s)", shown)

    def warn(self, problem: Problem) -> None:
        self.tell(f"warning: {problem}", self.options.warnings)

    def tell(self, text: str, wanted: bool) -> None:
        if not wanted or not text:
            return
        clock = time.strftime("%Y-%m-%dT%H:%M:%S ") if self.options.timestamps else ""
        # Names, messages and what commands have printed may hold what commands a terminal.
        click.echo(("\r\033[K" if self.live else "") + clock + plain_lines(text), err=True)

    def draw(self) -> None:
        now = time.monotonic()
        if self.live and self.total and now - self.drawn >= REDRAW_SECONDS:
            self.drawn = now
            failed = f", {self.failed} failed" if self.failed else ""
            click.echo(f"\r\033[K{self.ended} of {self.total} jobs, {self.running} running{failed}", err=True, nl=False)


def _name(name: str) -> str:
    return f"job {name}" if name else "job"


def read_tail(path: str) -> str:
    """The last lines of what a command has printed, each led by a bar; empty if there is nothing."""
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
    lines = [line for line in text.splitlines() if line.strip()][-TAIL_LINES:]
    return "\n".join(f"    | {line}" for line in lines)
