"""A `prepare` for tests: what a task is to do stands in its input `do`."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from cwlbalsam.cwl.execution import Command
from cwlbalsam.cwl.records import Program
from cwlbalsam.cwl.tasks import Grant, Outcome, Settings, Task
from cwlbalsam.errors import JobError
from cwlbalsam.executor.pool import WorkerPool

PROGRAM = msgspec.msgpack.encode(Program(uri="test", main=0, processes=()))

ONE_CORE = Grant(cores=1, ram=1, tmpdir=0, outdir=0)


class FakePrepared:
    def __init__(self, ending: str | None = None, outputs: Any = None, command: Command | None = None) -> None:
        self.ending, self.outputs, self.command = ending, outputs or {}, command
        self.taken = None

    def hide(self, text: str) -> str:
        return text.replace("hush", "(secret)")

    def collect(self, exit_code: int) -> tuple[str, dict[str, Any], str]:
        return ("done" if exit_code == 0 else "failed"), {"code": exit_code}, ""


def prepare(program: Program, task: Task, settings: Settings, tmpdir: str) -> Any:
    do = msgspec.msgpack.decode(task.inputs["do"])
    if "error" in do:
        raise JobError(do["error"])
    if "crash" in do:
        raise RuntimeError(do["crash"])
    if "exit" in do:
        os._exit(do["exit"])
    if "outputs" in do:
        return FakePrepared("done", do["outputs"])
    Path(task.directory).mkdir(parents=True)
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": tmpdir, **do.pop("environment", {})}
    command = msgspec.convert({"environment": environment, "cwd": task.directory, **do}, type=Command)
    return FakePrepared(command=command)


def make_task(job: int, folder: Path, *, grant: Grant = ONE_CORE, **do: Any) -> Task:
    return Task(
        job=job,
        program="digest",
        process=0,
        inputs={"do": Raw(msgspec.msgpack.encode(do))},
        directory=str(folder / f"job-{job}"),
        grant=grant,
    )


def shell(job: int, folder: Path, script: str, **do: Any) -> Task:
    return make_task(job, folder, argv=["sh", "-c", script], **do)


class Session:
    """An open pool and what it has answered."""

    def __init__(self, pool: WorkerPool) -> None:
        self.pool = pool
        self.outcomes: dict[int, Outcome] = {}
        self._news = asyncio.Event()

    def take(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            assert outcome.job not in self.outcomes, "answered twice"
            self.outcomes[outcome.job] = outcome
        self._news.set()

    async def results(self, *jobs: int) -> list[Outcome]:
        while not all(job in self.outcomes for job in jobs):
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 30)
        return [self.outcomes[job] for job in jobs]


def run_pool(pool: WorkerPool, scenario: Callable[[Session], Any], *, kill: bool = False) -> dict[int, Outcome]:
    pool.start()

    async def main() -> dict[int, Outcome]:
        session = Session(pool)
        await pool.open(session.take)
        try:
            await scenario(session)
        finally:
            await pool.close(kill=kill)
        return session.outcomes

    return asyncio.run(main())


def run_tasks(pool: WorkerPool, *tasks: Task) -> list[Outcome]:
    async def scenario(session: Session) -> None:
        session.pool.submit(tasks)

    outcomes = run_pool(pool, scenario)
    return [outcomes[task.job] for task in tasks]


def make_pool(folder: Path, workers: int = 1, settings: Settings | None = None, **options: Any) -> WorkerPool:
    return WorkerPool(workers, settings or Settings(), lambda _: PROGRAM, prepare=prepare, scratch=folder, **options)
