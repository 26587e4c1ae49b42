"""A folder with a home of its own in which real `cwlbalsam` processes run, are killed and looked at."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from cwlbalsam.cwl.tasks import Outcome
from cwlbalsam.executor.journal import read_journals
from cwlbalsam.jobs.model import State
from cwlbalsam.jobs.states import FINAL

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOCUMENT = f"{HERE}/dynamic.cwl#main"
COUNT = 16
WELL = ("done", "skipped")


@dataclass
class Place:
    """log: what commands told, a line each: start or end or OVERLAP, run, job, directory."""

    folder: Path
    home: Path = field(init=False)
    out: Path = field(init=False)

    def __post_init__(self) -> None:
        self.home, self.out = self.folder / "home", self.folder / "out"
        (self.folder / "locks").mkdir(parents=True, exist_ok=True)

    # --- commands ---

    def begin(self, *arguments: str | Path, before: str = "") -> subprocess.Popen[str]:
        """Start `cwlbalsam`; its standard output is a pipe, its standard error goes to `said`.

        before: Python statements that its process begins with.
        """
        start = f"{before}\nfrom cwlbalsam.cli.main import main\nmain()"
        with self.said.open("a") as said:
            return subprocess.Popen(
                [sys.executable, "-c", start, *map(str, arguments)],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "CWLBALSAM_HOME": str(self.home)},
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )

    def call(self, *arguments: str | Path, code: int = 0, timeout: float = 120) -> str:
        """Its standard output; it must end with this exit code."""
        process = self.begin(*arguments)
        told, _ = process.communicate(timeout=timeout)
        assert process.returncode == code, f"exit code {process.returncode}:\n{self.said.read_text()[-4000:]}"
        return told

    def run_arguments(self) -> list[str]:
        inputs = ["--place", str(self.folder), "--count", str(COUNT)]
        return ["run", "--quiet", "--outdir", str(self.out), DOCUMENT, *inputs]

    @property
    def said(self) -> Path:
        return self.folder / "stderr"

    @property
    def log(self) -> list[str]:
        with suppress(FileNotFoundError):
            return (self.folder / "log").read_text().splitlines()
        return []

    def starts(self, since: int = 0) -> Counter[tuple[str, int]]:
        """How often each (run, job) has started."""
        told = [line.split(maxsplit=3) for line in self.log[since:]]
        return Counter((run, int(job)) for what, run, job, _ in told if what == "start")

    # --- the store ---

    def rows(self, query: str, *values: Any) -> list[Any]:
        """Of the store, which is not made if it is not there yet."""
        path = self.home / "store.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=30)) as store:
            try:
                return store.execute(query, values).fetchall()
            except sqlite3.OperationalError:  # no table yet
                return []

    def run_id(self) -> str:
        """The newest run; "" if there is none."""
        rows = self.rows("SELECT id FROM runs ORDER BY id DESC LIMIT 1")
        return str(rows[0][0]) if rows else ""

    def run_folder(self, run: str) -> Path:
        return self.home / "runs" / run

    def jobs(self, run: str) -> dict[int, tuple[str, str, State, int, str]]:
        """id -> name, kind, state, attempt, message."""
        query = (
            "SELECT jobs.id, jobs.name, kind, state, attempt, jobs.message FROM jobs JOIN runs ON runs.key = jobs.run"
        )
        rows = self.rows(f"{query} WHERE runs.id = ?", run)
        return {row[0]: (row[1], row[2], State(row[3]), row[4], row[5]) for row in rows}

    def named(self, run: str, pattern: str = "") -> dict[str, int]:
        """Ids of the jobs that are work, by name."""
        return {job[0]: number for number, job in self.jobs(run).items() if job[1] == "job" and pattern in job[0]}

    def recorded(self, run: str) -> set[int]:
        """Jobs that have ended well, as the store or a journal says."""
        jobs = self.jobs(run)
        found = {number for number, job in jobs.items() if job[2] is State.JOB_FINISHED}
        for outcome in read_journals(self.run_folder(run) / "journals"):
            if is_of(outcome, jobs):
                found.add(outcome.job)
        return found

    def outputs(self, run: str) -> Any:
        rows = self.rows("SELECT outputs FROM runs WHERE id = ?", run)
        return msgspec.msgpack.decode(rows[0][0])

    def plain(self, told: str, out: Path | None = None) -> Any:
        """An output object without the place where its files are."""
        return json.loads(told.replace(str(out or self.out), "OUT"))

    def check_store(self, run: str) -> None:
        """It is whole, the run has ended well, every job of it is final, and only logs are left of its folder."""
        left = [path for path in self.run_folder(run).rglob("*") if path.is_file() and path.suffix != ".log"]
        assert not left, left[:5]
        self.check_integrity()
        assert self.rows("SELECT status FROM runs WHERE id = ?", run) == [("finished",)]
        open_jobs = {job[0]: job[2].name for job in self.jobs(run).values() if job[2] not in FINAL}
        assert not open_jobs, open_jobs

    def check_integrity(self) -> None:
        assert self.rows("PRAGMA integrity_check") == [("ok",)]
        assert self.rows("PRAGMA foreign_key_check") == []

    # --- processes ---

    def survivors(self) -> list[str]:
        """Processes of any run here: by their environment or their directory."""
        return [f"{pid} {command_of(pid)}" for pid in processes() if self._is_ours(pid)]

    def _is_ours(self, pid: int) -> bool:
        with suppress(OSError):
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            if f"={self.home}".encode() in environment or str(self.home) in str(Path(f"/proc/{pid}/cwd").readlink()):
                return True
        return False

    def wait_until_alone(self, seconds: float = 15) -> None:
        """No process of a run may be left after so long."""
        until = time.monotonic() + seconds
        while found := self.survivors():
            assert time.monotonic() < until, f"still there: {found}"
            time.sleep(0.02)


def is_of(outcome: Outcome, jobs: dict[int, tuple[str, str, State, int, str]]) -> bool:
    """Whether this is how the current attempt of a job ended well."""
    job = jobs.get(outcome.job)
    return (
        job is not None and outcome.ending in WELL and outcome.fingerprint != b"" and outcome.attempt == max(job[3], 1)
    )


def processes() -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and not is_dead(int(entry.name)):
            yield int(entry.name)


def is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def command_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:150]
    return ""


def children(pid: int) -> list[int]:
    try:
        found = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return [child for child in found if not is_dead(child)]
    except OSError:
        return []


def parent(pid: int) -> int:
    """0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def fork_server(coordinator: int) -> list[int]:
    """Its pid, if it is there already: before it, a document's compiler is the coordinator's child."""
    return [pid for pid in children(coordinator) if session_of(pid) == pid]


def session_of(pid: int) -> int:
    with suppress(ProcessLookupError):
        return os.getsid(pid)
    return 0


def descendants(pid: int) -> list[int]:
    found = children(pid)
    return found + [below for child in found for below in descendants(child)]


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
