"""What other runners are known to get wrong."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.parser.compile import compile_document
from cwlbalsam.parser.fetching import RecordingFetcher
from cwlbalsam.parser.options import CompileOptions
from cwlbalsam.service.documents import pack_document
from cwlbalsam.service.options import RunOptions
from tests.end_to_end.workplace import Workplace

COPY = """
cwlVersion: v1.2
class: CommandLineTool
requirements: {InlineJavascriptRequirement: {}}
baseCommand: cp
inputs:
  file: {type: File, inputBinding: {position: 1}}
arguments: [{valueFrom: "$(inputs.file.basename).#copy", position: 2}]
outputs:
  copy: {type: File, outputBinding: {glob: "*.#copy"}}
"""


def file(path: Path) -> dict[str, str]:
    return {"class": "File", "path": str(path)}


def sh(script: str, outputs: str, *, inputs: str = "{}", more: str = "") -> str:
    """A tool that runs a shell script of one line."""
    return (
        f"cwlVersion: v1.2\nclass: CommandLineTool\ninputs: {inputs}\noutputs: {outputs}\n"
        f"baseCommand: [sh, -c]\narguments: [{json.dumps(script)}]\n{more}\n"
    )


# --- names ---


@pytest.mark.parametrize("name", ["a#b.txt", "#", "50%23.txt", "a b?c.txt"])
def test_any_character_works_in_names_of_inputs_outputs_and_folders(place: Workplace, name: str) -> None:
    tool = place.write("to#ols/copy#1.cwl", COPY)
    source = place.write(f"in#puts/{name}", "text")
    outdir = place.folder / f"out#{name}"
    arguments = ["--quiet", "--relax-path-checks", "--outdir", outdir, tool]
    for more in (["--file", source], [place.write("jobs/#.json", json.dumps({"file": file(source)}))]):
        called = place.call(*arguments, *more)
        assert (called.code, called.err) == (0, "")
        assert called.outputs["copy"]["basename"] == f"{name}.#copy"
        assert called.outputs["copy"]["path"] == str(outdir / f"{name}.#copy")
        assert called.outputs["copy"]["location"] == (outdir / f"{name}.#copy").as_uri()
        assert (outdir / f"{name}.#copy").read_text() == "text"


# --- the output directory ---


@pytest.mark.parametrize(
    ("script", "outputs"),
    [
        ("ln -s SECRET out.txt", "{x: {type: File, outputBinding: {glob: out.txt}}}"),
        ("ln -s SECRET out.txt", "{x: {type: File, outputBinding: {glob: '*'}}}"),
        ("mkdir -p d/e && ln -s SECRET d/e/f", "{x: {type: Directory, outputBinding: {glob: d}}}"),
        ("ln -s FOLDER d", "{x: {type: Directory, outputBinding: {glob: d}}}"),
        ("ln -s FOLDER d", "{x: {type: File, outputBinding: {glob: d/secret.txt}}}"),
        (
            """ln -s SECRET f; echo '{"x": {"class": "File", "path": "f"}}' > cwl.output.json""",
            "{x: File}",
        ),
        ("""echo '{"x": {"class": "File", "path": "SECRET"}}' > cwl.output.json""", "{x: File}"),
        (
            """mkdir d; ln -s SECRET d/f; echo '{"x": {"class": "Directory", "path": "d"}}' > cwl.output.json""",
            "{x: Directory}",
        ),
    ],
)
def test_a_link_out_of_the_output_directory_is_refused(place: Workplace, script: str, outputs: str) -> None:
    secret = place.write("elsewhere/secret.txt", "private")
    script = script.replace("SECRET", str(secret)).replace("FOLDER", str(secret.parent))
    result = place.run(place.write("tool.cwl", sh(script, outputs)))
    assert result.exit_code == 1
    assert "is neither in the output directory nor an input of this job" in result.failures[0].error
    assert secret.read_text() == "private"
    assert not any("private" in path.read_text() for path in place.out.rglob("*") if path.is_file())


def test_a_link_to_an_input_is_that_input(place: Workplace) -> None:
    source = place.write("given.txt", "text")
    outputs = "{x: {type: File, outputBinding: {glob: link}}}"
    script = sh("ln -s $0 link", outputs, inputs="{given: {type: File, inputBinding: {}}}")
    assert place.outputs(place.write("tool.cwl", script), {"given": file(source)})["x"]["size"] == 4
    assert (place.out / "link").read_text() == "text"
    assert source.read_text() == "text"


def test_a_large_cwl_output_json_is_read(place: Workplace) -> None:
    script = """(printf '{"x": ["'; head -c 300000 /dev/zero | tr '\\\\0' y; printf '"]}') > cwl.output.json"""
    outputs = place.outputs(place.write("tool.cwl", sh(script.replace("\\\\", "\\"), "{x: 'string[]'}")))
    assert outputs == {"x": ["y" * 300_000]}


@pytest.mark.parametrize("kind", ["File", "Directory"])
def test_scattered_outputs_of_one_basename_all_survive(place: Workplace, kind: str) -> None:
    script = "echo $0 > same.txt" if kind == "File" else "mkdir same.txt; echo $0 > same.txt/content"
    outputs = f"{{x: {{type: {kind}, outputBinding: {{glob: same.txt}}}}}}"
    place.write("tool.cwl", sh(script, outputs, inputs="{word: {type: string, inputBinding: {}}}"))
    workflow = f"""
cwlVersion: v1.2
class: Workflow
requirements: {{ScatterFeatureRequirement: {{}}}}
inputs: {{words: 'string[]'}}
steps: {{say: {{run: tool.cwl, scatter: word, in: {{word: words}}, out: [x]}}}}
outputs: {{all: {{type: '{kind}[]', outputSource: say/x}}}}
"""
    words = [f"word{number}" for number in range(20)]
    found = place.outputs(place.write("wf.cwl", workflow), {"words": words})["all"]
    assert len({entry["location"] for entry in found}) == 20
    paths = [Path(entry["path"]) for entry in found]
    contents = [(path / "content" if kind == "Directory" else path).read_text().strip() for path in paths]
    assert contents == words


# --- failures ---

PIPE = """
cwlVersion: v1.2
class: Workflow
inputs: {}
steps:
  make: {run: make.cwl, in: {}, out: [x]}
  bad: {run: bad.cwl, in: {file: make/x}, out: [x]}
  use: {run: use.cwl, in: {file: bad/x}, out: [x]}
  aside: {run: make.cwl, in: {}, out: [x]}
outputs:
  end: {type: File?, outputSource: use/x}
  aside: {type: File, outputSource: aside/x}
"""


@pytest.mark.parametrize("on_error", ["stop", "continue"])
@pytest.mark.parametrize("script", ["cat $0; exit 3", "cat $0 > o.txt; kill -9 $$"])
def test_a_failing_command_in_a_pipe_never_ends_in_success(place: Workplace, on_error: str, script: str) -> None:
    one = "{x: {type: File?, outputBinding: {glob: o.txt}}}"
    place.write("make.cwl", sh("echo hello > o.txt", "{x: {type: File, outputBinding: {glob: o.txt}}}"))
    taking = "{file: {type: File?, inputBinding: {}}}"
    place.write("bad.cwl", sh(script, one, inputs=taking, more="successCodes: [0, 4]"))
    place.write("use.cwl", sh("cat $0 > o.txt", one, inputs=taking))
    called = place.call("--on-error", on_error, place.write("wf.cwl", PIPE))
    assert called.code == 1
    assert "bad" in called.err
    assert called.outputs["end"] is None
    assert on_error == "stop" or called.outputs["aside"]["size"] == 6


# --- versions, formats, requirements ---

OLD = """
cwlVersion: v1.0
class: CommandLineTool
requirements: {InlineJavascriptRequirement: {}}
inputs:
  folder: Directory
baseCommand: "true"
outputs:
  ram: {type: long, outputBinding: {outputEval: $(runtime.ram)}}
  deep: {type: string, outputBinding: {outputEval: "$(inputs.folder.listing[0].listing[0].basename)"}}
"""
CALLER = """
cwlVersion: v1.2
class: Workflow
inputs: {folder: Directory}
steps: {old: {run: old.cwl, in: {folder: folder}, out: [ram, deep]}}
outputs:
  ram: {type: long, outputSource: old/ram}
  deep: {type: string, outputSource: old/deep}
"""


def test_a_tool_of_an_old_version_keeps_its_defaults_under_a_new_workflow(place: Workplace) -> None:
    place.write("old.cwl", OLD)
    place.write("folder/inner/leaf", "")
    workflow = place.write("wf.cwl", CALLER)
    folder = {"folder": {"class": "Directory", "path": str(place.folder / "folder")}}
    assert place.outputs(workflow, folder) == {"ram": 1024, "deep": "leaf"}
    requirements = [
        process.requirements for process in compile_document(str(workflow)).program.processes if process.id == "old.cwl"
    ]
    assert [entry.network for entry in requirements] == [True]


def test_a_packed_tool_of_version_1_0_keeps_its_defaults(place: Workplace) -> None:
    place.write("old.cwl", OLD)
    place.write("folder/inner/leaf", "")
    place.write("wf.cwl", CALLER.replace("v1.2", "v1.0"))
    packed = place.write("packed.cwl", pack_document("wf.cwl", RunOptions()))
    assert "$graph" in packed.read_text()
    folder = {"folder": {"class": "Directory", "path": str(place.folder / "folder")}}
    assert place.outputs(packed, folder) == {"ram": 1024, "deep": "leaf"}
    processes = compile_document(str(packed)).program.processes
    assert all(entry.requirements.network for entry in processes)


ONTOLOGY = """
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
<http://example.org/sorted> rdfs:subClassOf <http://example.org/table> .
"""
FORMATTED = """
cwlVersion: v1.2
class: CommandLineTool
$namespaces: {ex: "http://example.org/"}
inputs: {file: {type: File, format: ex:table}}
baseCommand: "true"
outputs: {}
"""


def test_formats_of_one_document_are_unknown_to_the_next(place: Workplace) -> None:
    place.write("ontology.ttl", ONTOLOGY)
    given = {"file": {**file(place.write("a.txt", "")), "format": "http://example.org/sorted"}}
    knowing = place.write("knowing.cwl", FORMATTED + "$schemas: [ontology.ttl]\n")
    ignorant = place.write("ignorant.cwl", FORMATTED)
    assert place.run(knowing, given).exit_code == 0
    result = place.run(ignorant, given)
    assert result.exit_code == 1
    assert "format" in result.failures[0].error
    assert place.run(knowing, given, home=str(place.folder / "another")).exit_code == 0


def test_one_tool_under_two_steps_behaves_by_the_requirements_of_each(place: Workplace) -> None:
    arguments = """['echo "$WORD $0 $1"', $(runtime.cores), $(runtime.ram)]"""
    tool = sh("SCRIPT", "{said: stdout}", more="stdout: said.txt").replace('["SCRIPT"]', arguments)
    place.write("tool.cwl", tool)
    workflow = """
cwlVersion: v1.2
class: Workflow
inputs: {}
steps:
  a:
    run: tool.cwl
    in: {}
    out: [said]
    requirements: {EnvVarRequirement: {envDef: {WORD: left}}, ResourceRequirement: {coresMin: 1, ramMin: 100}}
    hints: {DockerRequirement: {dockerPull: one}}
  b:
    run: tool.cwl
    in: {}
    out: [said]
    requirements: {EnvVarRequirement: {envDef: {WORD: right}}, ResourceRequirement: {coresMin: 1, ramMin: 200}}
    hints: {DockerRequirement: {dockerPull: two}}
  c: {run: tool.cwl, in: {}, out: [said]}
outputs:
  a: {type: File, outputSource: a/said}
  b: {type: File, outputSource: b/said}
  c: {type: File, outputSource: c/said}
"""
    path = place.write("wf.cwl", workflow)
    found = place.outputs(path, engine="none")
    said = {name: Path(entry["path"]).read_text() for name, entry in found.items()}
    assert said == {"a": "left 1 100\n", "b": "right 1 200\n", "c": " 1 256\n"}
    program = compile_document(str(path)).program
    images = [process.requirements.docker for process in program.processes if process.id == "tool.cwl"]
    assert sorted(image.pull if image else "" for image in images) == ["", "one", "two"]


# --- a thousand steps ---


def chain(count: int) -> str:
    steps = "\n".join(
        f"  s{number}: {{run: tool.cwl, in: {{word: {'word' if not number else f's{number - 1}/word'}}}, out: [word]}}"
        for number in range(count)
    )
    return f"""
cwlVersion: v1.2
class: Workflow
inputs: {{word: string}}
steps:
{steps}
outputs: {{word: {{type: string, outputSource: s{count - 1}/word}}}}
"""


def test_a_tool_of_many_steps_is_read_once_and_compiled_once(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write(
        "tool.cwl",
        "{cwlVersion: v1.2, class: ExpressionTool, requirements: {InlineJavascriptRequirement: {}},"
        " inputs: {word: string}, outputs: {word: string}, expression: '$({word: inputs.word})'}",
    )
    path = place.write("wf.cwl", chain(60))
    read: Counter[str] = Counter()
    fetch = RecordingFetcher.fetch_text

    def counted(self: RecordingFetcher, url: str, content_types: Any = None) -> str:
        text = fetch(self, url, content_types)
        if url in self.files:
            read[url.rpartition("/")[2]] += 1
        return text

    monkeypatch.setattr(RecordingFetcher, "fetch_text", counted)
    program = compile_document(str(path), CompileOptions()).program
    assert len(program.processes) == 2
    assert set(read) == {"wf.cwl", "tool.cwl"}
    assert read["tool.cwl"] <= 2  # once for the mark of extensions, from the loader's cache
    packed = place.write("packed.cwl", pack_document("wf.cwl", RunOptions()))
    assert len(compile_document(str(packed)).program.processes) == 2
