"""What is done with runs that exist: look at them, end them, remove them."""

import os
import shutil
import signal
import stat
import statistics
import time
from array import array
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.pruning import prune
from cwlbalsam.cwl.tasks import Invocation
from cwlbalsam.errors import UserError
from cwlbalsam.jobs.ids import short_run_id
from cwlbalsam.jobs.model import RunRecord, State
from cwlbalsam.jobs.names import step_of
from cwlbalsam.jobs.states import FINAL
from cwlbalsam.service.home import Home
from cwlbalsam.store import Store, StoredJob
from cwlbalsam.store.host import this_host

FAILED_STATES = frozenset({State.FAILED, State.RUN_ERROR, State.RUN_TIMEOUT})

Liveness = Literal["alive", "gone", "elsewhere"]


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


def view_run(store: Store, run: RunRecord) -> RunView:
    counts = store.counts(run.id, "job")
    return RunView(
        id=run.id,
        name=run.name,
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
        found = [job for job in store.jobs(run_id) if job.id == int(pattern)]
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
    if not Path("/proc/stat").exists():
        return _process_exists(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot = next(line for line in Path("/proc/stat").read_text(encoding="ascii").splitlines() if "btime" in line)
    except OSError:
        return None
    if fields[0] == "Z":
        return None
    return int(boot.split()[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _process_exists(pid: int) -> float | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return 0.0


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
    """Ends a run; says in what way: "killed", or "ending" if its process still cleans up after wait_seconds.

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
        os.kill(run.pid, signal.SIGINT)
        until = time.monotonic() + wait_seconds
        while liveness(run) == "alive":
            if time.monotonic() > until:
                return "ending"
            time.sleep(0.05)
    if store.run(run.id).status == "running":
        message = f"process {run.pid} was gone" if found == "gone" else f"process {run.pid} was interrupted"
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
    delete_tree(home.run_directory(run.id))
    store.remove_run(run.id)


def delete_tree(directory: Path) -> None:
    """Deletes a folder of cwlbalsam's, never through a link, even where a command took its write permission away."""
    if directory.is_symlink() or not directory.is_dir():
        return
    for folder, subfolders, _ in os.walk(directory):
        for path in (Path(folder, name) for name in subfolders):
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
                path.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)
    shutil.rmtree(directory)
