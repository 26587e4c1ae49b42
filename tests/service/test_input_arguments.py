from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.cwl.records import ArrayType, EnumType, Field, Primitive, RecordType, Type, UnionType
from cwlbalsam.errors import DocumentError
from cwlbalsam.service.input_arguments import describe_inputs, parse_arguments, type_name, wants_help

NULL, INT, FILE, STRING, FLAG = (Primitive(name=name) for name in ("null", "int", "File", "string", "boolean"))  # type: ignore[arg-type]
RECORD = RecordType(fields=(Field(name="x", type=INT), Field(name="f", type=FILE)))
INPUTS = (
    Field(name="reads", type=ArrayType(items=FILE)),
    Field(name="n", type=UnionType(options=(NULL, INT)), doc="How many"),
    Field(name="flag", type=FLAG),
    Field(name="mode", type=EnumType(symbols=("fast", "exact")), default="fast"),
    Field(name="r", type=RECORD),
    Field(name="u", type=UnionType(options=(STRING, INT, FILE))),
    Field(name="no-such", type=STRING),
    Field(name="matrix", type=ArrayType(items=ArrayType(items=INT))),
)


def parse(*arguments: str) -> dict[str, Any]:
    return parse_arguments(INPUTS, arguments)


def test_values_are_read_by_the_types_of_the_inputs() -> None:
    assert parse("--n", "-5", "--mode=exact", "--u", "7", "--no-such", "--n") == {
        "n": -5,
        "mode": "exact",
        "u": 7,
        "no-such": "--n",
    }


def test_beside_a_string_a_file_is_written_as_an_object() -> None:
    assert parse("--u", "text") == {"u": "text"}
    assert parse("--u", '{"class": "File", "path": "a"}') == {"u": {"class": "File", "path": "a"}}


def test_an_array_is_given_item_by_item() -> None:
    assert parse("--reads", "a", "--reads=b c") == {"reads": [{"class": "File", "path": n} for n in ("a", "b c")]}
    assert parse("--matrix", "[1, 2]", "--matrix", "[3]") == {"matrix": [[1, 2], [3]]}


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["--flag"], True),
        (["--no-flag"], False),
        (["--noflag"], False),
        (["--flag=false"], False),
        (["--flag", "true"], True),
    ],
)
def test_a_boolean_is_a_flag(arguments: list[str], value: bool) -> None:
    assert parse(*arguments) == {"flag": value}


def test_a_record_is_given_field_by_field_or_as_json() -> None:
    made = {"r": {"x": 1, "f": {"class": "File", "path": "a"}}}
    assert parse("--r.x", "1", "--r.f", "a") == parse("--r", '{"x": 1, "f": {"class": "File", "path": "a"}}') == made


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(DocumentError) as caught:
        parse("--mod", "x", "--mode", "slow", "--n", "many", "stray", "--r", "[1]", "--u")
    assert [problem.message for problem in caught.value.problems] == [
        "the document has no input 'mod'",
        "--mode: 'slow' is not one of fast, exact",
        "--n: 'many' is not an int",
        "unexpected argument 'stray'",
        "--r: '[1]' is not {x: int, f: File} in JSON",
        "--u needs a value: string or int or File",
    ]
    assert caught.value.problems[0].hint == "did you mean '--mode'?"


@pytest.mark.parametrize("number", ["2147483648", "1.5", "", "1e3"])
def test_an_int_is_a_whole_number_of_32_bits(number: str) -> None:
    with pytest.raises(DocumentError, match="is not an int"):
        parse("--n", number)


def test_help_lists_names_types_docs_and_defaults() -> None:
    text = describe_inputs(INPUTS, "x.cwl")
    assert "--reads File[] (required)\n" in text
    assert "--n int?\n      How many\n" in text
    assert '--mode fast|exact\n      default: "fast"' in text
    assert wants_help(INPUTS, ["--help"])
    assert not wants_help([Field(name="help", type=FLAG)], ["--help"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--outdir", "x"],
            "no input 'outdir'\n    --outdir is an option of the command: write it before the document",
        ),
        (["--reads", "a", "b"], "unexpected argument 'b'\n    repeat --reads for each item: --reads 'b'"),
    ],
)
def test_arguments_at_the_wrong_place_are_shown_to_theirs(arguments: list[str], message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_arguments(INPUTS, arguments, reserved={"--outdir"})
    assert str(caught.value).endswith(message)


KINDS: st.SearchStrategy[Type] = st.recursive(
    st.sampled_from([INT, FILE, STRING, FLAG, NULL, EnumType(symbols=("a",))]),
    lambda inner: st.one_of(
        inner.map(lambda kind: ArrayType(items=kind)),
        st.lists(inner, max_size=3).map(lambda kinds: UnionType(options=tuple(kinds))),
        inner.map(lambda kind: RecordType(fields=(Field(name="f", type=kind),))),
    ),
    max_leaves=6,
)


@given(
    KINDS,
    st.lists(st.sampled_from(["--a", "--a.f", "--no-a", "--b", "x", "-", "--", "1", "[", '{"f": 1}']) | st.text()),
)
def test_no_arguments_lead_to_anything_but_values_or_a_user_error(kind: Type, arguments: list[str]) -> None:
    type_name(kind)
    try:
        values = parse_arguments([Field(name="a", type=kind)], arguments)
    except DocumentError:
        return
    assert set(values) <= {"a"}
