import pytest

from cwlbalsam.cwl.records import Field, Link, Primitive, Program, Source, Step, ToolProcess, WorkflowProcess
from cwlbalsam.errors import UserError
from cwlbalsam.service.options import RunOptions
from cwlbalsam.service.targets import narrow

ANY = Primitive(name="Any")


def fields(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name=name, type=ANY) for name in names)


def link(name: str, *sources: str) -> Link:
    parts = [source.rpartition("/") for source in sources]
    return Link(name=name, sources=tuple(Source(step=step, port=port) for step, _, port in parts))


def step(name: str, source: str, run: int = 0) -> Step:
    return Step(name=name, run=run, inputs=(link("x", source),), outputs=("y",), version="v1.2")


TOOL = ToolProcess(id="tool", version="v1.2", inputs=fields("x"), outputs=fields("y"))
INNER = WorkflowProcess(
    id="inner",
    version="v1.2",
    inputs=fields("x"),
    outputs=fields("y"),
    links=(link("y", "deep/y"),),
    steps=(step("deep", "x"),),
)
OUTER = WorkflowProcess(
    id="outer",
    version="v1.2",
    inputs=fields("p", "q"),
    outputs=fields("o1", "o2", "o3"),
    links=(link("o1", "a/y"), link("o2", "c/y"), link("o3", "d/y")),
    steps=(step("a", "p"), step("b", "a/y"), step("c", "b/y", run=1), step("d", "q")),
)
PROGRAM = Program(uri="file:///w.cwl", main=2, processes=(TOOL, INNER, OUTER), digest="all")


def shape(**options: object) -> tuple[str, str, str]:
    part = narrow(PROGRAM, RunOptions(**options))  # type: ignore[arg-type]
    main = part.processes[part.main]
    assert part.digest not in {"", "all"}
    steps = main.steps if isinstance(main, WorkflowProcess) else ()
    return tuple(" ".join(one.name for one in some) for some in (main.inputs, steps, main.outputs))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (("o1",), ("p", "a", "o1")),
        (("o2",), ("p", "a b c", "o2")),
        (("b",), ("p", "a b", "b/y")),
        (("q",), ("q", "d", "o3")),
        (("p", "o3"), ("p q", "a b c d", "o1 o2 o3")),
        (("a",), ("p", "a", "o1 a/y")),
    ],
)
def test_a_target_needs_what_is_above_it_and_an_input_shows_what_is_below(
    targets: tuple[str, ...], expected: tuple[str, str, str]
) -> None:
    assert shape(targets=targets) == expected


def test_a_single_step_has_its_own_inputs_and_outputs() -> None:
    assert shape(single_step="b") == ("x", "b", "y")
    assert shape(single_step="c/deep") == ("x", "deep", "y")


def test_a_single_process_is_what_the_step_runs() -> None:
    assert shape(single_process="b") == ("x", "", "y")
    assert shape(single_process="c") == ("x", "deep", "y")


def test_without_a_choice_the_program_is_the_same() -> None:
    assert narrow(PROGRAM, RunOptions()) is PROGRAM


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": ("o11",)}, "no target 'o11'\n    did you mean 'o1'?"),
        ({"single_step": "c/depp"}, "no step 'depp'\n    did you mean 'deep'?"),
        ({"single_step": "a/x"}, "step 'a' does not run a workflow"),
        ({"single_step": "a", "single_process": "a"}, "exclude each other"),
    ],
)
def test_unknown_names_are_told(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        narrow(PROGRAM, RunOptions(**options))  # type: ignore[arg-type]
    assert message in str(caught.value)
