"""A job as a worker runs it, without the worker: prepare, start, wait, collect."""

import subprocess
from pathlib import Path
from typing import Any

import msgspec

from cwlbalsam.cwl.execution import Prepared, prepare
from cwlbalsam.cwl.expressions import compile_template
from cwlbalsam.cwl.records import (
    ArrayType,
    Field,
    OutputBinding,
    Primitive,
    Process,
    Program,
    Requirements,
    ToolProcess,
    Type,
    UnionType,
)
from cwlbalsam.cwl.tasks import Settings, Task

FILE, DIRECTORY, STRING, INT = (Primitive(name=name) for name in ("File", "Directory", "string", "int"))
ANY, BOOLEAN, DOUBLE, NULL = (Primitive(name=name) for name in ("Any", "boolean", "double", "null"))
FILES = ArrayType(items=FILE)
SETTINGS = Settings(javascript_seconds=10)


def optional(kind: Type) -> UnionType:
    return UnionType(options=(NULL, kind))


def tool(*, inputs: tuple[Field, ...] = (), outputs: tuple[Field, ...] = (), **more: Any) -> ToolProcess:
    return ToolProcess(id="tool", version=more.pop("version", "v1.2"), inputs=inputs, outputs=outputs, **more)


def output(name: str, kind: Type, *glob: str, **more: Any) -> Field:
    """An output; what is given as text may hold expressions."""
    binding = {key: more.pop(key) for key in ("load_contents", "load_listing") if key in more}
    if "output_eval" in more:
        binding["output_eval"] = compile_template(more.pop("output_eval"))
    return Field(name=name, type=kind, output=OutputBinding(glob=tuple(map(compile_template, glob)), **binding), **more)


def start(
    process: Process,
    inputs: dict[str, Any],
    directory: Path,
    *,
    settings: Settings = SETTINGS,
    program: Program | None = None,
    **task: Any,
) -> Prepared:
    tmpdir = directory / "tmp"
    tmpdir.mkdir(parents=True, exist_ok=True)
    program = program or Program(uri="test", main=0, processes=(process,))
    return prepare(
        program,
        Task(
            job=1,
            program="",
            process=task.pop("index", 0),
            inputs=encoded(inputs),
            previous=encoded(task.pop("previous", {})),
            directory=str(directory / "job"),
            **task,
        ),
        settings,
        str(tmpdir),
    )


def encoded(values: dict[str, Any]) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(msgspec.msgpack.encode(value)) for name, value in values.items()}


def run(process: ToolProcess, inputs: dict[str, Any], directory: Path, **more: Any) -> dict[str, Any]:
    """Outputs of a job that is expected to work."""
    prepared = start(process, inputs, directory, **more)
    ending, outputs, error = finish(prepared)
    assert ending == "done", error
    return outputs


def finish(prepared: Prepared) -> tuple[str, dict[str, Any], str]:
    command = prepared.command
    assert command is not None
    stdout = open(command.stdout, "wb") if command.stdout else subprocess.DEVNULL  # noqa: SIM115, PTH123
    stdin = open(command.stdin, "rb") if command.stdin else subprocess.DEVNULL  # noqa: SIM115, PTH123
    try:
        done = subprocess.run(
            command.argv, cwd=command.cwd, env=command.environment, stdin=stdin, stdout=stdout, check=False
        )
    finally:
        for stream in (stdout, stdin):
            if not isinstance(stream, int):
                stream.close()
    return prepared.collect(done.returncode)


def bash(script: str, **more: Any) -> ToolProcess:
    """A tool that runs a script of /bin/sh; `$(...)` of CWL in it must not be meant."""
    return tool(base_command=("/bin/sh", "-c", script), **more)


def needing(**requirements: Any) -> Requirements:
    return Requirements(javascript=True, **requirements)
