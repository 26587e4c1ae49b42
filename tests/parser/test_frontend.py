import json
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.errors import DocumentError
from tests.parser.documents import compile_text, main_of, step, tool, workflow


def nested(depth: int, innermost: dict[str, Any]) -> dict[str, Any]:
    document = innermost
    for _ in range(depth):
        document = workflow(
            {"s": step({key: value for key, value in document.items() if key != "cwlVersion"})},
            outputs={"out": {"type": "Any", "outputSource": "s/out"}},
        )
    return document


def test_the_time_to_compile_does_not_double_with_each_level_of_inline_workflows(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, nested(40, tool()))
    assert len(compiled.program.processes) == 41
    assert main_of(compiled.program).outputs[0].name == "out"


def test_a_wrong_link_deep_inside_inline_workflows_is_told_once_with_its_line(tmp_path: Path) -> None:
    broken = {"t": step("tool.cwl", **{"in": {"x": "nowhere"}})}
    wrong = workflow(broken, outputs={"out": {"type": "Any", "outputSource": "t/out"}})
    (tmp_path / "tool.cwl").write_text(json.dumps(tool()))
    with pytest.raises(DocumentError) as raised:
        compile_text(tmp_path, nested(5, wrong))
    assert [problem.message.count("nowhere") > 0 for problem in raised.value.problems] == [True]
    assert ":" in raised.value.problems[0].place
