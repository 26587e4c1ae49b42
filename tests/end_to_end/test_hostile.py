"""Documents, commands and places that mean harm, or are merely careless."""

import json
import shlex
import stat
import subprocess
from typing import Any

import pytest

from cwlbalsam.service.documents import check_document
from cwlbalsam.service.options import RunOptions
from tests.end_to_end.workplace import Workplace


def sh(script: str, outputs: str = "{}", inputs: str = "{}") -> str:
    """A tool that runs a shell script, which may hold anything."""
    return json.dumps(
        {
            "cwlVersion": "v1.2",
            "class": "CommandLineTool",
            "requirements": {
                "InlineJavascriptRequirement": {},
                "InitialWorkDirRequirement": {"listing": [{"entryname": ".do.sh", "entry": "$(inputs.script)"}]},
            },
            "inputs": {"script": {"type": "string", "default": script}, **json.loads(inputs)},
            "outputs": json.loads(outputs),
            "baseCommand": ["sh", ".do.sh"],
        }
    )


def outputs_of(kind: str, pattern: str) -> str:
    return json.dumps({"x": {"type": kind, "outputBinding": {"glob": pattern}}})


# --- what a command leaves behind ---


@pytest.mark.parametrize(
    ("script", "kind", "message"),
    [
        ("mkfifo cwl.output.json", "File?", "not a regular file"),
        ("ln -s /dev/zero cwl.output.json", "File?", "not a regular file"),
        ("mkdir cwl.output.json", "File?", "it is a directory"),
        ("mkfifo f", "File", "neither a file nor a directory"),
        ("ln -s f f", "File", "too many links"),
        ("ln -s /dev/zero f", "File", "neither in the output directory nor an input"),
        ("rm .do.sh; d=$PWD; cd /; rmdir $d; ln -s /etc $d", "File", "a link in the place of its output directory"),
        ("mkdir f; ln -s . f/a; ln -s .. f/b", "Directory", "cannot put output"),
        ("""printf '{"x": {"class": "File", "path": "a\\\\u0000b"}}' > cwl.output.json""", "File", "NUL"),
        ("""printf '{"x": "\\\\ud83d"}' > cwl.output.json""", "string", "not JSON"),
        ("""(printf '{"x": '; yes '[' | head -5000) > cwl.output.json""", "Any", "nested too deeply"),
    ],
)
def test_a_command_that_leaves_something_odd_fails_its_job_and_nothing_else(
    place: Workplace, script: str, kind: str, message: str
) -> None:
    called = place.start("--outdir", place.out, place.write("tool.cwl", sh(script, outputs_of(kind, "f"))))
    assert called.code == 1
    assert message in called.err
    assert "Traceback" not in called.err
    listed = place.start("ls", entry="cwlbalsam")
    assert " failed " in listed.out, listed.out


def test_an_integer_that_no_message_can_hold_becomes_the_same_number_again(place: Workplace) -> None:
    tool = sh("""echo '{"x": [1000000000000000000000000000000, 7]}' > cwl.output.json""", outputs_of("Any", "f"))
    assert place.outputs(place.write("tool.cwl", tool)) == {"x": [10**30, 7]}


def test_what_commands_print_and_names_say_cannot_command_a_terminal(place: Workplace) -> None:
    script = r"""printf '\033]0;owned\007\033[2J\233bad\r' >&2; mkfifo "$(printf '\033[2Jx')"; :"""
    called = place.call(place.write("tool.cwl", sh(script, outputs_of("File", "*"))))
    assert called.code == 1
    assert "owned" in called.err
    assert not set(called.err) & {"\033", "\007", "\x9b", "\r"}


# --- the user's files ---

SAME_NAME = """
cwlVersion: v1.2
class: CommandLineTool
inputs: {given: File, folder: 'Directory?'}
baseCommand: [sh, -c]
arguments: ["echo made > $0; mkdir data; echo made > data/a.txt", $(inputs.given.basename)]
outputs:
  file: {type: File, outputBinding: {glob: $(inputs.given.basename)}}
  folder: {type: Directory, outputBinding: {glob: data}}
"""


@pytest.mark.parametrize("through_link", [False, True])
def test_no_output_replaces_an_input_or_the_document(place: Workplace, through_link: bool) -> None:
    given, inner = place.write("work/tool.cwl", SAME_NAME), place.write("work/data/a.txt", "mine")
    outdir = given.parent
    if through_link:
        outdir = place.folder / "link"
        outdir.symlink_to(given.parent)
    inputs: dict[str, Any] = {
        "given": {"class": "File", "path": str(given)},
        "folder": {"class": "Directory", "path": str(inner.parent)},
    }
    found = place.outputs(given, inputs, outdir=str(outdir))
    assert (given.read_text(), inner.read_text()) == (SAME_NAME, "mine")
    assert (found["file"]["basename"], found["folder"]["basename"]) == ("tool_2.cwl", "data_2")
    assert (outdir / "tool_2.cwl").read_text() == (outdir / "data_2/a.txt").read_text() == "made\n"


def test_an_earlier_runs_outputs_are_replaced_but_not_what_a_run_reads(place: Workplace) -> None:
    tool = place.write("tool.cwl", SAME_NAME)
    given = {"given": {"class": "File", "path": str(place.write("in.txt", "mine"))}}
    for _ in range(2):
        assert place.outputs(tool, given)["file"]["basename"] == "in.txt"
    again = place.outputs(tool, {"given": {"class": "File", "path": str(place.out / "in.txt")}})
    assert again["file"]["basename"] == "in_2.txt"
    assert sorted(path.name for path in place.out.iterdir()) == ["data", "in.txt", "in_2.txt"]


# --- places ---


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_is_an_empty_one(place: Workplace, closed: str) -> None:
    tool = place.write("tool.cwl", sh("echo > f", outputs_of("File", "f")))
    words = shlex.join(place.command("--outdir", place.out, tool))
    done = subprocess.run(["sh", "-c", f"exec {words} {closed}"], env=place.environment(), check=False, timeout=60)
    assert done.returncode == 0
    assert (place.out / "f").read_text() == "\n"


def test_the_home_with_all_inputs_is_for_its_owner_alone(place: Workplace) -> None:
    assert place.outputs(place.write("tool.cwl", sh("true"))) == {}
    assert stat.S_IMODE(place.home.stat().st_mode) == 0o700


# --- documents ---


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"class": {"a": 1}}, 1),
        ({"id": {"a": 1}}, 0),
        ({"inputs": 1e308}, 1),
        ({"inputs": "x"}, 1),
        ({"inputs": {"a": ""}}, 1),
        ({"inputs": [{"id": "\ud83d", "type": "File"}]}, 0),
        ({"$base": []}, 1),
        ({"$graph": [{"class": "CommandLineTool", "inputs": [], "outputs": [], "baseCommand": "x"}]}, 0),
        ({"$graph": {"a": 1}}, 1),
    ],
)
def test_nodes_of_wrong_kinds_are_mistakes_with_a_place(place: Workplace, changed: dict[str, Any], line: int) -> None:
    tool = {"cwlVersion": "v1.2", "class": "CommandLineTool", "inputs": [], "outputs": [], "baseCommand": "true"}
    path = place.write("tool.cwl", json.dumps(tool | changed))
    problems = check_document(str(path), RunOptions()).problems
    assert problems
    assert all(problem.place.startswith(f"{path}:{line}" if line else str(path)) for problem in problems), problems


BOMB = "".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}' if n else 'x'] * 9)}]\n" for n in range(9))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{BOMB}inputs: *b8", "with its aliases written out"),
        ("inputs: &a [*a]", "contains itself"),
        ("inputs: {$import: tool.cwl}", "it imports itself"),
        ("inputs: {$import: other.yml}", "it imports itself"),
    ],
)
def test_a_small_text_that_stands_for_an_endless_one_is_refused(place: Workplace, text: str, message: str) -> None:
    place.write("other.yml", "{a: {$import: tool.cwl}}")
    head = "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: 'true'\noutputs: []\n"
    (problem,) = check_document(str(place.write("tool.cwl", f"{head}{text}\n")), RunOptions()).problems
    assert message in problem.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the document is empty"),
        ("\x01\x02", "special characters are not allowed"),
        ("cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: {$include: /dev/zero}\n", "not a regular file"),
    ],
)
def test_what_is_no_document_at_all_is_a_mistake(place: Workplace, text: str, message: str) -> None:
    (problem,) = check_document(str(place.write("tool.cwl", text)), RunOptions()).problems
    assert message in problem.message


def test_an_alias_is_what_it_stands_for(place: Workplace) -> None:
    text = "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: 'true'\ninputs: {a: &t ['null', int], b: *t}\n"
    assert place.outputs(place.write("tool.cwl", f"{text}outputs: []\n")) == {}


def test_a_time_limit_beyond_all_clocks_is_none(place: Workplace) -> None:
    limit = {"InlineJavascriptRequirement": {}, "ToolTimeLimit": {"timelimit": "$(1e300)"}}
    tool = {"cwlVersion": "v1.2", "class": "CommandLineTool", "baseCommand": "true", "inputs": [], "outputs": []}
    assert place.outputs(place.write("tool.cwl", json.dumps(tool | {"requirements": limit}))) == {}


def test_a_document_may_be_nested_only_as_deep_as_python_goes(place: Workplace) -> None:
    text = '{"type": "array", "items": ' * 2000 + '"int"' + "}" * 2000
    tool = f'{{"cwlVersion": "v1.2", "class": "CommandLineTool", "inputs": {{"a": {text}}}, "outputs": []}}'
    (problem,) = check_document(str(place.write("tool.cwl", tool)), RunOptions()).problems
    assert "nested too deeply" in problem.message
