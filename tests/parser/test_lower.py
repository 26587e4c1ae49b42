import json
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cwl.records import Binding, Expr, ToolProcess
from cwlbalsam.parser.compile import compile_document
from tests.parser.documents import compile_text, main_of, tool


def lowered(folder: Path, **fields: Any) -> ToolProcess:
    found = main_of(compile_text(folder, tool(**fields)).program)
    assert isinstance(found, ToolProcess)
    return found


def test_a_tools_digest_says_what_it_computes_and_nothing_else(tmp_path: Path) -> None:
    plain = lowered(tmp_path)
    (tmp_path / "else").mkdir()
    path = tmp_path / "else" / "other.cwl"
    input_ = {"id": "x", "type": "Any?", "label": "an input", "doc": ["some", "words"]}
    text = json.dumps(tool(id="renamed", label="a label", doc="words", inputs=[input_]), indent=3)
    path.write_text(f"# a comment\n\n{text}")
    same = main_of(compile_document(str(path)).program)
    assert (same.id, plain.id) == ("renamed", "main.cwl")
    assert same.digest == plain.digest
    assert lowered(tmp_path, hints={"ResourceRequirement": {"coresMin": 2}}).digest == plain.digest
    assert lowered(tmp_path, baseCommand="cat").digest != plain.digest
    assert lowered(tmp_path, successCodes=[1]).digest != plain.digest


def test_a_documents_own_data_counts_whatever_its_keys_are(tmp_path: Path) -> None:
    def digest(value: dict[str, Any]) -> str:
        return lowered(tmp_path, inputs={"x": {"type": "Any", "default": value}}).digest

    assert len({digest({key: number}) for key in ("label", "doc", "place", "requirements") for number in (1, 2)}) == 8


def test_streams_without_a_name_get_one_that_does_not_depend_on_the_place(tmp_path: Path) -> None:
    found = lowered(tmp_path, outputs={"a": "stdout", "b": "stderr"})
    assert (found.stdout, found.stderr) == ("cwl.stdout.txt", "cwl.stderr.txt")
    assert [field.output.glob for field in found.outputs if field.output] == [("cwl.stdout.txt",), ("cwl.stderr.txt",)]
    named = lowered(tmp_path, stdout="$(inputs.x).log")
    assert isinstance(named.stdout, Expr)
    assert named.outputs[0].output is not None
    (glob,) = named.outputs[0].output.glob
    assert isinstance(glob, Expr)
    assert glob.text == named.stdout.text
    assert glob.place.startswith(f"{tmp_path}/main.cwl:")


def test_arguments_are_texts_expressions_and_bindings_with_their_lines(tmp_path: Path) -> None:
    text = """cwlVersion: v1.2
class: CommandLineTool
inputs: {x: int}
outputs: {}
arguments:
  - plain
  - $(inputs.x)
  - {valueFrom: "$(inputs.x)", prefix: --x, separate: false}
"""
    found = main_of(compile_text(tmp_path, text).program)
    assert isinstance(found, ToolProcess)
    plain, expression, binding = found.arguments
    assert plain == "plain"
    assert isinstance(expression, Expr) and expression.place == f"{tmp_path}/main.cwl:7:5"
    assert isinstance(binding, Binding) and (binding.prefix, binding.separate) == ("--x", False)
    assert binding.place.startswith(f"{tmp_path}/main.cwl:8:")


@pytest.mark.parametrize("version", ["v1.0", "v1.1", "v1.2"])
def test_secondary_files_are_required_of_inputs_and_welcome_of_outputs(tmp_path: Path, version: str) -> None:
    file = {"type": "File", "secondaryFiles": [".idx"]}
    found = lowered(
        tmp_path,
        cwlVersion=version,
        inputs={"x": file},
        outputs={"out": {**file, "outputBinding": {"glob": "a"}}},
    )
    assert [entry.required for field in (*found.inputs, *found.outputs) for entry in field.secondary_files] == [
        True,
        False,
    ]
