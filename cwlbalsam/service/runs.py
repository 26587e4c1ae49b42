"""What is done with runs that exist: look at them, end them, remove them."""

import os
import signal
import statistics
import time
from array import array
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.pruning import prune
from cwlbalsam.cwl.records import Program
from cwlbalsam.cwl.removal import remove_tree
from cwlbalsam.cwl.tasks import Invocation
from cwlbalsam.errors import UserError
from cwlbalsam.executor.recovery import started_ticks
from cwlbalsam.jobs.ids import short_run_id
from cwlbalsam.jobs.model import RunRecord, State
from cwlbalsam.jobs.names import step_of
from cwlbalsam.jobs.states import FINAL
from cwlbalsam.service.home import Home
from cwlbalsam.store import Store, StoredJob
from cwlbalsam.store.host import this_host

FAILED_STATES = frozenset({State.FAILED, State.RUN_ERROR, State.RUN_TIMEOUT})

Liveness = Literal["alive", "gone", "elsewhere"]


QUEUES = "cwlbalsam://queue/"
"""How the documents of queues begin; their sites follow."""


class RunView(Struct, kw_only=True):
    """A run as people see it. status: the record's, or "lost": it should be running, but its process is gone."""

    id: str
    name: str
    status: str
    created: float
    seconds: float
    done: int
    failed: int
    total: int


class Ending(Struct):
    """The part of an `Outcome` that is shown; decoding the rest of 100,000 outcomes would take its time."""

    ending: str = ""
    error: str = ""
    exit_code: int | None = None
    started: float = 0.0
    ended: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    log: str = ""
    reused: bool = False
    command: Invocation | None = None


class StepView(Struct, kw_only=True):
    """The jobs of one step, all elements of its scatters together. Times in seconds, of the jobs that ended."""

    name: str
    total: int = 0
    done: int = 0
    reused: int = 0  # of those done
    skipped: int = 0
    running: int = 0
    failed: int = 0
    waiting: int = 0
    wall_seconds: float = 0.0
    median_seconds: float = 0.0
    longest_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


_endings = msgspec.msgpack.Decoder(Ending)


def ending_of(job: StoredJob) -> Ending:
    """How the job's last attempt ended; empty if it did not."""
    return _endings.decode(job.outcome) if job.outcome else Ending()


def stored_program(store: Store, run: RunRecord) -> Program | None:
    """The Program of a run; None if another version has kept it in a form that this one cannot read."""
    try:
        return msgspec.msgpack.decode(store.get_program(run.program), type=Program)
    except (LookupError, msgspec.DecodeError):
        return None


def name_of(run: RunRecord) -> str:
    """A queue's run has the name of its site alone."""
    return f"qsub at {run.name}" if run.document.startswith(QUEUES) else run.name


def view_run(store: Store, run: RunRecord) -> RunView:
    counts = store.counts(run.id, "job")
    return RunView(
        id=run.id,
        name=name_of(run),
        status="lost" if run.status == "running" and liveness(run) == "gone" else run.status,
        created=run.created,
        seconds=max(0.0, (run.ended or time.time()) - run.created),
        done=counts.get(State.JOB_FINISHED, 0),
        failed=sum(counts.get(state, 0) for state in FAILED_STATES),
        total=sum(counts.values()),
    )


def list_runs(store: Store, limit: int = 0, status: Collection[str] = ()) -> list[RunView]:
    """Newest first. "lost" runs count as running for `status`, and the other way round."""
    if not status:
        return [view_run(store, run) for run in store.runs(limit)]
    recorded = {"running" if name == "lost" else name for name in status}
    views = [view for view in (view_run(store, run) for run in store.runs(0, recorded)) if view.status in status]
    return views[: limit or None]


def view_steps(jobs: Iterable[StoredJob]) -> list[StepView]:
    """In the order of their first jobs."""
    steps: dict[str, StepView] = {}
    seconds: dict[str, array[float]] = {}
    for job in jobs:
        if job.kind != "job":
            continue
        name = step_of(job.name)
        ending = ending_of(job)
        _count(steps.setdefault(name, StepView(name=name)), job, ending)
        if ending.started:
            seconds.setdefault(name, array("d")).append(max(0.0, ending.ended - ending.started))
    for name, found in seconds.items():
        steps[name].median_seconds = statistics.median(found)
    return list(steps.values())


def _count(step: StepView, job: StoredJob, ending: Ending) -> None:
    step.total += 1
    if job.state == State.JOB_FINISHED:
        step.skipped += ending.ending == "skipped"
        step.done += ending.ending != "skipped"
        step.reused += ending.reused
    elif job.state in FAILED_STATES:
        step.failed += 1
    elif job.state == State.RUNNING:
        step.running += 1
    elif job.state not in FINAL:
        step.waiting += 1
    seconds = max(0.0, ending.ended - ending.started)
    step.wall_seconds += seconds
    step.longest_seconds = max(step.longest_seconds, seconds)
    step.cpu_seconds += ending.cpu_seconds
    step.peak_memory_bytes = max(step.peak_memory_bytes, ending.peak_memory_bytes)


def shown_jobs(jobs: Iterable[StoredJob]) -> list[StoredJob]:
    """The jobs of the user's steps, failed ones first; those that only structure the DAG only if they failed."""
    shown = [job for job in jobs if job.kind == "job" or job.state in FAILED_STATES]
    return sorted(shown, key=lambda job: job.state not in FAILED_STATES)


def find_jobs(store: Store, run_id: str, pattern: str) -> list[StoredJob]:
    """By name, glob or else id; the failed ones if the pattern is empty. Raises UserError if a pattern finds none."""
    if not pattern:
        return store.jobs(run_id, FAILED_STATES)
    found = store.jobs(run_id, name=pattern)
    if not found and pattern.isdecimal():
        with suppress(LookupError):
            found = [store.job(run_id, int(pattern))]
    if not found:
        raise UserError(f"no job '{pattern}' in run {run_id}", hint="`cwlbalsam show RUN --jobs` lists the jobs")
    return found


def prune_results(store: Store, home: Home, seconds: float) -> int:
    """Remove results that no run has used for this time, but none that a running one may use; says how many."""
    running = [run.created for run in store.runs(0, ["running"]) if liveness(run) != "gone"]
    return prune(str(home.reuse), min([time.time() - seconds, *running]))


# --- processes -----------------------------------------------------------------------------------------------------


def process_started(pid: int) -> float | None:
    """When the process started, in seconds since the epoch; None if there is none, 0 if nothing tells."""
    ticks = started_ticks(pid)
    if not ticks:
        return ticks
    lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    boot = next(line for line in lines if line.startswith("btime"))
    return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")


def liveness(run: RunRecord) -> Liveness:
    """Whether the process that coordinates the run exists.

    A process that started after the run was created or claimed has only inherited the number.
    """
    if run.host != this_host().name:
        return "elsewhere"
    started = process_started(run.pid)
    # The kernel's time of boot is rounded to seconds.
    return "alive" if started is not None and started <= (run.claimed or run.created) + 2 else "gone"


def kill_run(store: Store, run: RunRecord, wait_seconds: float = 30.0) -> str:
    """Ends a run; says in what way: "killed", or "ending" if its process has not ended after wait_seconds.

    Raises UserError if it is not running or runs on another host.
    """
    if run.status != "running":
        raise UserError(f"run {short_run_id(run.id)} is not running: it is {run.status}")
    found = liveness(run)
    if found == "elsewhere":
        raise UserError(
            f"run {short_run_id(run.id)} runs on host '{run.host}'", hint=f"use `cwlbalsam kill` on '{run.host}'"
        )
    if found == "alive":
        os.kill(run.pid, signal.SIGTERM)  # the first SIGINT would only let the jobs run to their ends
        until = time.monotonic() + wait_seconds
        while liveness(run) == "alive":
            if time.monotonic() > until:
                return "ending"
            time.sleep(0.05)
    if store.run(run.id).status == "running":
        message = f"process {run.pid} was gone" if found == "gone" else f"process {run.pid} was killed"
        store.finish_run(run.id, "killed", message=message, ended=time.time())
    return "killed"


# --- removal -------------------------------------------------------------------------------------------------------


def remove_run(store: Store, home: Home, run: RunRecord, force: bool = False) -> None:
    """Forgets a run and deletes its folder below home; files in its output directory are the user's and stay.

    Raises UserError if it is running and force is false. With force it is killed first, if that can be done from here.
    """
    found = liveness(run) if run.status == "running" else "gone"
    if found != "gone":
        if not force:
            raise UserError(
                f"run {short_run_id(run.id)} is running", hint="`cwlbalsam kill` ends it; --force kills and removes it"
            )
        if found == "alive" and kill_run(store, run) == "ending":
            raise UserError(f"run {short_run_id(run.id)} has not ended yet; nothing was removed")
    remove_tree(str(home.run_directory(run.id)), ignore_errors=False)
    if Path(run.directory).name.endswith(run.id):  # at a site, or where --tmpdir-prefix said
        remove_tree(run.directory, ignore_errors=False)
    store.remove_run(run.id)
