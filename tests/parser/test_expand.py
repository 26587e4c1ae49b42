import itertools
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

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
    Source,
    Step,
    WorkflowProcess,
)
from cwlbalsam.errors import JobError
from cwlbalsam.jobs.references import resolve
from cwlbalsam.parser.expand import Expander, Expansion, Planned

ANY = Primitive(name="Any")
TOOL = ExpressionProcess(id="tool", version="v1.2", inputs=(), outputs=(), expression="")
TRUE = Expr(parts=(Ref(root="inputs", text="inputs"),), text="$(inputs)")
Values = dict[str, Any]


def workflow(*steps: Step, links: tuple[Link, ...] = ()) -> WorkflowProcess:
    return WorkflowProcess(id="w", version="v1.2", inputs=(), outputs=(), links=links, steps=steps)


def link(name: str, *sources: str, **fields: Any) -> Link:
    """sources: `step/port`, or a workflow input."""
    found = [source.rpartition("/") for source in sources]
    return Link(name=name, sources=tuple(Source(step=step, port=port) for step, _, port in found), **fields)


def step(name: str, *links: Link, run: int = 0, **fields: Any) -> Step:
    return Step(name=name, run=run, inputs=links, outputs=("out",), version="v1.2", **fields)


def program(*processes: Process) -> Program:
    """The last process is the main one."""
    return Program(uri="", main=len(processes) - 1, processes=processes)


class Play:
    """Runs an expansion in the simplest way: each job's output is what it was given, as a tuple by step input.

    skip: jobs whose `when` is false. Checks on the way what holds of all expansions.
    """

    def __init__(self, what: Program, inputs: Values, skip: frozenset[str] = frozenset(), iterations: int = 0) -> None:
        self.expander = Expander(what)
        self.plans: list[Planned] = []
        self.waits: dict[int, set[int]] = {}
        self.outputs: dict[int, dict[str, Raw]] = {}
        self.skip, self.iterations = skip, iterations
        expansion, self.root = self.expander.start({name: packed(value) for name, value in inputs.items()})
        self.admit(expansion)
        while open_jobs := [plan for plan in self.plans if plan.id not in self.outputs]:
            ready = [plan for plan in open_jobs if self.waits[plan.id] <= self.outputs.keys()]
            assert ready, "jobs wait for each other"
            for plan in ready:
                self.run(plan)

    def admit(self, expansion: Expansion) -> None:
        for plan in expansion.jobs:
            assert plan.id == len(self.plans), "ids are dense"
            self.plans.append(plan)
            self.waits[plan.id] = plan.parents()
            if plan.kind != "gather":
                assert all(parent < plan.id for parent in plan.parents()), "parents come before children"
        for number, trees in expansion.gathers.items():
            self.plans[number].inputs = trees
        for number, found in expansion.waits.items():
            assert number not in self.outputs, "a gather has finished before its body was known"
            self.waits[number] |= set(found)

    def run(self, plan: Planned) -> None:
        values = {name: resolve(tree, self.lookup) for name, tree in plan.inputs.items()}
        self.outputs[plan.id] = values
        skipped = plan.name in self.skip
        if plan.kind == "job":
            given = {name: unpacked(value) for name, value in values.items()}
            self.outputs[plan.id] = {"out": packed(None if skipped else given)}
        elif plan.kind == "bind" and plan.exit >= 0 and not skipped:
            self.admit(self.expander.bound(plan))
        elif plan.kind == "scatter":
            lengths = {name: len(unpacked(values[name])) for name in self.expander.step(plan).scatter}
            self.admit(self.expander.scattered(plan, lengths))
        elif plan.kind == "loop":
            over = plan.iteration >= self.iterations
            self.admit(self.expander.ended(plan) if over else self.expander.repeated(plan))

    def lookup(self, job: int, port: str) -> Raw:
        return self.outputs[job].get(port, packed(None))

    @property
    def result(self) -> Values:
        return {name: unpacked(value) for name, value in self.outputs[self.root].items()}

    def names(self, kind: str = "job") -> list[str]:
        return [plan.name for plan in self.plans if plan.kind == kind]


def packed(value: Any) -> Raw:
    return Raw(msgspec.msgpack.encode(value))


def unpacked(raw: Raw) -> Any:
    return msgspec.msgpack.decode(raw)


# --- scatter ---

Method = Literal["dotproduct", "flat_crossproduct", "nested_crossproduct"]
ARRAYS = st.lists(st.lists(st.integers(0, 9) | st.none(), max_size=3), min_size=1, max_size=3)


def by_the_specification(method: Method, arrays: list[list[Any]]) -> Any:
    """What a scatter over inputs a, b, c gives if a job gives what it was given; None if it is an error."""
    names = "abc"[: len(arrays)]
    if method == "dotproduct":
        if len({len(array) for array in arrays}) > 1:
            return None
        return [dict(zip(names, values, strict=True)) for values in zip(*arrays, strict=True)]
    if method == "flat_crossproduct":
        return [dict(zip(names, values, strict=True)) for values in itertools.product(*arrays)]

    def nested(chosen: list[Any]) -> Any:
        if len(chosen) == len(arrays):
            return dict(zip(names, chosen, strict=True))
        return [nested([*chosen, value]) for value in arrays[len(chosen)]]

    return nested([])


def scatter(method: Method, count: int, **fields: Any) -> Program:
    names = "abc"[:count]
    links = [link(name, name) for name in names]
    steps = step("s", *links, scatter=tuple(names), scatter_method=method, **fields)
    return program(TOOL, workflow(steps, links=(link("out", "s/out"),)))


@given(st.sampled_from(["dotproduct", "flat_crossproduct", "nested_crossproduct"]), ARRAYS)
def test_a_scatter_has_the_shape_that_the_specification_says(method: Method, arrays: list[list[Any]]) -> None:
    inputs = dict(zip("abc", arrays, strict=False))
    expected = by_the_specification(method, arrays)
    what = scatter(method, len(arrays))
    if expected is None:
        lengths = ", ".join(f"{name}: {len(array)}" for name, array in inputs.items())
        with pytest.raises(JobError, match=f"dotproduct needs arrays of one length, not {lengths}"):
            Play(what, inputs)
    else:
        play = Play(what, inputs)
        assert play.result == {"out": expected}
        assert len(set(play.names())) == len(play.names()), "every job has a name of its own"


def test_jobs_of_a_scatter_are_named_by_their_indices() -> None:
    names = Play(scatter("nested_crossproduct", 2), {"a": [1, 2], "b": [3]}).names()
    assert names == ["s[0,0]", "s[1,0]"]
    assert Play(scatter("dotproduct", 2), {"a": [1, 2], "b": [3, 4]}).names() == ["s[0]", "s[1]"]


def test_a_skipped_job_of_a_scatter_gives_null_in_its_place() -> None:
    play = Play(scatter("dotproduct", 1, when=TRUE), {"a": [1, 2]}, skip=frozenset({"s[0]"}))
    assert play.result == {"out": [None, {"a": 2}]}


# --- links ---

SOURCES = st.lists(st.none() | st.integers(0, 9) | st.lists(st.none() | st.integers(0, 9), max_size=3), max_size=3)
PICKS = st.sampled_from([None, "first_non_null", "the_only_non_null", "all_non_null"])


def linked(sources: list[Any], merge: str | None, pick: str | None, default: Any) -> Any:
    """The specification's sources -> linkMerge -> pickValue -> default. Raises LookupError where it says error."""
    if merge == "merge_flattened":
        value: Any = [entry for source in sources for entry in (source if isinstance(source, list) else [source])]
    elif merge == "merge_nested":
        value = list(sources)
    else:
        value = sources[0] if sources else None
    if pick and isinstance(value, list):
        found = [entry for entry in value if entry is not None]
        if pick != "all_non_null" and (not found or (pick == "the_only_non_null" and len(found) > 1)):
            raise LookupError
        value = found if pick == "all_non_null" else found[0]
    return default if value is None else value


@given(
    SOURCES, st.booleans(), st.sampled_from(["merge_nested", "merge_flattened"]), PICKS, st.none() | st.integers(0, 9)
)
def test_a_link_follows_the_order_of_the_specification(
    sources: list[Any], single: bool, method: Any, pick: Any, default: Any
) -> None:
    merge = method if len(sources) > 1 or (sources and not single) else None
    inputs = {f"i{index}": value for index, value in enumerate(sources)}
    fed = link("x", *inputs, link_merge=merge, pick_value=pick, default=default)
    what = program(TOOL, workflow(step("s", fed), links=(link("out", "s/out"),)))
    try:
        expected = linked(sources, merge, pick, default)
    except LookupError:
        with pytest.raises(JobError, match=f"pickValue {pick}"):
            Play(what, inputs)
    else:
        assert Play(what, inputs).result == {"out": {"x": expected}}


def test_an_output_may_come_straight_from_an_input_or_from_nowhere() -> None:
    what = program(workflow(links=(link("same", "x"), link("nothing"))))
    assert Play(what, {"x": [1]}).result == {"same": [1], "nothing": None}


# --- subworkflows and loops ---


def nested(**fields: Any) -> Program:
    inner = workflow(step("t", link("x", "x")), step("unread", link("x", "x")), links=(link("out", "t/out"),))
    outer = workflow(step("sub", link("x", "x"), run=1, **fields), links=(link("out", "sub/out"),))
    return program(TOOL, inner, outer)


def test_a_subworkflow_waits_for_all_its_steps_even_those_that_nobody_reads() -> None:
    play = Play(nested(), {"x": 1})
    (gather,) = [plan for plan in play.plans if plan.kind == "gather" and plan.name == "sub"]
    inside = {plan.id for plan in play.plans if plan.name.startswith("sub/")}
    assert inside < play.waits[gather.id]
    assert play.names() == ["sub/t", "sub/unread"]
    assert play.result == {"out": {"x": 1}}


def test_a_subworkflow_under_when_is_expanded_only_if_it_is_wanted() -> None:
    assert Play(nested(when=TRUE), {"x": 1}).result == {"out": {"x": 1}}
    play = Play(nested(when=TRUE), {"x": 1}, skip=frozenset({"sub"}))
    assert (play.result, play.names()) == ({"out": None}, [])


def test_a_subworkflow_under_when_is_decided_anew_in_each_place_of_a_scatter() -> None:
    play = Play(nested(when=TRUE, scatter=("x",)), {"x": [1, 2, 3]}, skip=frozenset({"sub[1]"}))
    assert play.result == {"out": [{"x": 1}, None, {"x": 3}]}
    assert play.names()[:2] == ["sub[0]/t", "sub[0]/unread"]


@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_a_loop_feeds_each_iteration_from_the_one_before(iterations: int) -> None:
    tool = msgspec.structs.replace(TOOL, inputs=(Field(name="x", type=ANY),))
    results = {}
    for method in ("last_iteration", "all_iterations"):
        loop: Any = Loop(links=(link("x", "out"),), output_method=method)
        looping = step("l", link("x", "x"), when=TRUE, loop=loop)
        play = Play(program(tool, workflow(looping, links=(link("out", "l/out"),))), {"x": 0}, iterations=iterations)
        assert play.names() == [f"l[{index}]" for index in range(iterations)]
        results[method] = play.result["out"]
    every: list[Any] = []
    for _ in range(iterations):
        every.append({"x": every[-1] if every else 0})
    assert results["all_iterations"] == every
    assert results["last_iteration"] == (every[-1] if every else None)


def test_a_subworkflow_with_a_scatter_inside_can_be_looped_over() -> None:
    scattering = step("s", link("x", "x"), scatter=("x",))
    inner = workflow(scattering, links=(link("out", "s/out"),))
    inner = msgspec.structs.replace(inner, inputs=(Field(name="x", type=ANY),))
    loop = Loop(links=(link("x", "out"),))
    outer = workflow(step("l", link("x", "x"), run=1, when=TRUE, loop=loop), links=(link("out", "l/out"),))
    play = Play(program(TOOL, inner, outer), {"x": [1, 2]}, iterations=2)
    assert play.names() == ["l[0]/s[0]", "l[0]/s[1]", "l[1]/s[0]", "l[1]/s[1]"]
    assert play.result == {"out": [{"x": {"x": 1}}, {"x": {"x": 2}}]}


def test_a_single_tool_gives_its_name_to_its_job() -> None:
    expansion, _ = Expander(Program(uri="", main=0, processes=(TOOL,))).start({})
    assert [job.name for job in expansion.jobs] == ["tool"]
