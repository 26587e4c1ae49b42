"""Runs that take over what earlier runs, or runs at the same time, have computed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.executor.events import Event, JobEnded
from cwlbalsam.service.inputs import InputSource
from cwlbalsam.service.options import RunOptions
from cwlbalsam.service.run import run_document

WORKFLOW = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, InlineJavascriptRequirement: {}, ShellCommandRequirement: {}}
inputs: {files: "File[]", log: string}
steps:
  upper:
    scatter: f
    in: {f: files, log: log}
    out: [o]
    run:
      class: CommandLineTool
      inputs: {f: File, log: string}
      baseCommand: [sh, -c]
      arguments: ['echo upper >> "$0"; tr a-z A-Z < "$1"', $(inputs.log), $(inputs.f.path)]
      stdout: upper.txt
      outputs: {o: stdout}
  names:
    in: {f: upper/o}
    out: [lines]
    run:
      class: ExpressionTool
      inputs: {f: "File[]"}
      expression: "${return {lines: {class: 'File', basename: 'lines', contents: inputs.f.length + ' files'}};}"
      outputs: {lines: File}
  join:
    in: {fs: upper/o, lines: names/lines, log: log}
    out: [o, all]
    run:
      class: CommandLineTool
      inputs: {fs: "File[]", lines: File, log: string}
      baseCommand: [sh, -c]
      arguments:
        - 'echo join >> "$0"; cat "$@" > joined.txt; mkdir d; cp "$3" "$4" d'
        - $(inputs.log)
        - $(inputs.fs)
        - $(inputs.lines)
      outputs: {o: {type: File, outputBinding: {glob: joined.txt}}, all: {type: Directory, outputBinding: {glob: d}}}
  length:
    in: {f: join/o, log: log}
    out: [o]
    run:
      class: CommandLineTool
      hints: {WorkReuse: {enableReuse: true}}
      inputs: {f: File, log: string}
      baseCommand: [sh, -c]
      arguments: ['echo length >> "$0"; wc -c < "$1"', $(inputs.log), $(inputs.f.path)]
      stdout: length.txt
      outputs: {o: stdout}
outputs:
  joined: {type: File, outputSource: join/o}
  all: {type: Directory, outputSource: join/all}
  length: {type: File, outputSource: length/o}
"""


class Ended:
    """Counts how jobs ended."""

    def __init__(self) -> None:
        self.reused = self.run = 0

    def report(self, event: Event) -> None:
        if isinstance(event, JobEnded):
            self.reused += event.reused
            self.run += not event.reused


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.document = folder / "workflow.cwl"
        self.document.write_text(WORKFLOW)
        (folder / "data").mkdir()
        for name in "abc":
            (folder / "data" / name).write_text(f"{name}\n")
        files = [{"class": "File", "path": f"data/{name}"} for name in "abc"]
        self.job = folder / "job.json"
        self.job.write_text(json.dumps({"files": files, "log": str(folder / "log")}))

    def run(self, outdir: str = "out", **options: Any) -> tuple[list[str], dict[str, Any], Ended]:
        """What started, in alphabetical order, the contents of the outputs, and how the jobs ended."""
        log, ended = self.folder / "log", Ended()
        log.write_text("")
        settings = RunOptions(
            **{"home": str(self.folder / "home"), "reuse": True, "directory": str(self.folder), "outdir": outdir}
            | options
        )
        result = run_document(str(self.document), InputSource(file=str(self.job)), settings, ended)
        assert result.exit_code == 0, result.failures
        assert result.outputs is not None
        return sorted(log.read_text().split()), result.outputs, ended

    def edit(self, old: str, new: str) -> None:
        text = self.document.read_text()
        assert text.count(old) == 1
        self.document.write_text(text.replace(old, new))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


EVERYTHING = ["join", "length", "upper", "upper", "upper"]


def contents(outputs: dict[str, Any]) -> dict[str, Any]:
    """The outputs without their places, files read."""
    return {
        name: sorted(entry["basename"] for entry in value["listing"])
        if value["class"] == "Directory"
        else (Path(value["path"]).read_text() if "path" in value else _read(value))
        for name, value in outputs.items()
    }


def _read(value: dict[str, Any]) -> str:
    return Path(value["location"].removeprefix("file://")).read_text()


def test_the_second_run_starts_no_command_and_gives_the_same(place: Place) -> None:
    started, first, _ = place.run()
    assert started == EVERYTHING
    started, second, ended = place.run("again")
    assert (started, ended.reused, ended.run) == ([], 5, 1)  # the ExpressionTool
    assert contents(first) == contents(second)
    assert contents(second)["joined"].startswith("A\nB\nC\n")
    Path(second["joined"]["location"].removeprefix("file://")).write_text("edited")  # the user's own copy
    assert place.run("third")[0] == []
    started, third, _ = place.run("fourth", reuse=False)
    assert (started, contents(third)) == (EVERYTHING, contents(first))


def test_an_edit_runs_only_the_step_and_what_it_changes(place: Place) -> None:
    place.run()
    place.edit("wc -c", "wc -l")
    assert place.run()[0] == ["length"]
    place.edit("echo upper", "echo upper >> /dev/null; echo upper")  # another tool with the same results
    assert place.run()[0] == ["upper"] * 3


def test_comments_names_and_the_place_of_a_document_do_not_count(place: Place) -> None:
    place.run()
    place.edit("class: Workflow\n", "class: Workflow\n# a comment\nlabel: A label\n")
    moved = place.folder / "moved"
    moved.mkdir()
    place.document = place.document.rename(moved / "other.cwl")
    assert place.run()[0] == []


def test_an_input_of_the_same_name_and_size_but_other_content_runs_what_reads_it(place: Place) -> None:
    place.run()
    (place.folder / "data/b").write_text("x\n")
    started, outputs, _ = place.run()
    assert started == ["join", "length", "upper"]
    assert contents(outputs)["joined"].startswith("A\nX\nC\n")


def test_work_reuse_false_runs_again(place: Place) -> None:
    place.edit("enableReuse: true", "enableReuse: false")
    place.run()
    assert place.run()[0] == ["length"]


def test_cachedir_is_relative_to_where_the_command_was_called(place: Place) -> None:
    place.run(reuse=False, cachedir="cache")
    assert list((place.folder / "cache").glob("*/*.done"))
    assert place.run(reuse=False, cachedir="cache")[0] == []
    assert not (place.folder / "home/reuse").exists()


def test_runs_at_the_same_time_give_whole_results(place: Place) -> None:
    log = place.folder / "log"
    for round in range(2):
        log.write_text("")
        runs = [_start(place, f"out{round}{number}") for number in range(4)]
        results = [run.communicate(timeout=120) for run in runs]
        assert [run.returncode for run in runs] == [0] * 4, results
        found = [contents(json.loads(out)) for out, _ in results]
        assert all(one == found[0] for one in found)
        assert found[0]["joined"].startswith("A\nB\nC\n")
    assert log.read_text() == ""
    assert len(list((place.folder / "home/reuse").glob("*/*.done"))) == 5


def _start(place: Place, outdir: str) -> "subprocess.Popen[str]":
    code = "from cwlbalsam.cli.main import main; main()"
    arguments = ["run", "--reuse", "--quiet", "--outdir", outdir, str(place.document), str(place.job)]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=place.folder,
        env=os.environ | {"CWLBALSAM_HOME": str(place.folder / "home"), "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
