import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from cwlbalsam.cwl.records import (
    Expr,
    ExpressionProcess,
    Field,
    Link,
    Loop,
    Primitive,
    Process,
    Program,
    Ref,
    Requirements,
    Resources,
    Source,
    Step,
    ToolProcess,
    WorkflowProcess,
)
from cwlbalsam.cwl.tasks import Outcome, Task
from cwlbalsam.executor.coordinator import Coordinator
from cwlbalsam.executor.endings import MAX_LOSSES
from cwlbalsam.executor.events import Event, JobEnded, JobsAdded, JobStarted
from cwlbalsam.jobs.model import Changes, RunRecord, State
from cwlbalsam.jobs.states import FINAL
from cwlbalsam.store.memory import MemoryStore

ANY = Primitive(name="Any")
TOOL = ExpressionProcess(id="tool", version="v1.2", inputs=(), outputs=(Field(name="out", type=ANY),), expression="")
Ending = Literal["done", "skipped", "failed", "temporary", "timeout", "cancelled"]


def packed(value: Any) -> Raw:
    return Raw(msgspec.msgpack.encode(value))


def step(name: str, *sources: str, run: int = 0, **fields: Any) -> Step:
    """A step that reads the outputs of others; "" is the workflow's input `x`."""
    links = tuple(
        Link(name=f"in{index}", sources=(Source(step=source, port="out" if source else "x"),))
        for index, source in enumerate(sources)
    )
    fields = {"inputs": links, "outputs": ("out",), **fields}
    return Step(name=name, run=run, version="v1.2", **fields)


def workflow(*steps: Step, ends: tuple[str, ...] = ()) -> WorkflowProcess:
    ends = ends or tuple(step.name for step in steps)
    return WorkflowProcess(
        id="main",
        version="v1.2",
        inputs=(Field(name="x", type=ANY),),
        outputs=tuple(Field(name=name, type=ANY) for name in ends),
        links=tuple(Link(name=name, sources=(Source(step=name, port="out"),)) for name in ends),
        steps=steps,
    )


def program(*processes: Process) -> Program:
    """The last process is the main one."""
    return Program(uri="test", main=len(processes) - 1, processes=processes, digest="digest")


class Watcher:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def report(self, event: Event) -> None:
        self.events.append(event)


class Bench(Struct):
    """A run whose pool is this object: the test says how each task ends, and in which order."""

    coordinator: Coordinator
    store: MemoryStore
    watcher: Watcher
    waiting: dict[int, Task]
    tasks: list[Task]

    def submit(self, tasks: list[Task]) -> None:
        for task in tasks:
            assert task.job not in self.waiting, "two attempts at the same time"
            self.waiting[task.job] = task
            self.tasks.append(task)
        self.coordinator.started([task.job for task in tasks])

    def cancel(self, jobs: list[int], *, unstarted: bool = False) -> None:
        assert set(jobs) <= set(self.waiting)

    def end(self, task: Task, ending: Ending = "done", outputs: Any = None, **fields: Any) -> None:
        self.waiting.pop(task.job, None)
        values = {"out": task.name} if outputs is None else outputs
        raws = {name: packed(value) for name, value in values.items()} if ending == "done" else {}
        outcome = Outcome(job=task.job, attempt=task.attempt, ending=ending, outputs=raws, error=ending, **fields)
        self.coordinator.outcomes([outcome])

    def task(self, name: str) -> Task:
        return next(task for task in self.waiting.values() if task.name == name)

    def states(self) -> dict[str, State]:
        """Of the jobs that run something, as the store has them."""
        return {job.name: job.state for job in self.store.jobs("run") if job.kind in ("job", "bind")}

    def outputs(self) -> dict[str, Any]:
        return {name: msgspec.msgpack.decode(raw) for name, raw in self.coordinator.outputs().items()}


def begin(what: Program, inputs: dict[str, Any] | None = None, *, stop_on_error: bool = True) -> Bench:
    store, watcher = MemoryStore(), Watcher()
    bench = Bench(None, store, watcher, {}, [])  # type: ignore[arg-type]
    bench.coordinator = Coordinator(
        what,
        bench,
        Path("/jobs"),
        write=lambda changes: store.apply("run", changes),
        reporter=watcher,
        stop_on_error=stop_on_error,
    )
    changes = bench.coordinator.first_changes({name: packed(value) for name, value in (inputs or {"x": 1}).items()})
    store.put_program(what.digest, b"")
    store.create_run(RunRecord(id="run", name="", document="", program=what.digest, created=0, directory=""), changes)
    bench.coordinator.start()
    return bench


def run_all(bench: Bench, how: Callable[[Task], Ending] = lambda _: "done", seed: int = 0) -> None:
    """Answer all tasks in a random order until none is left."""
    order = random.Random(seed)
    while bench.waiting:
        assert not bench.coordinator.done.is_set()
        task = order.choice(list(bench.waiting.values()))
        outputs = {"x": 1} if task.mode != "run" else None
        bench.end(task, how(task), outputs)
    if bench.coordinator.broken:
        raise bench.coordinator.broken


# --- random DAGs ---

GRAPHS = st.lists(st.sets(st.integers(0, 9)), min_size=1, max_size=10).map(
    # step i reads some of the steps before it
    lambda sets: [sorted(parent for parent in found if parent < index) for index, found in enumerate(sets)]
)
ENDINGS = st.sampled_from(["done", "done", "done", "skipped", "failed", "timeout", "temporary"])


def dag(graph: list[list[int]]) -> Program:
    steps = [step(f"s{index}", *(f"s{parent}" for parent in found)) for index, found in enumerate(graph)]
    return program(TOOL, workflow(*steps))


def descendants(graph: list[list[int]], of: set[int]) -> set[int]:
    found: set[int] = set()
    for index, before in enumerate(graph):
        if set(before) & (of | found):
            found.add(index)
    return found


@given(GRAPHS, st.lists(ENDINGS, min_size=10, max_size=10), st.booleans(), st.integers(0, 99))
def test_every_job_ends_as_its_parents_allow(
    graph: list[list[int]], endings: list[Ending], stop_on_error: bool, seed: int
) -> None:
    bench = begin(dag(graph), stop_on_error=stop_on_error)
    finished: set[str] = set()

    def how(task: Task) -> Ending:
        if task.mode != "run":
            return "done"
        number = int(task.name[1:])
        assert {f"s{parent}" for parent in graph[number]} <= finished, "started before its parents had finished"
        if endings[number] in ("done", "skipped"):
            finished.add(task.name)
        return endings[number]

    run_all(bench, how, seed)
    assert bench.coordinator.done.is_set()
    attempts = Counter(task.name for task in bench.tasks if task.mode == "run")
    failed = {index for index in range(len(graph)) if endings[index] in ("failed", "timeout", "temporary")}
    doomed = descendants(graph, failed)
    states = {int(name[1:]): state for name, state in bench.states().items() if name}
    for index in range(len(graph)):
        name = f"s{index}"
        if index in doomed:
            assert attempts[name] == 0
            # One of several failed ancestors may not have been started when the run stopped.
            assert states[index] is State.PARENT_KILLED or stop_on_error
        elif attempts[name] == 0:
            assert stop_on_error and failed
            assert states[index] is State.AWAITING_PARENTS, "left for a resumed run"
        elif states[index] is State.RESTART_READY:
            assert stop_on_error and endings[index] == "temporary", "its worker was lost while the run was stopping"
        else:
            assert states[index] is (State.FAILED if index in failed else State.JOB_FINISHED)
            assert attempts[name] == (MAX_LOSSES if endings[index] == "temporary" else 1)
    assert {failure.name for failure in bench.coordinator.failures} == {
        f"s{index}" for index in failed if states[index] is State.FAILED
    }
    values = bench.outputs()
    for index in range(len(graph)):
        assert values[f"s{index}"] == (f"s{index}" if endings[index] == "done" and f"s{index}" in finished else None)
    if not stop_on_error or not failed:
        assert all(job.state in FINAL for job in bench.store.jobs("run"))
    begun = [event for event in bench.watcher.events if isinstance(event, JobStarted)]
    assert len(begun) == sum(attempts.values())


@given(GRAPHS, st.integers(0, 20), st.integers(0, 99))
def test_a_run_that_is_stopped_at_any_moment_ends_and_starts_nothing_more(
    graph: list[list[int]], moment: int, seed: int
) -> None:
    bench = begin(dag(graph))
    order = random.Random(seed)
    for _ in range(moment):
        if bench.waiting:
            bench.end(order.choice(list(bench.waiting.values())))
    bench.coordinator.stop()
    running = list(bench.waiting.values())
    before = len(bench.tasks)
    assert bench.coordinator.done.is_set() == (not running)
    for index, task in enumerate(running):
        # Some end by themselves before the signal reaches them, or their worker dies.
        bench.end(task, ("cancelled", "done", "temporary")[index % 3], {"x": 1})
    assert bench.coordinator.done.is_set()
    assert len(bench.tasks) == before
    assert not bench.coordinator.failures
    states = {State.AWAITING_PARENTS, State.RESTART_READY, State.JOB_FINISHED}
    assert {job.state for job in bench.store.jobs("run")} <= states, "what has not finished waits to be resumed"


# --- attempts ---


def test_the_answer_of_an_old_attempt_is_dropped() -> None:
    bench = begin(program(TOOL))
    first = bench.task("tool")
    bench.end(first, "temporary")
    second = bench.task("tool")
    assert (second.attempt, second.directory) == (2, "/jobs/0/0.2")
    bench.coordinator.outcomes([Outcome(job=first.job, attempt=1, ending="done", outputs={"out": packed("old")})])
    assert not bench.coordinator.done.is_set()
    bench.end(second, outputs={"out": "new"})
    bench.end(second, outputs={"out": "again"})
    assert bench.outputs() == {"out": "new"}


def test_a_command_that_asks_for_another_try_by_its_exit_code_is_not_tried_again() -> None:
    bench = begin(program(TOOL))
    bench.end(bench.task("tool"), "temporary", exit_code=75)
    assert bench.states() == {"tool": State.FAILED}


def test_a_jobs_size_is_asked_for_first_where_it_depends_on_the_inputs() -> None:
    expression = Expr(parts=(Ref(root="inputs", text="inputs.n"),), text="$(inputs.n)")
    sized = Requirements(resources=Resources(cores_min=expression))
    tool = ToolProcess(id="tool", version="v1.2", inputs=(), outputs=TOOL.outputs, requirements=sized)
    bench = begin(program(tool))
    assert bench.task("tool").mode == "size"
    bench.end(bench.task("tool"), outputs={"cores": 3.0, "ram": 5.0})
    task = bench.task("tool")
    assert (task.mode, task.grant.cores, task.grant.ram, task.attempt) == ("run", 3.0, 5.0, 1)
    started = [event for event in bench.watcher.events if isinstance(event, JobStarted)]
    assert len(started) == 1


# --- expansion points ---


def scattered(**fields: Any) -> Step:
    return step("many", "", scatter=("in0",), **fields)


def test_a_scatter_runs_its_jobs_and_gathers_them_in_order() -> None:
    bench = begin(program(TOOL, workflow(scattered())), {"x": None})
    bench.end(bench.task(""), outputs={"x": list("abc")})
    assert sorted(task.name for task in bench.waiting.values()) == ["many[0]", "many[1]", "many[2]"]
    assert [msgspec.msgpack.decode(task.inputs["in0"]) for task in bench.waiting.values()] == list("abc")
    run_all(bench, seed=3)
    assert bench.outputs() == {"many": ["many[0]", "many[1]", "many[2]"]}
    assert not bench.coordinator._books.elements._split, "a scatter that has ended holds no elements"
    added = sum(event.count for event in bench.watcher.events if isinstance(event, JobsAdded))
    assert added == sum(isinstance(event, JobEnded) for event in bench.watcher.events) == 3


@pytest.mark.parametrize("value", [None, "text", {"an": "object"}])
def test_scattering_over_what_is_no_array_fails_the_step_alone(value: Any) -> None:
    bench = begin(program(TOOL, workflow(scattered(), step("other", ""))), stop_on_error=False)
    bench.end(bench.task(""), outputs={"x": value})
    run_all(bench)
    assert [failure.error for failure in bench.coordinator.failures] == [
        "step 'many' scatters over 'in0', whose value is no array"
    ]
    assert bench.outputs() == {"many": None, "other": "other"}


def test_a_scatter_over_nothing_is_an_empty_array_at_once() -> None:
    bench = begin(program(TOOL, workflow(scattered())))
    bench.end(bench.task(""), outputs={"x": []})
    assert bench.coordinator.done.is_set()
    assert bench.outputs() == {"many": []}


def test_a_scatter_whose_jobs_are_skipped_gathers_nulls() -> None:
    bench = begin(program(TOOL, workflow(scattered(when="x"))))
    bench.end(bench.task(""), outputs={"x": [1, 2]})
    run_all(bench, lambda task: "skipped" if task.name == "many[0]" else "done")
    assert bench.outputs() == {"many": [None, "many[1]"]}


@pytest.mark.parametrize(("ending", "names"), [("done", {"", "sub", "sub/inner"}), ("skipped", {"", "sub"})])
def test_a_conditional_subworkflow_has_jobs_only_if_it_is_wanted(ending: Ending, names: set[str]) -> None:
    inner = workflow(step("inner", ""))
    sub = step("sub", "", run=1, when="x", outputs=("inner",))
    outer = msgspec.structs.replace(
        workflow(sub), links=(Link(name="sub", sources=(Source(step="sub", port="inner"),)),)
    )
    bench = begin(program(TOOL, inner, outer))
    run_all(bench, lambda task: ending if task.name == "sub" else "done")
    assert set(bench.states()) == names
    assert bench.outputs() == {"sub": "sub/inner" if ending == "done" else None}
    assert all(job.state is State.JOB_FINISHED for job in bench.store.jobs("run"))


def loop_of(method: Literal["last_iteration", "all_iterations"]) -> Bench:
    links = (Link(name="in0", sources=(Source(port="out"),)),)
    looping = step("again", "", when="x", loop=Loop(links=links, output_method=method))
    tool = msgspec.structs.replace(TOOL, inputs=(Field(name="in0", type=ANY),))
    bench = begin(program(tool, workflow(looping)))
    run_all(bench, lambda task: "skipped" if task.mode == "prologue" and len(bench.tasks) > 6 else "done")
    return bench


def test_a_loop_goes_on_until_its_condition_fails() -> None:
    bench = loop_of("last_iteration")
    assert [task.name for task in bench.tasks if task.mode == "run"] == ["again[0]", "again[1]", "again[2]"]
    assert bench.outputs() == {"again": "again[2]"}
    assert loop_of("all_iterations").outputs() == {"again": ["again[0]", "again[1]", "again[2]"]}


def test_a_failed_job_of_a_scatter_kills_what_reads_the_scatter_and_nothing_else() -> None:
    bench = begin(program(TOOL, workflow(scattered(), step("after", "many"), step("aside", ""))), stop_on_error=False)
    bench.end(bench.task(""), outputs={"x": [1, 2]})
    run_all(bench, lambda task: "failed" if task.name == "many[0]" else "done")
    assert bench.states() == {
        "": State.JOB_FINISHED,
        "many[0]": State.FAILED,
        "many[1]": State.JOB_FINISHED,
        "after": State.PARENT_KILLED,
        "aside": State.JOB_FINISHED,
    }
    killed = [event.name for event in bench.watcher.events if isinstance(event, JobEnded) and event.ending == "killed"]
    assert killed == ["after"]


# --- the coordinator's own troubles ---


def failing(after: int) -> Iterator[None]:
    yield from [None] * after
    raise OSError("no space left on device")


@pytest.mark.parametrize("moment", [0, 1, 2])
def test_a_store_that_cannot_be_written_ends_the_run_instead_of_hanging_it(moment: int) -> None:
    bench = begin(dag([[], [0]]))
    writes = failing(moment)

    def write(changes: Changes) -> None:
        next(writes, None)

    bench.coordinator.commits.write = write
    for _ in range(3):
        for task in list(bench.waiting.values()):
            bench.end(task, outputs={"x": 1, "out": 1})
    assert isinstance(bench.coordinator.broken, OSError)

    async def wait() -> None:
        await asyncio.wait_for(bench.coordinator.done.wait(), 1)

    asyncio.run(wait())
