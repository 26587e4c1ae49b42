from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cwl.records import ArrayType, EnumType, Primitive, RecordType, Type, UnionType
from cwlbalsam.errors import DocumentError
from tests.parser.documents import compile_text, main_of, tool

NULL, FILE, INT = Primitive(name="null"), Primitive(name="File"), Primitive(name="int")


def type_of(folder: Path, written: Any, **fields: Any) -> Type:
    (field,) = main_of(compile_text(folder, tool(inputs={"x": {"type": written}}, **fields)).program).inputs
    return field.type


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("File?", UnionType(options=(NULL, FILE))),
        ("int[]", ArrayType(items=INT)),
        ("int[]?", UnionType(options=(NULL, ArrayType(items=INT)))),
        (["null", "int"], UnionType(options=(NULL, INT))),
        (["int", "int"], INT),
        (["int?", "File"], UnionType(options=(NULL, INT, FILE))),
        ({"type": "enum", "symbols": ["a", "b"]}, EnumType(symbols=("a", "b"))),
        ({"type": "array", "items": "int"}, ArrayType(items=INT)),
    ],
)
def test_types_are_flat_and_plain_however_they_were_written(tmp_path: Path, written: Any, expected: Type) -> None:
    found = type_of(tmp_path, written)
    if isinstance(found, EnumType):
        assert isinstance(expected, EnumType) and found.symbols == expected.symbols
    elif isinstance(found, UnionType):
        assert isinstance(expected, UnionType) and set(found.options) == set(expected.options)
    else:
        assert found == expected


def test_a_named_type_is_found_in_its_requirement_or_in_an_imported_file(tmp_path: Path) -> None:
    (tmp_path / "types.yml").write_text("- {name: pair, type: record, fields: {a: int, b: 'string?'}}\n")
    define = {"SchemaDefRequirement": {"types": [{"$import": "types.yml"}]}}
    found = type_of(tmp_path, "types.yml#pair", requirements=define)
    assert isinstance(found, RecordType)
    assert (found.name, [field.name for field in found.fields]) == ("pair", ["a", "b"])


def test_a_type_that_contains_itself_is_refused(tmp_path: Path) -> None:
    chain = {"name": "chain", "type": "record", "fields": {"next": "#chain"}}
    define = {"SchemaDefRequirement": {"types": [chain]}}
    with pytest.raises(DocumentError, match="type 'chain' contains itself"):
        type_of(tmp_path, "#chain", requirements=define)


def test_a_type_nobody_defines_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"main.cwl:\d+:\d+: .*'?strng'?"):
        type_of(tmp_path, "strng")
