import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from cwlbalsam.cwl.tasks import Grant
from cwlbalsam.executor.capacity import Capacity, Machine
from tests.executor.fakes import Session, make_pool, make_task, run_pool, run_tasks, shell
from tests.executor.test_worker import gone


def two_cores() -> Capacity:
    return Capacity(Machine(cores=2, ram=1000, tmpdir=1000))


def test_thousands_of_short_jobs_are_answered_once_each(tmp_path: Path) -> None:
    tasks = [make_task(number, tmp_path, outputs={"n": number}) for number in range(3000)]
    tasks[::10] = [shell(number, tmp_path, f"exit {number % 3}") for number in range(0, 3000, 10)]
    outcomes = run_tasks(make_pool(tmp_path, 2, capacity=two_cores()), *tasks)
    assert [outcome.exit_code for outcome in outcomes[::10]] == [number % 3 for number in range(0, 3000, 10)]


def test_huge_tasks_and_outcomes_pass_each_other_without_a_deadlock(tmp_path: Path) -> None:
    big = "x" * 3_000_000
    outcomes = run_tasks(make_pool(tmp_path), *(make_task(n, tmp_path, outputs={"x": big}) for n in range(20)))
    assert all(len(bytes(outcome.outputs["x"])) > len(big) for outcome in outcomes)


def test_jobs_never_run_beyond_the_capacity(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    script = f"touch {marks}/$$; ls {marks} | wc -l; sleep 0.02; rm {marks}/$$"
    tasks = [shell(number, tmp_path, script) for number in range(60)]
    outcomes = run_tasks(make_pool(tmp_path, 2, capacity=two_cores()), *tasks)
    assert {int(Path(outcome.log).read_text()) for outcome in outcomes} <= {1, 2}


def test_a_job_that_is_too_big_for_the_machine_fails_with_what_there_is(tmp_path: Path) -> None:
    task = shell(1, tmp_path, "true", grant=Grant(cores=3, ram=2000, tmpdir=0, outdir=0))
    (outcome,) = run_tasks(make_pool(tmp_path, capacity=two_cores()), task)
    assert outcome.ending == "failed"
    assert outcome.error.endswith("3 cores (there are 2), 2000 MiB of memory (there are 1000)")


def test_cancelled_jobs_end_whether_they_run_or_wait(tmp_path: Path) -> None:
    async def scenario(session: Session) -> None:
        session.pool.submit([shell(number, tmp_path, "sleep 60") for number in range(9)])
        await asyncio.sleep(0.3)
        session.pool.cancel(range(8))
        await session.results(*range(8))
        await asyncio.sleep(0.3)
        assert (tmp_path / "job-8").exists(), "the next one has started"

    outcomes = run_pool(make_pool(tmp_path, 2, capacity=two_cores()), scenario, kill=True)
    assert [outcomes[number].ending for number in range(9)] == ["cancelled"] * 9


def test_a_worker_that_dies_is_replaced_and_its_jobs_are_ended_and_reported(tmp_path: Path) -> None:
    async def scenario(session: Session) -> None:
        session.pool.submit([shell(1, tmp_path, "trap '' TERM; echo $$ > pid; sleep 60; sleep 60")])
        while not (tmp_path / "job-1" / "pid").exists():
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)
        session.pool.submit([make_task(2, tmp_path, exit=5)])
        await session.results(1, 2)
        assert gone(int((tmp_path / "job-1" / "pid").read_text()), 0.5)
        session.pool.submit([shell(3, tmp_path, "true")])
        await session.results(3)

    outcomes = run_pool(make_pool(tmp_path), scenario)
    assert [outcomes[number].ending for number in (1, 2, 3)] == ["temporary", "temporary", "done"]
    assert outcomes[2].error == "the worker that ran this job died with exit code 5"


def test_a_worker_that_is_stopped_by_one_of_its_jobs_goes_on(tmp_path: Path) -> None:
    tasks = [shell(number, tmp_path, "kill -STOP $PPID; echo said") for number in range(3)]
    outcomes = run_tasks(make_pool(tmp_path), *tasks)
    assert [outcome.ending for outcome in outcomes] == ["done"] * 3


def test_a_pool_ends_even_if_a_job_has_stopped_the_fork_server(tmp_path: Path) -> None:
    (outcome,) = run_tasks(make_pool(tmp_path), shell(1, tmp_path, "kill -STOP $(cut -d' ' -f4 /proc/$PPID/stat)"))
    assert outcome.ending == "done"


COORDINATOR = """
import sys, time
from pathlib import Path
from tests.executor.fakes import *
folder = Path(sys.argv[1])
async def scenario(session):
    session.pool.submit([shell(1, folder, "sleep 60 & echo $$ $! > pid; wait")])
    await session.results(1)
run_pool(make_pool(folder, 2), scenario)
"""


def test_jobs_and_workers_end_when_the_coordinator_is_killed(tmp_path: Path) -> None:
    coordinator = subprocess.Popen([sys.executable, "-c", COORDINATOR, tmp_path], cwd=Path(__file__).parents[2])
    file = tmp_path / "job-1" / "pid"
    until = time.monotonic() + 20
    while not (file.exists() and file.read_text().endswith("\n")) and time.monotonic() < until:
        time.sleep(0.02)
    session = int(subprocess.check_output(["ps", "-o", "sess=", "-p", file.read_text().split()[0]]))
    coordinator.send_signal(signal.SIGKILL)
    coordinator.wait()
    for pid in map(int, file.read_text().split()):
        assert gone(pid)
    assert gone(session), "the fork server has ended, so all its workers have"
    assert session != os.getsid(0)
