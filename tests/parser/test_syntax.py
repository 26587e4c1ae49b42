from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.errors import DocumentError
from tests.parser.documents import compile_text, expression_tool, step, tool, workflow


def test_javascript_that_does_not_parse_is_told_with_its_line_before_anything_runs(tmp_path: Path) -> None:
    text = """cwlVersion: v1.2
class: ExpressionTool
requirements: {InlineJavascriptRequirement: {}}
inputs: {}
outputs: {}
expression: |
  ${
    return {a: };
  }
"""
    with pytest.raises(DocumentError) as caught:
        compile_text(tmp_path, text)
    (problem,) = caught.value.problems
    assert problem.place.startswith(f"{tmp_path}/main.cwl:")


def test_one_wrong_text_is_told_once_even_if_only_some_callers_allow_javascript(tmp_path: Path) -> None:
    javascript: dict[str, Any] = {"InlineJavascriptRequirement": {}}
    (tmp_path / "wrong.cwl").write_text(
        "{cwlVersion: v1.2, class: CommandLineTool, inputs: {}, outputs: {}, arguments: ['$(1 +* 2)']}"
    )
    bare = {"run": "wrong.cwl", "in": {}, "out": []}
    steps = {"a": bare, "b": {**bare, "requirements": javascript}, "c": {**bare, "requirements": javascript}}
    with pytest.raises(DocumentError) as caught:
        compile_text(tmp_path, workflow(steps, requirements={}))
    assert len(caught.value.problems) == 1


def test_a_library_that_does_not_parse_is_told_before_anything_runs(tmp_path: Path) -> None:
    library = {"InlineJavascriptRequirement": {"expressionLib": ["var a = 1;", "var b = ;"]}}
    with pytest.raises(DocumentError, match=r"main\.cwl:.*: expressionLib\[1\]: "):
        compile_text(tmp_path, {**expression_tool(), "cwlVersion": "v1.2", "requirements": library})


def test_what_is_right_is_not_reported(tmp_path: Path) -> None:
    compile_text(tmp_path, workflow({"a": step(expression_tool(), when="$(inputs.x !== null)"), "b": step(tool())}))
