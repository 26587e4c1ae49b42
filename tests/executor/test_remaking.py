"""Files between jobs that are gone when somebody reads them, with a pool that the test answers for."""

import random
from collections import Counter
from functools import partial
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.cwl.records import Program
from cwlbalsam.cwl.tasks import Task
from cwlbalsam.cwl.values import files_and_directories
from cwlbalsam.executor.events import JobEnded, JobsAdded, Warned
from cwlbalsam.jobs.dag import DagChange
from cwlbalsam.jobs.model import State
from tests.executor.test_coordinator import GRAPHS, TOOL, Bench, begin, dag, program, scattered, step, workflow


def bench_of(what: Program, **options: Any) -> Bench:
    bench = begin(what, **options)
    bench.coordinator.remaking.read = partial(bench.store.job, "run")
    return bench


def chain(*, stop_on_error: bool = True) -> Bench:
    """`maker`, then `reader`, which runs."""
    bench = bench_of(program(TOOL, workflow(step("maker", ""), step("reader", "maker"))), stop_on_error=stop_on_error)
    bench.end(bench.task(""), outputs={"x": 1})
    make(bench, "maker")
    return bench


def made(task: Task) -> dict[str, Any]:
    """A file; no two attempts make the same."""
    return {
        "class": "File",
        "location": f"file://{task.directory}/out.txt",
        "basename": "out.txt",
        "checksum": f"sha1${task.job}.{task.attempt}",
        "size": 10 * task.job + task.attempt,
    }


def make(bench: Bench, name: str) -> Task:
    task = bench.task(name)
    bench.end(task, outputs={"out": made(task)})
    return task


def lose(bench: Bench, name: str, *missing: str) -> None:
    """A job finds that inputs are gone: all, if none are named."""
    task = bench.task(name)
    bench.end(task, "failed", missing=missing or read(task), exit_code=1)


def read(task: Task) -> tuple[str, ...]:
    """Locations of the files that a task is given."""
    values = [msgspec.msgpack.decode(raw) for raw in task.inputs.values()]
    return tuple(value["location"] for value in files_and_directories(values))


def runs(bench: Bench) -> Counter[str]:
    return Counter(task.name for task in bench.tasks if task.mode == "run")


def check(bench: Bench) -> None:
    assert bench.coordinator.done.is_set()
    assert bench.coordinator.broken is None


def test_what_is_gone_is_made_again_and_then_read() -> None:
    bench = chain()
    first = bench.task("reader")
    lose(bench, "reader")
    assert bench.states() == {"": State.JOB_FINISHED, "maker": State.RUNNING, "reader": State.RESTART_READY}
    again = make(bench, "maker")
    assert (again.attempt, again.inputs) == (2, bench.tasks[1].inputs)
    second = bench.task("reader")
    assert second.directory != first.directory
    assert msgspec.msgpack.decode(second.inputs["in0"]) == made(again)
    make(bench, "reader")
    check(bench)
    assert bench.outputs() == {"maker": made(again), "reader": made(second)}
    assert not bench.coordinator.failures


def test_the_user_is_told_and_the_counts_of_jobs_stay_right() -> None:
    bench = chain()
    lose(bench, "reader")
    make(bench, "maker")
    make(bench, "reader")
    events = bench.watcher.events
    told = [event.problem.message for event in events if isinstance(event, Warned)]
    assert told == ["'maker' runs again: 'reader' reads what it made, which is gone: file:///jobs/0/2/out.txt"]
    added = sum(event.count for event in events if isinstance(event, JobsAdded))
    assert added == sum(isinstance(event, JobEnded) for event in events) == 3


def test_what_is_gone_twice_fails_its_reader_and_says_what_and_whose() -> None:
    bench = chain()
    lose(bench, "reader")
    make(bench, "maker")
    lose(bench, "reader")
    check(bench)
    assert bench.states()["reader"] is State.FAILED
    assert runs(bench) == {"maker": 2, "reader": 2}
    (failure,) = bench.coordinator.failures
    assert failure.error.startswith("input file:///jobs/0/2.2/out.txt is gone: job 'maker' has made it twice")
    assert "cwlbalsam resume" in failure.error


def test_a_maker_that_makes_no_file_the_second_time_is_not_asked_a_third_time() -> None:
    bench = bench_of(program(TOOL, workflow(step("maker", ""), step("between", "maker"), step("reader", "between"))))
    bench.end(bench.task(""), outputs={"x": 1})
    file = made(make(bench, "maker"))
    bench.end(bench.task("between"), outputs={"out": file})
    lose(bench, "reader")
    bench.end(bench.task("maker"), outputs={"out": 7})
    lose(bench, "reader")
    check(bench)
    assert bench.states()["reader"] is State.FAILED


def test_all_makers_of_a_gathered_array_run_again_and_nothing_else_does() -> None:
    bench = bench_of(
        program(TOOL, workflow(scattered(), step("aside", ""), step("reader", "many"))), inputs={"x": None}
    )
    bench.end(bench.task(""), outputs={"x": list("abcd")})
    for index in range(4):
        make(bench, f"many[{index}]")
    make(bench, "aside")
    gone = read(bench.task("reader"))
    lose(bench, "reader", gone[1], gone[3])
    assert sorted(task.name for task in bench.waiting.values()) == ["many[1]", "many[3]"]
    assert msgspec.msgpack.decode(bench.task("many[3]").inputs["in0"]) == "d"
    make(bench, "many[3]")
    make(bench, "many[1]")
    numbers = [found.rpartition("/")[0].rpartition("/")[2] for found in read(bench.task("reader"))]
    assert [number.partition(".")[2] for number in numbers] == ["", "2", "", "2"]
    make(bench, "reader")
    check(bench)
    assert [file["checksum"][-2:] for file in bench.outputs()["many"]] == [".1", ".2", ".1", ".2"]
    assert all(job.state is State.JOB_FINISHED for job in bench.store.jobs("run"))


def test_what_a_job_handed_on_is_made_again_by_who_made_it() -> None:
    bench = bench_of(program(TOOL, workflow(step("maker", ""), step("between", "maker"), step("reader", "between"))))
    bench.end(bench.task(""), outputs={"x": 1})
    file = made(make(bench, "maker")) | {"basename": "renamed"}
    bench.end(bench.task("between"), outputs={"out": file})
    lose(bench, "reader")
    again = make(bench, "maker")
    assert msgspec.msgpack.decode(bench.task("reader").inputs["in0"]) == made(again) | {"basename": "renamed"}
    make(bench, "reader")
    assert runs(bench) == {"maker": 2, "between": 1, "reader": 2}


def test_a_file_in_a_directory_is_found_where_the_directory_is_made_again() -> None:
    bench = bench_of(program(TOOL, workflow(step("maker", ""), step("between", "maker"), step("reader", "between"))))
    bench.end(bench.task(""), outputs={"x": 1})
    for attempt in (1, 2):
        task = bench.task("maker")
        folder = {"class": "Directory", "location": f"file://{task.directory}/d"}
        bench.end(task, outputs={"out": folder})
        if attempt == 1:
            file = {"class": "File", "location": f"{folder['location']}/inner.txt", "size": 3, "checksum": "sha1$0"}
            bench.end(bench.task("between"), outputs={"out": file})
            lose(bench, "reader")
    found = msgspec.msgpack.decode(bench.task("reader").inputs["in0"])
    assert found == {"class": "File", "location": "file:///jobs/0/2.2/d/inner.txt"}, "nobody knows its size now"


def test_a_file_that_was_asked_for_by_several_is_made_again_once() -> None:
    bench = bench_of(program(TOOL, workflow(step("maker", ""), *(step(name, "maker") for name in "abc"))))
    bench.end(bench.task(""), outputs={"x": 1})
    make(bench, "maker")
    lose(bench, "a")
    lose(bench, "b")
    make(bench, "maker")
    assert {"a", "b", "c"} == {task.name for task in bench.waiting.values()}
    lose(bench, "c")  # it was started before
    assert read(bench.task("c")) == ("file:///jobs/0/2.2/out.txt",)
    for name in "abc":
        make(bench, name)
    check(bench)
    assert runs(bench) == {"maker": 2, "a": 2, "b": 2, "c": 2}


def test_what_a_maker_reads_is_made_again_as_well() -> None:
    bench = bench_of(program(TOOL, workflow(step("first", ""), step("second", "first"), step("third", "second"))))
    bench.end(bench.task(""), outputs={"x": 1})
    make(bench, "first")
    make(bench, "second")
    lose(bench, "third")
    lose(bench, "second")
    assert [task.name for task in bench.waiting.values()] == ["first"]
    for name in ("first", "second", "third"):
        make(bench, name)
    check(bench)
    assert runs(bench) == {"first": 2, "second": 3, "third": 2}
    assert not bench.coordinator.failures


def test_a_maker_that_fails_takes_its_readers_along() -> None:
    bench = chain(stop_on_error=False)
    lose(bench, "reader")
    bench.end(bench.task("maker"), "failed", exit_code=1)
    check(bench)
    assert bench.states() == {"": State.JOB_FINISHED, "maker": State.FAILED, "reader": State.PARENT_KILLED}
    assert [failure.name for failure in bench.coordinator.failures] == ["maker"]


def test_the_users_own_file_is_the_users_to_bring_back() -> None:
    bench = chain()
    lose(bench, "reader", "file:///data/0/1/mine.txt", "file:///jobs/7/mine.txt")
    check(bench)
    assert runs(bench) == {"maker": 1, "reader": 1}
    assert [failure.error for failure in bench.coordinator.failures] == ["failed"]


def test_nothing_is_made_again_where_the_inputs_are_not_kept() -> None:
    bench = chain()
    bench.coordinator.remaking.read = None
    lose(bench, "reader")
    check(bench)
    assert "what job 'maker' would need to make it again is not kept" in bench.coordinator.failures[0].error


def test_a_stopped_run_leaves_it_to_be_resumed() -> None:
    bench = chain()
    bench.coordinator.stop(drain=True)
    lose(bench, "reader")
    check(bench)
    assert bench.states() == {"": State.JOB_FINISHED, "maker": State.JOB_FINISHED, "reader": State.RESTART_READY}
    assert not bench.coordinator.failures


def test_a_reader_that_is_killed_while_it_waits_does_not_run() -> None:
    bench = chain()
    reader = bench.task("reader").job
    lose(bench, "reader")
    bench.coordinator.change(DagChange(kills=(reader,)))
    make(bench, "maker")
    check(bench)
    assert bench.states()["reader"] is State.USER_KILLED


@given(GRAPHS, st.integers(0, 999), st.floats(0.1, 0.9))
def test_a_run_ends_well_whatever_is_lost_once(graph: list[list[int]], seed: int, often: float) -> None:
    """Losses come in any order, also of several files at a time; no reader is ever given what was made again since."""
    chance = random.Random(seed)
    bench = bench_of(dag(graph))
    lost: set[str] = set()
    makers: set[str] = set()  # that have lost what they made: each only once
    while bench.waiting:
        task = chance.choice(list(bench.waiting.values()))
        given_now = read(task)
        gone = [path for path in given_now if path in lost]
        fresh = [path for path in given_now if path.split("/")[5].partition(".")[0] not in makers]
        more = [path for path in dict.fromkeys(fresh) if chance.random() < often]
        makers.update(path.split("/")[5].partition(".")[0] for path in more)
        lost.update(more)
        if gone or more:
            bench.end(task, "failed", missing=tuple(dict.fromkeys(gone + more)))
        else:
            bench.end(task, outputs={"x": 1} if task.mode != "run" else {"out": made(task)})
    check(bench)
    assert not bench.coordinator.failures
    assert all(job.state is State.JOB_FINISHED for job in bench.store.jobs("run"))
    for name, count in runs(bench).items():
        losses = len(graph[int(name[1:])])
        assert count <= 2 + 2 * losses, "it has run more often than files were lost"
    last = {task.name: made(task) for task in bench.tasks if task.mode == "run"}
    assert bench.outputs() == last
