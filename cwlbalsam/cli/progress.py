"""Tells on stderr what happens during a run."""

import shlex
import sys
import threading
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import click

from cwlbalsam.cli.tables import duration, plain, plain_lines
from cwlbalsam.cli.tally import GOOD, Tally
from cwlbalsam.cli.transfer_lines import TransferLines
from cwlbalsam.executor.events import (
    Event,
    Interrupted,
    JobEnded,
    JobKept,
    JobsAdded,
    JobStarted,
    LogsFetched,
    PlanEnded,
    PlanMade,
    RunEnded,
    RunStarted,
    TransferEnded,
    TransferProgress,
    TransferStarted,
    Warned,
)
from cwlbalsam.jobs.ids import short_run_id
from cwlbalsam.service.logs import log_tail
from cwlbalsam.service.options import RunOptions

if TYPE_CHECKING:
    from cwlbalsam.cli.live import Live

TAIL_BYTES = 4096
TAIL_LINES = 20
LINES_IN_FULL = 20
"""So many jobs, and so many failures, get lines of their own; after them there are summaries."""
SUMMARY_SECONDS = 5.0
QUIET_SECONDS = 0.4
"""A run that is over by then shows no display, and never pays for it."""
REDRAW_SECONDS = 0.2


class Progress(AbstractContextManager["Progress"]):
    """On a terminal a display of all steps; else a line for each job, and for many jobs a summary now and then.

    Failures always, with what the command printed last. With `quiet` nothing else.
    """

    def __init__(self, options: RunOptions) -> None:
        self.options = options
        self.tally = Tally(time.monotonic())
        self.run = ""
        self.lines = self.failures = 0
        self.told = time.monotonic()
        self.transfers = TransferLines()
        wants_live = sys.stderr.isatty() and not options.quiet and not options.debug
        self.live = _Redrawing(self.tally) if wants_live else None

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def report(self, event: Event) -> None:
        """See `Reporter`."""
        match event:
            case JobsAdded():
                self.tally.add(event)
            case JobStarted():
                self.tally.start(event, time.monotonic())
                self.tell(f"{_name(event.name)} started", self.options.debug)
            case JobEnded():
                self.tally.end(event, time.monotonic())
                self.job_ended(event)
            case LogsFetched():
                pass
            case JobKept():
                self.tally.keep(event)
            case Warned():
                self.warn(event)
            case Interrupted():
                self.tally.stopping = True
                self.tell(interrupted_text(self.tally.whole.running, event.draining), True)
            case TransferStarted() | TransferProgress() | TransferEnded():
                self.tell(self.transfers.line(event, time.monotonic(), self.options.debug), not self.options.quiet)
            case PlanMade():
                self.tell(plan_text(event), not self.options.quiet)
            case PlanEnded():
                self.tell(comparison_text(event), not self.options.quiet)
            case RunStarted():
                self.run_started(event)
            case RunEnded():
                self.run_ended(event)

    def run_started(self, event: RunStarted) -> None:
        self.run = event.run
        self.tell(f"run {event.run}: {plain(event.name)}", not self.options.quiet)
        if self.live:
            self.live.start()

    def run_ended(self, event: RunEnded) -> None:
        self.tally.stopping = True
        if self.live:
            self.live.stop()
        whole = self.tally.whole
        counts = f": {count_text(self.tally)}" if whole.total > 1 and (self.live or whole.total > LINES_IN_FULL) else ""
        text = f"run {event.run} {event.status} after {duration(event.seconds)}{counts}"
        self.tell(text, not self.options.quiet)
        goes_on = f"    to go on with it: cwlbalsam resume {self.short_run}"
        self.tell(goes_on, event.status in {"interrupted", "killed"} and not self.options.quiet)

    def job_ended(self, event: JobEnded) -> None:
        if event.ending not in GOOD and event.ending not in {"killed", "cancelled"}:
            self.failures += 1
            self.tell_failure(event)
        elif self.options.debug:
            self.tell(f"{_name(event.name)} {_ending(event)} ({event.seconds:.2f} s)", True)
        elif not self.options.quiet and not self.live and event.ending != "killed":
            self.tell_line(event)

    def tell_line(self, event: JobEnded) -> None:
        now = time.monotonic()
        if self.lines < LINES_IN_FULL:
            self.lines += 1
            self.told = now
            self.tell(f"{_name(event.name)} {_ending(event)} ({event.seconds:.2f} s)", True)
        elif now - self.told >= SUMMARY_SECONDS:
            self.told = now
            self.tell(", ".join(filter(None, [count_text(self.tally), *speed_texts(self.tally, now)])), True)

    def tell_failure(self, event: JobEnded) -> None:
        """The first ones in full: with thousands, the terminal would only show the last."""
        if self.failures > LINES_IN_FULL:
            if self.failures == LINES_IN_FULL + 1:
                self.tell(f"more jobs fail; `cwlbalsam show {self.short_run} --jobs` lists them", True)
            return
        self.tell(f"{_name(event.name)} {event.ending}: {plain_lines(event.error)}", True)
        self.tell(read_tail(event.log), bool(event.log))
        job = shlex.quote(event.name) if event.name and event.name.isprintable() else str(event.job)
        self.tell(f"    more: cwlbalsam explain {self.short_run} {job}", bool(self.run))

    @property
    def short_run(self) -> str:
        """What the user may type for the run."""
        return short_run_id(self.run)

    def warn(self, event: Warned) -> None:
        word = "note" if event.note else "warning"
        wanted = self.options.warnings and not (event.note and self.options.quiet)
        self.tell(f"{word}: {plain_lines(str(event.problem))}", wanted)

    def tell(self, text: str, wanted: bool) -> None:
        if not wanted or not text:
            return
        clock = time.strftime("%Y-%m-%dT%H:%M:%S ") if self.options.timestamps else ""
        text = clock + plain_lines(text)  # names, messages and what commands printed may hold what commands a terminal
        if self.live:
            self.live.tell(text)
        else:
            click.echo(text, err=True)


class _Redrawing:
    """The display, redrawn by a thread of its own: events cost nothing more, and the clock goes on without them."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._live: Live | None = None
        self._end = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._redraw, name="progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _redraw(self) -> None:
        if self._end.wait(QUIET_SECONDS):
            return
        from cwlbalsam.cli.live import Live

        with self._writing:
            self._live = Live(self._tally)
        while not self._end.wait(REDRAW_SECONDS):
            self._live.draw()

    def tell(self, text: str) -> None:
        """Above the display."""
        with self._writing:
            if self._live:
                self._live.tell(text)
            else:
                click.echo(text, err=True)

    def stop(self) -> None:
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._live:
            self._live.close()
            self._live = None


def plan_text(event: PlanMade) -> str:
    """plan: 41.2s expected; jobs: 12 at cluster, 5 at local."""
    where = ", ".join(f"{count:,} at {site}" for site, count in sorted(event.jobs.items(), key=lambda item: -item[1]))
    if event.why:
        return f"planned again, {event.why}: {duration(event.seconds)} in all; jobs: {where}"
    return f"plan: {duration(event.seconds)} expected; jobs: {where or 'none'}"


def comparison_text(event: PlanEnded) -> str:
    """plan: 41.2s predicted (38.0s to 47.1s with a probability of 90%), 43.0s taken (+4%)."""
    likely = f"{duration(event.low)} to {duration(event.high)} with a probability of {event.probability:.0%}"
    change = event.taken / event.seconds - 1 if event.seconds else 0.0
    return f"plan: {duration(event.seconds)} predicted ({likely}), {duration(event.taken)} taken ({change:+.0%})"


def interrupted_text(running: int, draining: bool) -> str:
    """What becomes of the jobs that run, and what else the user may do."""
    jobs = f"{running:,} running job{'s' if running != 1 else ''}"
    if not running:
        return "interrupted: nothing more is started"
    return f"waiting for {jobs} to end; Ctrl-C again ends them now" if draining else f"ending {jobs} now"


def count_text(tally: Tally) -> str:
    """12 of 40 jobs, 2 running, 1 failed."""
    whole = tally.whole
    parts: list[Any] = [f"{whole.done + whole.skipped:,} of {whole.total:,} jobs"]
    for word in ("running", "failed", "killed"):
        if number := getattr(whole, word):
            parts.append(f"{number:,} {word}")
    return ", ".join(parts)


def speed_texts(tally: Tally, now: float) -> list[str]:
    """45 jobs/s; about 20s left."""
    rate, rest = tally.rate(now), tally.rest(now)
    texts = [
        f"{rate:.0f} jobs/s" if rate >= 10 else f"{rate:.1f} jobs/s" if rate >= 0.1 else f"{rate * 60:.1f} jobs/min"
    ]
    return [*texts, f"about {duration(rest)} left"] if rate and rest else texts if rate else []


def _ending(event: JobEnded) -> str:
    return "reused" if event.reused else event.ending


def _name(name: str) -> str:
    return f"job {plain(name)}" if name else "job"


def read_tail(path: str, lead: str = "    | ") -> str:
    """The last lines of what a command has printed, each led by a bar; empty if there is nothing."""
    return led(log_tail(path, TAIL_BYTES)[0], lead)


def led(text: str, lead: str = "    | ") -> str:
    """The last lines of a text, each led by a bar; empty if there is nothing."""
    lines = [plain(line) for line in text.splitlines() if line.strip()][-TAIL_LINES:]
    return "\n".join(f"{lead}{line}" for line in lines)
