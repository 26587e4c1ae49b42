from pathlib import Path

import pytest

from cwlbalsam.errors import DocumentError
from tests.parser.documents import compile_text

TOOL = """\
cwlVersion: v1.2
class: CommandLineTool
requirements: {NetworkAccess: {networkAccess: true}}
inputs:
  word: {type: string}
  words: {type: {type: array, items: string}}
baseCommand: echo
outputs: []
"""
WORKFLOW = """\
cwlVersion: v1.2
class: Workflow
inputs: {reads: File}
steps:
  sort:
    run: tool.cwl
    in: {reads: reads}
    out: [sorted]
outputs:
  sorts: {type: File, outputSource: sort/sorted}
"""


@pytest.mark.parametrize(
    ("old", "new", "place", "message", "hint"),
    [
        ("CommandLineTool", "CommandLineTol", "2:1", "unknown class 'CommandLineTol'", "'CommandLineTool'?"),
        ("NetworkAccess:", "NetworkAcces:", "3:16", "unknown class 'NetworkAcces'", "'NetworkAccess'?"),
        ("type: string", "type: strin", "5:10", "unknown type 'strin'", "'string'?"),
        ("items: string", "items: Fil", "6:31", "unknown type 'Fil'", "'File'?"),
        ("outputs: []", "", "1:1", "required field 'outputs' is missing, or neither", "add `outputs: []`"),
        ("  word:", "\tword:", "5:1", "syntax error: found character '\\t'", "YAML forbids tabs"),
        ("inputs:", "  inputs:", "4:3", "syntax error: expected <block end>", "indentation"),
        ("requi", "  requi", "3:15", "syntax error: mapping values are not allowed here", "indentation"),
        ("v1.2", "1.2", "1:1", "cwlVersion '1.2' is not supported; did you mean v1.2?", ""),
        ("v1.2", "v1.3", "1:1", "cwlVersion 'v1.3' is not supported; of it, --enable-dev accepts the draft v1.3", ""),
    ],
)
def test_a_mistake_in_a_tool_is_told_once_by_its_name(
    tmp_path: Path, old: str, new: str, place: str, message: str, hint: str
) -> None:
    assert old in TOOL
    with pytest.raises(DocumentError) as caught:
        compile_text(tmp_path, TOOL.replace(old, new, 1))
    (problem,) = caught.value.problems
    assert problem.place == f"{tmp_path}/main.cwl:{place}"
    assert problem.message.startswith(message)
    assert hint in problem.hint


def test_only_what_can_be_read_is_suggested_as_a_source(tmp_path: Path) -> None:
    (tmp_path / "tool.cwl").write_text(TOOL)
    with pytest.raises(DocumentError) as caught:
        compile_text(tmp_path, WORKFLOW.replace("sort/sorted", "sort/sort").replace("reads: reads", "reads: read"))
    hints = [problem.hint for problem in caught.value.problems]
    assert hints == ["did you mean 'reads'?", "did you mean 'sort/sorted'?"]
