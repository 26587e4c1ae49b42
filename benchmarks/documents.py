"""The CWL documents and inputs of the experiments."""

import json
import os
from pathlib import Path
from typing import Any

from msgspec import Struct

Document = dict[str, Any]

SCATTER = {"class": "ScatterFeatureRequirement"}
SUBWORKFLOW = {"class": "SubworkflowFeatureRequirement"}
JAVASCRIPT = {"class": "InlineJavascriptRequirement"}

ECHO: Document = {
    "cwlVersion": "v1.2",
    "class": "CommandLineTool",
    "baseCommand": "echo",
    "inputs": {"word": {"type": "string", "inputBinding": {}}},
    "stdout": "$(inputs.word).txt",
    "outputs": {"out": "stdout"},
}
CAT: Document = {
    "cwlVersion": "v1.2",
    "class": "CommandLineTool",
    "baseCommand": "cat",
    "inputs": {"data": {"type": "File", "inputBinding": {}}},
    "stdout": "out.txt",
    "outputs": {"out": "stdout"},
}
DOUBLE: Document = {
    "cwlVersion": "v1.2",
    "class": "ExpressionTool",
    "requirements": [JAVASCRIPT],
    "inputs": {"n": "int"},
    "expression": "${return {out: inputs.n * 2};}",
    "outputs": {"out": "int"},
}
NOTHING: Document = {
    "cwlVersion": "v1.2",
    "class": "CommandLineTool",
    "baseCommand": "true",
    "inputs": {"n": "int"},
    "outputs": {"out": "int"},
}
PASS_ON: Document = {
    "cwlVersion": "v1.2",
    "class": "CommandLineTool",
    "requirements": {"InitialWorkDirRequirement": {"listing": ["$(inputs.data)"]}},
    "baseCommand": "true",
    "inputs": {"data": "File"},
    "outputs": {"out": {"type": "File", "outputBinding": {"glob": "$(inputs.data.basename)"}}},
}
COUNT: Document = {
    "cwlVersion": "v1.2",
    "class": "CommandLineTool",
    "baseCommand": "echo",
    "inputs": {"files": "File[]"},
    "arguments": ["$(inputs.files.length)"],
    "stdout": "count.txt",
    "outputs": {"out": "stdout"},
}
SPLIT: Document = {
    "cwlVersion": "v1.2",
    "class": "CommandLineTool",
    "baseCommand": ["sh", "-c", 'mkdir parts && seq 1 "$0" | split -l 1 -a 6 - parts/'],
    "inputs": {"n": {"type": "int", "inputBinding": {}}},
    "outputs": {"out": {"type": "Directory", "outputBinding": {"glob": "parts"}}},
}


class Files(Struct, frozen=True):
    """A document and its job order, as files."""

    document: Path
    inputs: Path | None = None

    @property
    def arguments(self) -> list[Path]:
        """Of a command line."""
        return [path for path in (self.document, self.inputs) if path is not None]


def write_echo(folder: Path) -> Files:
    """One command, no workflow."""
    return _write(folder, ECHO, {"word": "hello"})


def write_scatter(folder: Path, jobs: int) -> Files:
    """One command for each of many words."""
    _keep(folder / "tool.cwl", ECHO)
    step = {"run": "tool.cwl", "scatter": "word", "in": {"word": "words"}, "out": ["out"]}
    workflow = _workflow({"words": "string[]"}, {"each": step}, ("File[]", "each/out"), [SCATTER])
    return _write(folder, workflow, {"words": _words(jobs)})


def write_nested(folder: Path, jobs: int) -> Files:
    """Scatters of 1,000 commands (of jobs / 2, if there are fewer) in a scatter."""
    inner = min(1000, max(1, jobs // 2))
    write_scatter(folder, inner)
    (folder / "workflow.cwl").rename(folder / "inner.cwl")
    step = {"run": "inner.cwl", "scatter": "words", "in": {"words": "lists"}, "out": ["out"]}
    lists = {"type": "array", "items": {"type": "array", "items": "string"}}
    files = {"type": "array", "items": {"type": "array", "items": "File"}}
    workflow = _workflow({"lists": {"type": lists}}, {"outer": step}, (files, "outer/out"), [SCATTER, SUBWORKFLOW])
    words = _words(inner * (jobs // inner))
    return _write(folder, workflow, {"lists": [words[at : at + inner] for at in range(0, len(words), inner)]})


def write_expressions(folder: Path, jobs: int) -> Files:
    """One JavaScript ExpressionTool for each of many numbers."""
    _keep(folder / "tool.cwl", DOUBLE)
    step = {"run": "tool.cwl", "scatter": "n", "in": {"n": "numbers"}, "out": ["out"]}
    workflow = _workflow({"numbers": "int[]"}, {"each": step}, ("int[]", "each/out"), [SCATTER, JAVASCRIPT])
    return _write(folder, workflow, {"numbers": list(range(jobs))})


def write_nothing(folder: Path, jobs: int) -> Files:
    """A tool that has no output files for each of many numbers: for workers that start no process."""
    _keep(folder / "tool.cwl", NOTHING)
    step = {"run": "tool.cwl", "scatter": "n", "in": {"n": "numbers"}, "out": ["out"]}
    workflow = _workflow({"numbers": "int[]"}, {"each": step}, ("int[]", "each/out"), [SCATTER])
    return _write(folder, workflow, {"numbers": list(range(jobs))})


def write_crossing(folder: Path, jobs: int) -> Files:
    """A scatter each of whose jobs reads all that another scatter has made."""
    _keep(folder / "tool.cwl", DOUBLE)
    total = DOUBLE | {"inputs": {"n": "int", "all": "int[]"}, "expression": "${return {out: inputs.all[inputs.n]};}"}
    _keep(folder / "total.cwl", total)
    steps = {
        "each": {"run": "tool.cwl", "scatter": "n", "in": {"n": "numbers"}, "out": ["out"]},
        "pick": {"run": "total.cwl", "scatter": "n", "in": {"n": "numbers", "all": "each/out"}, "out": ["out"]},
    }
    workflow = _workflow({"numbers": "int[]"}, steps, ("int[]", "pick/out"), [SCATTER, JAVASCRIPT])
    return _write(folder, workflow, {"numbers": list(range(jobs))})


def write_chain(folder: Path, jobs: int, tool: Document = CAT, name: str = "first.txt") -> Files:
    """Commands each of which reads what the one before has made."""
    _keep(folder / "tool.cwl", tool)
    if not (folder / name).exists():
        (folder / name).write_text("hello\n")
    steps = {}
    for number in range(jobs):
        source = f"step{number - 1}/out" if number else "data"
        steps[f"step{number}"] = {"run": "tool.cwl", "in": {"data": source}, "out": ["out"]}
    workflow = _workflow({"data": "File"}, steps, ("File", f"step{jobs - 1}/out"), [])
    return _write(folder, workflow, {"data": {"class": "File", "path": name}})


def write_passthrough(folder: Path, steps: int, mebibytes: int) -> Files:
    """One big file that every step hands on as it is."""
    path = folder / "big.bin"
    with path.open("wb") as file:
        block = os.urandom(1 << 20)
        for _ in range(mebibytes):
            file.write(block)
    return write_chain(folder, steps, PASS_ON, path.name)


def write_packed_chain(folder: Path, jobs: int) -> Files:
    """The chain in one file."""
    files = write_chain(folder, jobs)
    workflow = json.loads(files.document.read_text())
    version = workflow.pop("cwlVersion")
    for step in workflow["steps"].values():
        step["run"] = "#tool"
    tool = {key: value for key, value in CAT.items() if key != "cwlVersion"} | {"id": "tool"}
    _keep(files.document, {"cwlVersion": version, "$graph": [tool, workflow | {"id": "main"}]})
    return files


def write_reduce(folder: Path, jobs: int) -> Files:
    """A scatter, and one command that takes all its files."""
    _keep(folder / "tool.cwl", ECHO)
    _keep(folder / "count.cwl", COUNT)
    steps = {
        "each": {"run": "tool.cwl", "scatter": "word", "in": {"word": "words"}, "out": ["out"]},
        "count": {"run": "count.cwl", "in": {"files": "each/out"}, "out": ["out"]},
    }
    workflow = _workflow({"words": "string[]"}, steps, ("File", "count/out"), [SCATTER])
    return _write(folder, workflow, {"words": _words(jobs)})


def write_directory(folder: Path, jobs: int) -> Files:
    """One command that makes a directory of many files."""
    return _write(folder, SPLIT, {"n": jobs})


def keep_workflow(folder: Path, steps: Document) -> Files:
    """Steps that need nothing and leave nothing."""
    workflow = {"cwlVersion": "v1.2", "class": "Workflow", "inputs": {}, "steps": steps, "outputs": {}}
    _keep(folder / "workflow.cwl", workflow | {"$namespaces": {"cwltool": "http://commonwl.org/cwltool#"}})
    return Files(folder / "workflow.cwl")


def _words(count: int) -> list[str]:
    return [f"w{number}" for number in range(count)]


def _workflow(
    inputs: Document, steps: Document, output: tuple[str | Document, str], requirements: list[Document]
) -> Document:
    return {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "requirements": requirements,
        "inputs": inputs,
        "steps": steps,
        "outputs": {"out": {"type": output[0], "outputSource": output[1]}},
    }


def _write(folder: Path, document: Document, inputs: Document) -> Files:
    _keep(folder / "workflow.cwl", document)
    _keep(folder / "inputs.json", inputs)
    return Files(folder / "workflow.cwl", folder / "inputs.json")


def _keep(path: Path, content: Document) -> None:
    path.write_text(json.dumps(content, indent=1))
