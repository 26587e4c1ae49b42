from io import StringIO
from typing import Any

import pytest
from ruamel.yaml import YAML

from cwlbalsam.parser.nodes import as_list, plain_scalar, plain_value, shortname


def read(text: str) -> Any:
    """A value as the front end's YAML reader gives it."""
    return YAML(typ="rt").load(StringIO(text))


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("file:///a/doc.cwl#main/step/out", "out"),
        ("file:///a/doc.cwl#main", "main"),
        ("file:///a/doc.cwl", "doc.cwl"),
        ("file:///a%20%231/doc.cwl#x", "x"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_a_short_name_is_the_last_part_of_an_identifier(identifier: str, name: str) -> None:
    assert shortname(identifier) == name


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("17", 17),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("1.23e5", 123000),
        ("'17'", "17"),
        ("2020-01-01", "2020-01-01"),
        ("18446744073709551616", 18446744073709551616.0),
        ("~", None),
    ],
)
def test_scalars_lose_what_the_reader_remembers_of_their_spelling(text: str, value: Any) -> None:
    found = plain_scalar(read(text))
    assert (found, type(found)) == (value, type(value))


def test_one_thing_is_a_list_of_one_and_null_is_none() -> None:
    assert [as_list(value) for value in (None, "a", ["a", "b"], {"a": 1})] == [[], ["a"], ["a", "b"], [{"a": 1}]]


def test_files_in_values_are_found_beside_their_document() -> None:
    value = read("{files: [{class: File, path: data/a.txt}, {class: File, location: http://h/b}], n: 1}")
    assert plain_value(value, "file:///w/doc.cwl") == {
        "files": [{"class": "File", "location": "file:///w/data/a.txt"}, {"class": "File", "location": "http://h/b"}],
        "n": 1,
    }
