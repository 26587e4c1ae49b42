from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.cwl.records import ArrayType, EnumType, Field, Primitive, RecordType, Type, UnionType
from cwlbalsam.errors import DocumentError
from cwlbalsam.parser.checks import fits, show_type
from cwlbalsam.parser.types import NULL, PRIMITIVES
from tests.parser.documents import compile_text, expression_tool, step, tool, workflow

LEAVES: st.SearchStrategy[Type] = st.sampled_from(list(PRIMITIVES.values())) | st.sets(
    st.sampled_from("abc"), min_size=1
).map(lambda symbols: EnumType(symbols=tuple(sorted(symbols))))


def compounds(inner: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    flat = inner.filter(lambda value: not isinstance(value, UnionType))
    return st.one_of(
        inner.map(lambda items: ArrayType(items=items)),
        st.lists(flat, min_size=2, max_size=3, unique=True).map(lambda options: UnionType(options=tuple(options))),
        st.lists(inner, max_size=2).map(
            lambda types: RecordType(
                fields=tuple(Field(name=name, type=type) for name, type in zip("xy", types, strict=False))
            )
        ),
    )


TYPES = st.recursive(LEAVES, compounds, max_leaves=5)


def optional(value: Type) -> UnionType:
    options = value.options if isinstance(value, UnionType) else (value,)
    return UnionType(options=tuple(dict.fromkeys((NULL, *options))))


@given(TYPES)
def test_a_type_fits_itself_and_any(value: Type) -> None:
    assert fits(value, value)
    assert fits(value, value, strict=True)
    assert fits(value, PRIMITIVES["Any"], strict=True)
    assert fits(PRIMITIVES["Any"], value, strict=True)


@given(TYPES, TYPES)
def test_what_fits_strictly_fits_and_may_be_wanted_less_strictly(source: Type, sink: Type) -> None:
    if fits(source, sink, strict=True) and source != NULL:
        assert fits(source, sink) or source == UnionType(options=(NULL,))
        assert fits(source, optional(sink), strict=True)
        assert fits(ArrayType(items=source), ArrayType(items=sink), strict=True)


@given(TYPES)
def test_what_may_be_null_fits_with_a_doubt_only(value: Type) -> None:
    if "Any" not in show_type(value) and value != NULL and not fits(NULL, value, strict=True):
        assert fits(optional(value), value)
        assert not fits(optional(value), value, strict=True)


@pytest.mark.parametrize(
    ("source", "sink", "expected"),
    [("int", "double", True), ("double", "int", False), ("File", "string", False), ("null", "int", False)],
)
def test_numbers_widen_and_nothing_else_changes(source: str, sink: str, expected: bool) -> None:
    assert fits(PRIMITIVES[source], PRIMITIVES[sink]) == expected


def test_types_are_shown_as_people_write_them() -> None:
    string, integer = Primitive(name="string"), Primitive(name="int")
    assert show_type(optional(string)) == "string?"
    assert show_type(ArrayType(items=UnionType(options=(string, integer)))) == "(string | int)[]"


# --- messages ---

STRINGS = tool(inputs={"x": "string", "n": "int?"})


def problems(folder: Path, document: dict[str, Any]) -> list[str]:
    """Line by line, without the folder."""
    with pytest.raises(DocumentError) as caught:
        compile_text(folder, document)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def one_step(**fields: Any) -> dict[str, Any]:
    return workflow({"s": step(STRINGS, **fields)}, inputs={"x": "string", "files": "File[]", "maybe": "string?"})


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({"out": ["outt"]}, "step 's': 's' has no output 'outt'", "did you mean 'out'?"),
        (
            {"in": {"n": {"default": 1}}},
            "step 's': required input 'x' of 's' is not given",
            "add `x:` under the step's `in`",
        ),
        ({"scatter": "y"}, "Field 'scatter' references unknown identifier 'y'", ""),
        (
            {"scatter": ["x", "n"], "in": {"x": "files", "n": "files"}},
            "step 's' scatters over several inputs and needs a scatterMethod",
            "one of dotproduct, flat_crossproduct, nested_crossproduct",
        ),
        ({"in": {"x": "files"}}, "step 's', input 'x': source 'files' of type File[] cannot be a string", ""),
        ({"scatter": "x"}, "step 's', input 'x': source 'x' of type string cannot be a string[]", ""),
    ],
)
def test_a_mistake_is_told_with_its_place_and_a_way_out(
    tmp_path: Path, fields: dict[str, Any], message: str, hint: str
) -> None:
    first, *rest = problems(tmp_path, one_step(**fields))
    place, _, text = first.partition(": ")
    assert text == message
    assert place.startswith("main.cwl:") and all(int(part) > 1 for part in place.split(":")[1:])
    assert rest == ([f"    {hint}"] if hint else [])


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    steps = {"a": step(STRINGS, out=["no"]), "b": step(STRINGS, **{"in": {}})}
    lines = problems(tmp_path, workflow(steps, inputs={"x": "string"}))
    assert sum("has no output 'no'" in line or "'x' of 'b' is not given" in line for line in lines) == 2


def test_steps_in_a_circle_are_named(tmp_path: Path) -> None:
    a, b = (step(expression_tool(), **{"in": {"x": f"{other}/out"}}) for other in "ba")
    (line,) = problems(tmp_path, workflow({"a": a, "b": b}))
    assert line.endswith("steps wait for each other in a circle: a -> b -> a")


@pytest.mark.parametrize("feature", ["Scatter", "Subworkflow", "MultipleInput"])
def test_a_feature_that_is_not_required_is_named(tmp_path: Path, feature: str) -> None:
    uses: dict[str, dict[str, Any]] = {
        "Scatter": step(STRINGS, scatter="x", **{"in": {"x": "many"}}),
        "Subworkflow": step(workflow({}), out=[]),
        "MultipleInput": step(expression_tool(), **{"in": {"x": {"source": ["x", "many"]}}}),
    }
    name = f"{feature}FeatureRequirement"
    document = workflow({"s": uses[feature]}, inputs={"x": "string", "many": "string[]"}, requirements={})
    first, hint = problems(tmp_path, document)
    assert f"needs {name}" in first
    assert hint == f"    add `requirements: {{{name}: {{}}}}` to the workflow"


@pytest.mark.parametrize(
    ("sources", "link", "sink"),
    [
        (["File[]", "File[]"], {"linkMerge": "merge_flattened", "pickValue": "first_non_null"}, "File"),
        (["File[]?", "File"], {"linkMerge": "merge_flattened", "pickValue": "all_non_null"}, "File[]"),
        (["File?", "File?"], {"pickValue": "the_only_non_null"}, "File"),
        (["File?", "File"], {"pickValue": "all_non_null"}, "File[]"),
        (["File[]", "File[]"], {}, "Any"),
    ],
)
def test_joined_sources_have_the_type_of_what_is_joined(
    tmp_path: Path, sources: list[str], link: dict[str, Any], sink: str
) -> None:
    inputs = {f"i{index}": type_ for index, type_ in enumerate(sources)}
    given = {"x": {"source": list(inputs), **link}}
    document = workflow({"s": step(tool(inputs={"x": sink}), **{"in": given})}, inputs=inputs)
    assert compile_text(tmp_path, document).warnings == ()


def test_what_may_be_null_is_a_warning(tmp_path: Path) -> None:
    (warning,) = compile_text(tmp_path, one_step(**{"in": {"x": "maybe"}})).warnings
    assert warning.message == "step 's', input 'x': source 'maybe' of type string? may be no string"
