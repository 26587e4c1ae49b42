"""Changes of a DAG from outside, and scripts around jobs, with a pool that the test answers for."""

from typing import Any

import pytest

from cwlbalsam.cwl.records import Requirements, Scripts, ToolProcess
from cwlbalsam.errors import JobError
from cwlbalsam.executor.live import RetryPolicy
from cwlbalsam.executor.transitions import Script, Scripted
from cwlbalsam.jobs.commands import Command
from cwlbalsam.jobs.dag import DagChange, NewJob
from cwlbalsam.jobs.model import State
from tests.executor.test_coordinator import Bench, begin, dag, program, step, workflow

SCRIPTED = ToolProcess(
    id="tool",
    version="v1.2",
    inputs=(),
    outputs=(),
    requirements=Requirements(scripts=Scripts(preprocess=("before",), postprocess=("after",))),
)


def new(name: str, *after: int, id: int | None = None, **fields: Any) -> NewJob:
    return NewJob(name, Command(argv=("true",), directory="/", **fields), after, id)


def idle() -> Bench:
    """A run whose own jobs have ended but for one, `s0`."""
    bench = begin(dag([[]]))
    bench.end(bench.task(""), outputs={"x": 1})
    return bench


class Scribe:
    """Runs no script: the test says how each ends."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.scripts: list[Script] = []

    def submit(self, script: Script) -> None:
        self.scripts.append(script)

    def cancel(self) -> None:
        for script in self.scripts:
            self.bench.coordinator.scripted(Scripted(script, "cancelled", cancelled=True))
        self.scripts.clear()

    def end(self, error: str = "", change: DagChange = DagChange()) -> None:  # noqa: B008
        self.bench.coordinator.scripted(Scripted(self.scripts.pop(0), error, change))
        if self.bench.coordinator.broken:
            raise self.bench.coordinator.broken


def test_added_jobs_run_in_the_order_of_their_edges() -> None:
    bench = idle()
    s0 = bench.task("s0").job
    bench.coordinator.change(DagChange((new("a", s0), new("b", -1, s0))))
    assert bench.states()["a"] is State.AWAITING_PARENTS
    bench.end(bench.task("s0"))
    bench.end(bench.task("a"))
    assert not bench.coordinator.done.is_set()
    bench.end(bench.task("b"))
    assert bench.coordinator.done.is_set()
    assert bench.states()["b"] is State.JOB_FINISHED


def test_the_same_change_once_more_changes_nothing() -> None:
    bench = idle()
    change = DagChange((new("a"), new("b", -1)))
    bench.coordinator.change(change)
    bench.coordinator.change(change)
    bench.end(bench.task("a"))
    bench.end(bench.task("b"))
    bench.coordinator.change(change)
    assert [task.name for task in bench.tasks].count("a") == 1
    assert len(bench.store.jobs("run", name="b")) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (DagChange((new("a", -2), new("b", -1))), "wait for each other: "),
        (DagChange((new("a", -1),)), "wait for each other: "),
        (DagChange((new("a", 99),)), "no job 99"),
        (DagChange((new("a"), new("a"))), "two jobs are to be named 'a'"),
        (DagChange((new("a"),), ((-1, 2),)), "cannot wait for another one: it is RUNNING"),
    ],
)
def test_a_change_that_cannot_be_made_leaves_nothing(change: DagChange, words: str) -> None:
    bench = idle()
    assert bench.task("s0").job == 2
    jobs, edges = bench.store.jobs("run"), bench.store.edges("run")
    with pytest.raises(JobError, match=words):
        bench.coordinator.change(change)
    assert (bench.store.jobs("run"), bench.store.edges("run")) == (jobs, edges)


def test_killed_jobs_take_along_what_waits_for_them() -> None:
    bench = idle()
    bench.coordinator.change(DagChange((new("a"), new("b", -1), new("c"))))
    a = bench.task("a")
    bench.coordinator.change(DagChange(kills=(a.job,)))
    assert bench.states()["a"] is State.RUNNING  # until its command has ended
    bench.end(a, "cancelled")
    states = bench.states()
    assert (states["a"], states["b"], states["c"]) == (State.USER_KILLED, State.PARENT_KILLED, State.RUNNING)


def test_what_is_added_after_a_failed_job_never_runs() -> None:
    bench = idle()
    bench.coordinator.change(DagChange((new("a", id=50),)))
    bench.end(bench.task("a"), "failed")
    bench.coordinator.change(DagChange((new("b", 50), new("c", -1))))
    assert bench.states()["b"] is bench.states()["c"] is State.PARENT_KILLED


def test_scripts_run_before_and_after_their_job_and_each_counts_once() -> None:
    bench = begin(program(SCRIPTED, workflow(step("s0"), step("s1", "s0"))))
    scribe = bench.coordinator.scripts.runner = Scribe(bench)
    bench.end(bench.task(""), outputs={"x": 1})
    assert bench.states()["s0"] is State.STAGED_IN
    assert [script.phase for script in scribe.scripts] == ["preprocess"]
    scribe.end()
    assert bench.states()["s0"] is State.RUNNING
    bench.end(bench.task("s0"))
    assert bench.states()["s0"] is State.RUN_DONE
    s1 = bench.store.job("run", "s1").id
    scribe.end(change=DagChange((new("added"),), ((-1, s1),)))
    assert bench.states()["s0"] is State.JOB_FINISHED
    assert bench.states()["s1"] is State.AWAITING_PARENTS
    bench.end(bench.task("added"))
    assert bench.states()["s1"] is State.STAGED_IN


def test_a_failed_script_fails_its_job_and_changes_nothing() -> None:
    bench = begin(program(SCRIPTED, workflow(step("s0"))))
    scribe = bench.coordinator.scripts.runner = Scribe(bench)
    bench.end(bench.task(""), outputs={"x": 1})
    scribe.end()
    bench.end(bench.task("s0"))
    scribe.end("it ended with exit code 1", DagChange((new("added"),)))
    assert bench.states() == {"": State.JOB_FINISHED, "s0": State.FAILED}
    assert bench.coordinator.done.is_set()


def test_a_script_that_closes_a_cycle_fails_its_job() -> None:
    bench = begin(program(SCRIPTED, workflow(step("s0"))))
    scribe = bench.coordinator.scripts.runner = Scribe(bench)
    bench.end(bench.task(""), outputs={"x": 1})
    scribe.end(change=DagChange((new("a", -2), new("b", -1))))
    assert bench.states() == {"": State.JOB_FINISHED, "s0": State.FAILED}
    assert "wait for each other" in bench.coordinator.failures[0].error


def test_a_stopped_run_ends_its_scripts() -> None:
    bench = begin(program(SCRIPTED, workflow(step("s0"))))
    bench.coordinator.scripts.runner = Scribe(bench)
    bench.end(bench.task(""), outputs={"x": 1})
    bench.coordinator.stop()
    assert bench.coordinator.done.is_set()


def test_an_attempt_after_a_timeout_gets_more_time() -> None:
    bench = idle()
    bench.coordinator._endings.retry = RetryPolicy(retries=2, time_factor=3)
    bench.coordinator.change(DagChange((new("a", wall_seconds=10),)))
    limits = []
    for ending in ("timeout", "failed", "done"):
        task = bench.task("a")
        limits.append((task.wall_seconds, task.time_factor))
        bench.end(task, ending)  # type: ignore[arg-type]
    assert limits == [(10, 1), (30, 3), (30, 3)]
