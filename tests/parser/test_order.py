from typing import Any

from cwlbalsam.cwl.records import (
    Dirent,
    Expr,
    Link,
    Process,
    Program,
    Ref,
    Requirements,
    Source,
    Step,
    ToolProcess,
    WorkflowProcess,
)
from cwlbalsam.parser.order import StepOrder, step_order

ENTRY = Expr(parts=(Ref(root="inputs", text="inputs.f"),), text="$(inputs.f)")
WRITING = Requirements(inplace_update=True, workdir=(Dirent(entry=ENTRY, writable=True),))
READER = ToolProcess(id="reader", version="v1.2", inputs=(), outputs=())
WRITER = ToolProcess(id="writer", version="v1.2", inputs=(), outputs=(), requirements=WRITING)


def order(*steps: tuple[int, str], inner: Process = READER) -> StepOrder:
    """steps: (process, the step whose output it reads; "" is the workflow's input). The third process is `inner`."""
    records: Any = tuple(
        Step(
            name=f"s{index}",
            run=run,
            inputs=(Link(name="f", sources=(Source(step=source, port="f"),)),),
            outputs=("f",),
            version="v1.2",
        )
        for index, (run, source) in enumerate(steps)
    )
    outer = WorkflowProcess(id="main", version="v1.2", inputs=(), outputs=(), links=(), steps=records)
    return step_order(Program(uri="", main=3, processes=(READER, WRITER, inner, outer)), outer)


def test_a_step_comes_after_those_it_reads() -> None:
    assert list(order((0, "s2"), (0, "s0"), (0, "")).steps) == [2, 0, 1]


def test_a_file_is_updated_in_place_when_its_other_readers_have_ended() -> None:
    found = order((1, ""), (0, ""), (0, ""))
    assert sorted(found.readers[0]) == [1, 2]
    assert found.steps[-1] == 0


def test_a_reader_of_what_the_writer_made_comes_after_it() -> None:
    found = order((1, ""), (0, "s0"), (0, "s1"))
    assert not found.readers
    assert list(found.steps) == [0, 1, 2]


def test_writers_of_one_file_take_turns_as_written() -> None:
    found = order((1, ""), (1, ""), (0, ""))
    assert {writer: sorted(readers) for writer, readers in found.readers.items()} == {0: [2], 1: [0, 2]}
    assert list(found.steps) == [2, 0, 1]


def test_a_subworkflow_writes_if_a_tool_inside_does() -> None:
    step = Step(name="w", run=1, inputs=(), outputs=(), version="v1.2")
    inner = WorkflowProcess(id="inner", version="v1.2", inputs=(), outputs=(), links=(), steps=(step,))
    assert order((2, ""), (0, ""), inner=inner).readers == {0: [1]}
    assert not order((2, ""), (0, ""), inner=READER).readers
