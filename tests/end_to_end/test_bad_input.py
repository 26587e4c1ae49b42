"""Every mistake gets one clear error with its place and a way out, never a traceback, never output on stdout."""

import re
import socket
from pathlib import Path

import pytest

from tests.end_to_end.workplace import Called, Workplace

TOOL = """\
cwlVersion: v1.2
class: CommandLineTool
inputs:
  word: {type: string, inputBinding: {}}
  number: int?
baseCommand: echo
outputs: {said: stdout}
"""
WORKFLOW = """\
cwlVersion: v1.2
class: Workflow
inputs: {word: string}
steps:
  first:
    run: tool.cwl
    in: {word: word}
    out: [said]
  second:
    run: tool.cwl
    in:
      word: word
    out: [said]
outputs:
  said:
    type: File
    outputSource: second/said
"""


def one_error(called: Called, code: int = 1) -> str:
    """The one mistake that was told, with its hint."""
    assert called.out == ""
    assert len(called.errors) == 1, called.err
    assert called.code == code, called.err
    return called.err.partition("error: ")[2]


@pytest.fixture
def documents(place: Workplace) -> Workplace:
    place.write("tool.cwl", TOOL)
    place.write("wf.cwl", WORKFLOW)
    return place


def edited(place: Workplace, old: str, new: str, name: str = "bad.cwl", text: str = WORKFLOW) -> Path:
    assert old in text
    return place.write(name, text.replace(old, new))


# --- inputs ---


def test_every_input_of_a_wrong_type_is_named_with_its_path(documents: Workplace) -> None:
    tool = edited(documents, "number: int?", "list: {type: {type: array, items: {type: array, items: int}}}", text=TOOL)
    called = documents.call(tool, documents.write("job.yml", "word: 5\nlist:\n  - [1]\n  - [2, x]\n"))
    assert (called.code, called.out) == (1, "")
    assert len(called.errors) == 2
    assert any("word" in error and "job.yml:1:" in error for error in called.errors), called.err
    assert any("list[1][1]" in error and "job.yml:4:" in error for error in called.errors), called.err


def test_a_missing_input_file_is_named_with_its_place(documents: Workplace) -> None:
    tool = edited(documents, "number: int?", "file: File", text=TOOL)
    job = documents.write("job.yml", "word: x\nfile:\n  class: File\n  path: missing.txt\n")
    error = one_error(documents.call(tool, job))
    assert re.match(rf"{job}:\d+:\d+: input 'file[.]path': no such file: missing.txt\n", error)


def test_a_missing_required_input_is_named(documents: Workplace) -> None:
    assert "input 'word' is required" in one_error(documents.call("tool.cwl"))


@pytest.mark.parametrize("text", ["[1, 2]", "", "just text", "5"])
def test_a_job_file_that_is_no_mapping_is_refused(documents: Workplace, text: str) -> None:
    error = one_error(documents.call("tool.cwl", documents.write("job.yml", text)))
    assert "job.yml" in error and "not a mapping" in error


def test_an_unknown_option_and_an_unknown_input_get_a_suggestion(documents: Workplace) -> None:
    called = documents.call("--on-eror", "stop", "tool.cwl")
    assert called.code != 0
    assert "--on-error" in called.err and "Traceback" not in called.err
    assert "did you mean '--word'?" in one_error(documents.call("tool.cwl", "--wrod", "x"))
    called = documents.call("tool.cwl", documents.write("job.yml", "word: x\nnumbr: 5\n"))
    assert called.code == 0
    assert "job.yml:2:1: the document has no input 'numbr'; ignored" in called.err
    assert "did you mean 'number'?" in called.err


# --- documents ---


@pytest.mark.parametrize(
    ("old", "new", "where", "message", "hint"),
    [
        ("word: word\n    out", "word: wrod\n    out", "12:7", "wrod", "did you mean 'word'?"),
        ("second/said", "second/sayd", "17:5", "sayd", "did you mean 'second/said'"),
        ("word: word\n    out", "word: first/sayd\n    out", "12:7", "sayd", "did you mean 'first/said'"),
        ("out: [said]\n  second", "out: [sad]\n  second", "", "no output 'sad'", "did you mean 'said'?"),
        ("in: {word: word}", "in: {}", "", "required input 'word'", "add `word:`"),
        ("class: Workflow", "class: Workfow", "2:1", "Workfow", ""),
        ("run: tool.cwl\n    in: {", "run: tol.cwl\n    in: {", "6:5", "tol.cwl", "tool.cwl"),
        ("type: File", "type: Fil", "", "Fil", ""),
        ("type: File", "type: int", "17:5", "cannot be a int", ""),
        ("v1.2", "v9", "1:1", "'v9' is not supported", ""),
        ("v1.2", "v1.3.0-dev1", "1:1", "--enable-dev", ""),
        ("cwlVersion: v1.2\n", "", "no place", "no cwlVersion", "cwlVersion: v1.2"),
    ],
)
def test_a_mistake_in_a_document_has_a_place_and_a_way_out(
    documents: Workplace, old: str, new: str, where: str, message: str, hint: str
) -> None:
    path = edited(documents, old, new)
    error = one_error(documents.call(path, "--word", "x"))
    place = "" if where == "no place" else f":{where or '[0-9]+:[0-9]+'}"
    assert re.match(f"{path}{place}: ", error), error
    assert message in error and hint in error


def test_all_mistakes_of_a_document_are_told_at_once(documents: Workplace) -> None:
    path = edited(documents, "out: [said]", "out: [sad, said]")
    assert len(documents.call(path, "--word", "x").errors) == 2


def test_steps_that_wait_for_each_other_are_refused(documents: Workplace) -> None:
    tool = edited(
        documents,
        "outputs: {said: stdout}",
        "outputs: {said: {type: string, outputBinding: {outputEval: $(inputs.word)}}}",
        "tool.cwl",
        TOOL,
    )
    path = edited(
        documents,
        "in: {word: word}",
        "in: {word: second/said}",
        text=WORKFLOW.replace("word: word\n    out", "word: first/said\n    out").replace("type: File", "type: string"),
    )
    error = one_error(documents.call(path, "--word", "x"))
    assert tool.exists()
    assert re.match(rf"{path}:\d+:\d+: steps wait for each other in a circle: first -> second -> first", error)


def test_a_workflow_that_runs_itself_is_refused(documents: Workplace) -> None:
    path = edited(
        documents,
        "run: tool.cwl\n    in: {",
        "run: bad.cwl\n    in: {",
        text=WORKFLOW.replace("inputs:", "requirements: {SubworkflowFeatureRequirement: {}}\ninputs:"),
    )
    error = one_error(documents.call(path, "--word", "x"))
    assert re.match(rf"{path}:\d+:\d+: .*runs itself", error)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("cwlVersion: v1.2\nclass: [CommandLineTool\ninputs: {}\n", r":[0-9]+:[0-9]+"),
        ("cwlVersion: v1.2\n\tclass: x\n", ":2:[0-9]+"),
        ("a: *unknown\n", ":1:[0-9]+"),
        ("[1, 2]", ""),
        ("", ""),
        ("text", ""),
        (b"\x00\x01\xff\xfe\x80binary", ""),
        (b"\xff\xfe\xff", ""),
        ("[" * 100_000, ""),
        ("{a: " * 5_000 + "}" * 5_000, ""),
        ("x0: &x0 [y]\n" + "".join(f"x{n}: &x{n} [{f'*x{n - 1}, ' * 9}]\n" for n in range(1, 30)), ""),
    ],
    ids=["bracket", "tab", "alias", "list", "empty", "text", "binary", "latin", "deep list", "deep map", "bomb"],
)
def test_what_is_no_document_is_refused(place: Workplace, text: str | bytes, where: str) -> None:
    path = place.write("bad.cwl", text)
    error = one_error(place.call(path))
    assert re.match(rf"{path}{where}: ", error), error
    assert len(error) < 600


def test_a_syntax_error_in_javascript_has_its_place_in_the_document(documents: Workplace) -> None:
    text = TOOL.replace("inputs:\n", "requirements: {InlineJavascriptRequirement: {}}\ninputs:\n")
    path = edited(documents, "inputBinding: {}", "inputBinding: {valueFrom: '$(self + )'}", text=text)
    error = one_error(documents.call(path, "--word", "x"))
    assert re.match(rf"{path}:5:\d+: ", error), error
    assert "self + " in error


def test_javascript_that_fails_is_told_with_its_place_and_message(documents: Workplace) -> None:
    text = TOOL.replace("inputs:\n", "requirements: {InlineJavascriptRequirement: {}}\ninputs:\n")
    path = edited(documents, "inputBinding: {}", "inputBinding: {valueFrom: '$(self.no.thing)'}", text=text)
    called = documents.call(path, "--word", "x")
    assert (called.code, "Traceback" in called.err) == (1, False)
    assert f"{path}:5:" in called.err and "self.no.thing" in called.err


@pytest.mark.parametrize("run", [None, "http"])
def test_an_address_that_nobody_serves_is_told(documents: Workplace, run: str | None) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/tool.cwl"
        path = (
            address
            if run is None
            else str(edited(documents, "run: tool.cwl\n    in: {", f"run: {address}\n    in: {{"))
        )
        error = one_error(documents.call(path, "--word", "x"))
    assert address in error
    assert "refused" in error or "cannot be fetched" in error
    assert len(error) < 600


def test_requirements_that_nobody_knows_end_in_33(documents: Workplace) -> None:
    path = edited(
        documents,
        "inputs:\n",
        "requirements:\n  - class: ex:Magic\n$namespaces: {ex: 'http://e.org/'}\ninputs:\n",
        text=TOOL,
    )
    error = one_error(documents.call("--non-strict", path, "--word", "x"), 33)
    assert re.match(rf"{path}:\d+:\d+: ", error) and "Magic" in error


def test_an_operation_cannot_be_run(documents: Workplace) -> None:
    path = documents.write("op.cwl", "cwlVersion: v1.2\nclass: Operation\ninputs: {}\noutputs: {x: string}\n")
    called = documents.call(path)
    assert called.code in (1, 33) and "Traceback" not in called.err
    assert f"{path}:" in called.err and "Operation" in called.err
    inside = edited(
        documents,
        "run: tool.cwl\n    in: {",
        "run: {class: Operation, inputs: {word: string}, outputs: {said: File}}\n    in: {",
    )
    called = documents.call(inside, "--word", "x")
    assert called.code in (1, 33)
    assert "Operation" in called.err and "Traceback" not in called.err
    assert documents.call("--validate", inside).code == 0
