from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.cwl.binding import text_of
from cwlbalsam.cwl.expressions import compile_template
from cwlbalsam.cwl.records import ArrayType, Binding, EnumType, Field, RecordType
from cwlbalsam.errors import JobError
from tests.cwl.jobs import ANY, BOOLEAN, DOUBLE, FILE, INT, STRING, needing, optional, start, tool

STRINGS = ArrayType(items=STRING)


def argv(tmp_path: Path, inputs: dict[str, Any], *fields: Field, **more: Any) -> list[str]:
    command = start(tool(inputs=fields, **{"base_command": ("cmd",), **more}), inputs, tmp_path).command
    assert command is not None
    return command.argv


def bound(name: str, kind: Any, **binding: Any) -> Field:
    return Field(name=name, type=kind, binding=Binding(**binding))


def test_arguments_and_inputs_sort_by_position_then_arguments_first_then_name(tmp_path: Path):
    found = argv(
        tmp_path,
        {"b": "b", "a": "a", "first": "1"},
        bound("b", STRING, position=2),
        bound("a", STRING, position=2),
        bound("first", STRING, position=-1),
        arguments=("zero", Binding(position=2, value_from="two")),
    )
    assert found == ["cmd", "1", "zero", "two", "a", "b"]


def test_a_position_may_be_an_expression_that_sees_the_value(tmp_path: Path):
    position = compile_template("$(self)")
    found = argv(tmp_path, {"a": 3, "b": 1}, bound("a", INT, position=position), bound("b", INT, position=position))
    assert found == ["cmd", "1", "3"]


def test_arrays_bind_as_a_whole_joined_or_item_by_item(tmp_path: Path):
    values = {"whole": ["a", "b"], "joined": ["a", "b"], "each": ["a", "b"], "empty": []}
    each = ArrayType(items=STRING, binding=Binding(prefix="-e", separate=False))
    found = argv(
        tmp_path,
        values,
        bound("whole", STRINGS, position=1, prefix="-w"),
        bound("joined", STRINGS, position=2, prefix="-j", item_separator=","),
        bound("each", each, position=3),
        bound("empty", STRINGS, position=4, prefix="-n"),
    )
    assert found == ["cmd", "-w", "a", "b", "-j", "a,b", "-ea", "-eb"]


def test_record_fields_sort_inside_their_record(tmp_path: Path):
    record = RecordType(fields=(bound("y", INT, position=1), bound("x", INT, position=2, prefix="-x")))
    found = argv(
        tmp_path,
        {"r": {"x": 1, "y": 2}, "after": "end"},
        bound("r", record, position=1, prefix="-r"),
        bound("after", STRING, position=2),
    )
    assert found == ["cmd", "-r", "2", "-x", "1", "end"]


def test_null_false_and_unbound_inputs_add_nothing(tmp_path: Path):
    found = argv(
        tmp_path,
        {"no": None, "false": False, "true": True, "unbound": "x"},
        bound("no", optional(STRING), prefix="-n"),
        bound("false", BOOLEAN, prefix="-f"),
        bound("true", BOOLEAN, prefix="-t"),
        Field(name="unbound", type=STRING),
    )
    assert found == ["cmd", "-t"]


def test_value_from_replaces_the_value_and_is_not_evaluated_for_null(tmp_path: Path):
    twice = compile_template("$(self + self)")
    found = argv(
        tmp_path,
        {"a": "x", "b": None},
        bound("a", STRING, prefix="-a", value_from=twice),
        bound("b", optional(STRING), prefix="-b", value_from="never"),
        requirements=needing(),
    )
    assert found == ["cmd", "-a", "xx"]


def test_enums_bind_through_their_type_and_any_by_its_value(tmp_path: Path):
    enum = EnumType(symbols=("u", "v"), binding=Binding(prefix="--kind"))
    found = argv(
        tmp_path, {"e": "v", "any": ["p", "q"]}, Field(name="e", type=enum), bound("any", ANY, prefix="-a", position=1)
    )
    assert found == ["cmd", "--kind", "v", "-a", "p", "-a", "q"]


def test_with_a_shell_all_is_quoted_but_what_says_otherwise(tmp_path: Path):
    found = argv(
        tmp_path,
        {"a": "x y; rm -rf /"},
        bound("a", STRING, position=1),
        arguments=(Binding(position=2, value_from="| cat", shell_quote=False),),
        base_command=("echo", "a b"),
        requirements=needing(shell=True),
    )
    assert found == ["/bin/sh", "-c", "echo 'a b' 'x y; rm -rf /' | cat"]


@pytest.mark.parametrize(
    ("number", "text"), [(0.00001, "0.00001"), (1.23e5, "123000"), (4.2, "4.2"), (1e42, "1" + "0" * 42), (-7, "-7")]
)
def test_numbers_have_no_exponent(number: float, text: str):
    assert text_of(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_their_value(number: float):
    assert float(text_of(number)) == number
    assert "e" not in text_of(number)


def test_separate_false_without_prefix_is_a_mistake(tmp_path: Path):
    with pytest.raises(JobError, match="prefix"):
        argv(tmp_path, {"a": 1.5}, bound("a", DOUBLE, separate=False))


def test_file_names_that_a_raw_shell_would_misread_are_refused_unless_allowed(tmp_path: Path):
    file = tmp_path / "a;b.txt"
    file.write_text("x")
    raw = Binding(value_from="| cat", shell_quote=False)
    inputs = {"f": {"class": "File", "location": file.as_uri()}}
    with pytest.raises(JobError, match="characters"):
        argv(tmp_path, inputs, bound("f", FILE), arguments=(raw,), requirements=needing(shell=True))
    assert argv(tmp_path / "2", inputs, bound("f", FILE))[1].endswith("/a;b.txt")
