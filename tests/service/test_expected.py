"""The jobs of a document before any of them has run, against what an expansion with the values would make."""

import pytest
from msgspec.structs import replace

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
from cwlbalsam.errors import UserError
from cwlbalsam.executor.capacity import Machine
from cwlbalsam.planner.check import faults
from cwlbalsam.planner.problem import Duration, Option
from cwlbalsam.planner.schedule import make_plan
from cwlbalsam.service.expected import TOOL, Expected, Fixed, Terms, assumed
from cwlbalsam.service.expected import expect as expect_jobs
from cwlbalsam.service.room import Ground, here
from cwlbalsam.service.unfolding import GUESSED_WIDTH

MACHINE = Machine(cores=4, ram=4096, tmpdir=1 << 20)
ANY = Primitive(name="Any")
TOOL_PROCESS = ToolProcess(id="tool", version="v1.2", inputs=(Field(name="x", type=ANY),), outputs=())
EXPRESSION = ExpressionProcess(id="sum", version="v1.2", inputs=(), outputs=(), expression="")
TRUE = Expr(parts=(Ref(root="inputs", text="inputs"),), text="$(inputs)")


def link(name: str, source: str) -> Link:
    step, _, port = source.rpartition("/")
    return Link(name=name, sources=(Source(step=step, port=port),))


def step(name: str, source: str, run: int = 0, **more: object) -> Step:
    return Step(
        name=name,
        run=run,
        inputs=(link("x", source),),
        outputs=("out",),
        version="v1.2",
        **more,  # type: ignore[arg-type]
    )


def workflow(*steps: Step, result: str, inputs: tuple[Field, ...] = (Field(name="x", type=ANY),)) -> WorkflowProcess:
    return WorkflowProcess(id="w", version="v1.2", inputs=inputs, outputs=(), links=(link("out", result),), steps=steps)


def expect(*processes: Process, **values: object) -> Expected:
    """The last process is the main one."""
    program = Program(uri="", main=len(processes) - 1, processes=processes)
    return expect_jobs(program, values, Terms(grounds=[here(MACHINE)]))


def running(found: Expected) -> list[str]:
    works = found.problem.works
    return [job.name for job in found.problem.jobs if works[job.work].options[0].nodes]


def test_a_scatter_over_an_input_has_its_length() -> None:
    main = workflow(step("each", "x", scatter=("x",)), step("then", "each/out", scatter=("x",)), result="then/out")
    found = expect(TOOL_PROCESS, main, x=[1, 2, 3])
    assert sorted(running(found)) == [f"{name}[{index}]" for name in ("each", "then") for index in range(3)]
    assert found.notes == []
    assert len({job.work for job in found.problem.jobs if job.name.startswith("each[")}) == 1


def test_a_scatter_over_a_default_has_its_length() -> None:
    inputs = (Field(name="x", type=ANY, default=[1, 2]),)
    main = workflow(step("each", "x", scatter=("x",)), result="each/out", inputs=inputs)
    assert len(running(expect(TOOL_PROCESS, main))) == 2


def test_a_scatter_over_what_a_step_makes_is_guessed_and_said() -> None:
    main = workflow(step("make", "x"), step("each", "make/out", scatter=("x",)), result="each/out")
    found = expect(TOOL_PROCESS, main, x=1)
    assert len(running(found)) == 1 + GUESSED_WIDTH
    assert found.notes == ["step 'each' is taken to have 10 jobs: what it scatters over is known then only"]


def test_a_nested_scatter_follows_the_shape_of_its_input() -> None:
    inner = workflow(step("cell", "x", scatter=("x",)), result="cell/out")
    main = workflow(step("row", "x", run=1, scatter=("x",)), result="row/out")
    assert len(running(expect(TOOL_PROCESS, inner, main, x=[[1, 2], [3], []]))) == 3


def test_what_only_a_run_can_tell_is_taken_to_run_once() -> None:
    inner = workflow(step("inside", "x"), result="inside/out")
    steps = (
        step("maybe", "x", when=TRUE),
        step("part", "x", run=1, when=TRUE),
        step("again", "x", when=TRUE, loop=Loop(links=(link("x", "out"),))),
    )
    found = expect(TOOL_PROCESS, inner, workflow(*steps, result="again/out"), x=1)
    assert sorted(running(found)) == ["again[0]", "maybe", "part/inside"]
    assert [note.split("'")[1] for note in sorted(found.notes)] == ["again", "maybe", "part"]


def test_order_is_kept_through_what_computes_nothing() -> None:
    main = workflow(step("make", "x", scatter=("x",)), step("use", "make/out"), result="use/out")
    problem = expect(TOOL_PROCESS, main, x=[1, 2]).problem
    names = {job.name: number for number, job in enumerate(problem.jobs) if problem.works[job.work].options[0].nodes}

    def before(job: int) -> set[int]:
        return {job}.union(*(before(other) for other in problem.jobs[job].after))

    assert {names["make[0]"], names["make[1]"]} <= before(names["use"])


def test_a_job_takes_the_cores_and_memory_that_it_asks_for() -> None:
    def cores(**fields: float) -> int:
        tool = replace(TOOL_PROCESS, requirements=Requirements(resources=Resources(**fields)))
        return expect(tool, x=1).problem.works[0].options[0].cores

    assert cores() == 1
    assert cores(cores_min=2.5) == 3
    assert cores(ram_min=3000.0) == 3
    with pytest.raises(UserError, match="more than this machine has"):
        cores(cores_min=5.0)


def test_an_expression_takes_no_cores_and_a_time_limit_bounds_what_is_assumed() -> None:
    assert running(expect(EXPRESSION)) == []
    limited = replace(TOOL_PROCESS, requirements=Requirements(time_limit=20.0))
    assert assumed(TOOL_PROCESS) == TOOL
    assert assumed(limited).median == 10.0


def site(name: str, machine: Machine = MACHINE, *, seen: bool = False) -> Ground:
    return replace(here(machine), name=name, seen=seen)


def test_files_are_moved_where_no_site_sees_them() -> None:
    main = workflow(step("make", "x", scatter=("x",)), step("use", "make/out"), result="use/out")
    program = Program(uri="", main=1, processes=(TOOL_PROCESS, main))
    files = [{"class": "File", "location": f"file:///{name}", "size": 1000} for name in "ab"]
    allowed = {"make": ("far",), "use": ("local",)}
    terms = Terms(grounds=[here(MACHINE), site("far"), site("seen", seen=True)], allowed=allowed.__getitem__)
    problem = expect_jobs(program, {"x": files}, terms).problem
    reads = {job.name: [problem.data[datum] for datum in job.inputs] for job in problem.jobs if job.inputs}
    assert [(datum.size_bytes, datum.sites) for datum in reads["make[0]"]] == [(1000.0, (0, 2))]
    assert {datum.producer for datum in reads["use"]} == {
        number for number, job in enumerate(problem.jobs) if job.name.startswith("make[")
    }
    plan = make_plan(problem)
    assert plan.bytes_moved == 2000.0
    assert faults(problem, plan) == []


def test_a_step_goes_only_where_it_may_and_fits() -> None:
    program = Program(
        uri="", main=0, processes=(replace(TOOL_PROCESS, requirements=Requirements(resources=Resources(cores_min=6))),)
    )
    large = replace(MACHINE, cores=8)
    found = expect_jobs(program, {"x": 1}, Terms(grounds=[here(MACHINE), site("far", large)]))
    assert [option.site for work in found.problem.works for option in work.options if option.nodes] == [1]
    with pytest.raises(UserError, match=r"none of the sites\n *local: .*6 cores"):
        expect_jobs(program, {"x": 1}, Terms(grounds=[here(MACHINE), site("far")]))


def test_what_is_settled_stays_and_what_has_ended_takes_no_time() -> None:
    main = workflow(step("make", "x", scatter=("x",)), result="make/out")
    program = Program(uri="", main=1, processes=(TOOL_PROCESS, main))
    fixed = {"make[0]": Fixed("far", Duration(0.0)), "make[1]": Fixed("far", Duration(3.0))}
    problem = expect_jobs(program, {"x": [1, 2, 3]}, Terms(grounds=[here(MACHINE), site("far")], fixed=fixed)).problem
    options = {job.name: problem.works[job.work].options for job in problem.jobs}
    assert options["make[0]"] == (Option(1, Duration(0.0), nodes=0),)
    assert options["make[1]"] == (Option(1, Duration(3.0), cores=1),)
    assert len(options["make[2]"]) == 2


def test_a_scatter_has_as_many_jobs_as_it_turned_out_to_have() -> None:
    main = workflow(step("make", "x"), step("each", "make/out", scatter=("x",)), result="each/out")
    program = Program(uri="", main=1, processes=(TOOL_PROCESS, main))
    found = expect_jobs(program, {"x": 1}, Terms(grounds=[here(MACHINE)]), widths={"each": 3})
    assert len(running(found)) == 4
    assert found.notes == []
