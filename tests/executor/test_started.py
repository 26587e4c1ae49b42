"""What the pool tells of jobs that start, and of commands that fail."""

import asyncio
from pathlib import Path
from typing import Any

from cwlbalsam.cwl.tasks import Grant, Task
from cwlbalsam.executor.capacity import Capacity, Machine
from cwlbalsam.executor.dispatch import Dispatcher
from cwlbalsam.executor.placement import Node
from tests.executor.fakes import make_pool, make_task, run_tasks, shell


def dispatcher(jobs: int) -> Dispatcher:
    found = Dispatcher()
    found.add_worker(1, Node(Capacity(Machine(cores=2, ram=1, tmpdir=1))))
    grant = Grant(cores=1, ram=0, tmpdir=0, outdir=0)
    found.add([Task(job=n, program="", process=0, inputs={}, directory="", grant=grant) for n in range(jobs)])
    return found


def test_jobs_that_wait_for_the_machine_have_not_started() -> None:
    found = dispatcher(100)
    found.assign()
    assert found.take_started() == [0, 1]
    started = [0, 1]
    for job in range(100):
        found.finished(job, 0.001)
        found.assign()
        started += found.take_started()
        assert len(started) - (job + 1) <= 2
    assert started == list(range(100))


def test_a_job_that_ends_before_its_turn_is_not_told_as_started() -> None:
    found = dispatcher(8)
    for job in range(2):
        found.assign()
        found.finished(job, 0.001)
    found.assign()  # the others were sent ahead
    started = found.take_started()
    found.finished(7, 0.0)  # cancelled in the worker
    for job in range(2, 7):
        found.finished(job, 0.001)
    assert [*started, *found.take_started()] == list(range(7))


def test_the_pool_tells_each_start_once_and_before_the_outcome(tmp_path: Path) -> None:
    pool = make_pool(tmp_path, capacity=Capacity(Machine(cores=1, ram=10, tmpdir=10)))
    pool.start()
    told: list[Any] = []

    async def main() -> None:
        await pool.open(
            lambda outcomes: told.extend(outcome.job for outcome in outcomes), lambda jobs: told.extend(map(str, jobs))
        )
        pool.submit([shell(number, tmp_path, "true") for number in range(5)])
        await pool.close()

    asyncio.run(main())
    assert [entry for entry in told if isinstance(entry, str)] == ["0", "1", "2", "3", "4"]
    assert all(told.index(str(number)) < told.index(number) for number in range(5))


def test_the_command_of_a_failure_is_kept_without_secrets_and_that_of_a_success_is_not(tmp_path: Path) -> None:
    script = "echo $1; exit 3"
    environment = {"KEY": "hush-hush"}
    out = str(tmp_path / "out")
    failed, fine, unprepared = run_tasks(
        make_pool(tmp_path),
        make_task(1, tmp_path, argv=["sh", "-c", script, "x", "hush"], environment=environment, stdout=out),
        shell(2, tmp_path, "true"),
        make_task(3, tmp_path, error="input 'x' is bad"),
    )
    assert failed.command is not None and fine.command is None and unprepared.command is None
    assert failed.command.argv == ["sh", "-c", script, "x", "(secret)"]
    assert failed.command.environment["KEY"] == "(secret)-(secret)"
    assert (failed.command.cwd, failed.command.stdout) == (f"{tmp_path}/job-1", out)
    assert failed.command.tmpdir and not failed.command.inherits


def test_a_command_that_cannot_be_started_is_kept_too(tmp_path: Path) -> None:
    (outcome,) = run_tasks(make_pool(tmp_path), make_task(1, tmp_path, argv=["no-such-command", "a b"]))
    assert outcome.command is not None and outcome.command.argv == ["no-such-command", "a b"]
