"""The DAG of a run, for the scripts before and after its jobs, and for your own Python.

    from cwlbalsam import dag

    for child in dag.current_job.children(): ...
    first = dag.add(["./simulate", "a.in"], cores=4)
    dag.add(["./merge"], after=[first], name="merge")

All that one script does is one change of the DAG: made when the script has ended with 0, and not at all if it fails or
dies. Elsewhere `with dag.open(RUN) as run: run.add(...)` does the same when its block ends. Names of jobs are unique in
a run: adding a job whose name was added before gives that job.
"""

import atexit
import fcntl
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.dag import DagChange, decode_change, encode_change, merged
from cwlbalsam.jobs.model import State
from cwlbalsam.service.dag import Dag, Job
from cwlbalsam.service.dag import open_dag as open

__all__ = ["Dag", "Job", "State", "add", "children", "depend", "job", "jobs", "kill", "open", "parents", "spawn"]

_own: list[Dag] = []


def _script() -> Dag:
    """Of the script that runs here; its change is handed in when Python ends. Raises UserError outside of one."""
    if not _own:
        target = os.environ.get("CWLBALSAM_DAG")
        if not target:
            raise UserError("no script of a job runs here", hint="elsewhere `dag.open(RUN)` opens the DAG of a run")
        home, run = Path(os.environ["CWLBALSAM_HOME"]), os.environ["CWLBALSAM_RUN"]
        _own.append(Dag(home, run, int(os.environ["CWLBALSAM_JOB_ID"]), lambda change: _leave(Path(target), change)))
        atexit.register(_own[0].commit)
    return _own[0]


def _leave(target: Path, change: DagChange) -> None:
    """Where the coordinator looks if the script ends well; a script may have several processes that ask, one by one."""
    with target.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = decode_change(target.read_bytes()) if target.exists() else DagChange()
        hidden = target.with_suffix(".new")
        hidden.write_bytes(encode_change(merged(before, change)))
        hidden.replace(target)


def add(argv: Sequence[str | os.PathLike[str]], **options: Any) -> Job:
    """See `Dag.add`."""
    return _script().add(argv, **options)


def spawn(argv: Sequence[str | os.PathLike[str]], **options: Any) -> Job:
    """See `Dag.spawn`."""
    return _script().spawn(argv, **options)


def depend(child: Job, parent: Job) -> None:
    """See `Dag.depend`."""
    _script().depend(child, parent)


def kill(job: Job) -> None:
    """See `Dag.kill`."""
    _script().kill(job)


def job(which: int | str) -> Job:
    """See `Dag.job`."""
    return _script().job(which)


def jobs(states: Iterable[State] = (), name: str = "") -> list[Job]:
    """See `Dag.jobs`."""
    return _script().jobs(states, name)


def parents() -> list[Job]:
    """Of the current job."""
    return _script().current_job.parents()


def children() -> list[Job]:
    """Of the current job."""
    return _script().current_job.children()


def __getattr__(name: str) -> Job:
    if name == "current_job":
        return _script().current_job
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
