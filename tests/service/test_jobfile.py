import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.errors import UserError
from cwlbalsam.service.jobfile import TextFile, file_uri, parse_tree, read_file, uri_path


def source(text: str, name: str = "job.yml") -> TextFile:
    return TextFile(name, "file:///job.yml", text)


def message(text: str, name: str = "job.yml") -> str:
    with pytest.raises(UserError) as caught:
        parse_tree(source(text, name))
    return str(caught.value)


def test_yaml_is_read_as_version_1_2_and_dates_stay_text() -> None:
    tree = parse_tree(source("a: 2020-01-01\nb: 0o14\nc: yes\nd: ~\ne: 1.5e3\nf: True"))
    assert tree == {"a": "2020-01-01", "b": 12, "c": "yes", "d": None, "e": 1500.0, "f": True}


def test_json_with_comments_or_in_flow_style_is_read_as_yaml() -> None:
    assert parse_tree(source("{a: 1, # a comment\n b: [x]}", "job.json")) == {"a": 1, "b": ["x"]}


def test_characters_escaped_as_surrogates_are_joined() -> None:
    assert parse_tree(source('a: "\\ud83d\\ude00"')) == parse_tree(source('{"a": "\\ud83d\\ude00"}')) == {"a": "😀"}
    assert "half a character" in message('{"a": "\\ud83d"}')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2", "job.yml:2:1: syntax error: found duplicate key"),
        ('{"a": 1, "b": 2, "a": 3}', "key 'a' appears twice"),
        ("a: [1, 2\nb: 3", "job.yml:2:2: syntax error"),
        ("1: x", "key 1 must be text"),
        ("a: !!set {b, c}", "a value of type set is not JSON"),
        ("a: !!python/object:os.system x", "job.yml:1:4: syntax error: could not determine a constructor"),
        ("a: &x [*x]", "nested too deeply"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_wrong_with_a_text_is_told_with_its_place(text: str, expected: str) -> None:
    assert expected in message(text)


def test_the_mistake_in_a_json_file_is_told_as_json_sees_it() -> None:
    assert message('{"a": 1,, }', "job.json").startswith("job.json:1:9: syntax error: ")


def test_aliases_cannot_expand_without_limit() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "aliases expand to too much" in message("\n".join(lines))


def test_the_place_of_a_value_is_that_of_its_key_or_item() -> None:
    assert source("a:\n  - b: 1\n    c: 2").place(["a", 0, "c"]) == "job.yml:3:5"
    assert source("a:\n  - b: 1").place(["a", 7]) == "job.yml:1:1"


def test_files_that_cannot_be_read_are_user_errors(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"a: \xff")
    for name in ("missing.yml", "latin", "."):
        with pytest.raises(UserError):
            read_file(str(tmp_path / name), tmp_path)


def test_an_unreachable_address_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot fetch http://127\.0\.0\.1:9/job\.yml"):
        read_file("http://127.0.0.1:9/job.yml", tmp_path)


@given(st.binary(min_size=1).filter(lambda n: n not in {b".", b".."} and not {0, ord("/")} & {*n}).map(os.fsdecode))
def test_every_file_name_survives_as_a_uri(name: str) -> None:
    assert uri_path(file_uri(f"/a/{name}")) == f"/a/{name}"


@given(st.text())
def test_no_text_leads_to_anything_but_a_tree_or_a_user_error(text: str) -> None:
    with contextlib.suppress(UserError):
        parse_tree(source(text))
