"""Which container engine a run uses, if any."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from cwlbalsam.cwl.records import Program, ToolProcess
from cwlbalsam.cwl.tasks import Settings, Task
from cwlbalsam.errors import UnsupportedError, UserError
from cwlbalsam.service.options import AUTO, NO_ENGINE, RunOptions


def choose_engine(program: Program, options: RunOptions, values: Mapping[str, Any]) -> str:
    """The container engine, looked for only if a tool wants one. values: the job order.

    Raises UnsupportedError where --no-container meets a tool that requires one, UserError where no engine works.
    """
    tools = [process for process in program.processes if isinstance(process, ToolProcess)]
    wanting = [tool.requirements.docker for tool in tools if tool.requirements.docker is not None]
    required = next((docker for docker in wanting if docker.required), None)
    if options.engine == NO_ENGINE:
        if required is not None:
            _bind_inputs(program, values)
            message = "a tool requires a container, and --no-container forbids it"
            raise UnsupportedError(message, place=required.place)
        return ""
    if not wanting and not (options.default_container and tools):
        return ""
    from cwlbalsam.sites.containers import find_engine

    engine = find_engine("" if options.engine == AUTO else options.engine)
    if not engine and (required is not None or options.default_container):
        hint = "install podman, docker, apptainer or udocker, or ask for another one by --podman, --docker, ..."
        raise UserError("a tool requires a container, and no container engine works here", hint=hint)
    return engine


def _bind_inputs(program: Program, values: Mapping[str, Any]) -> None:
    """Wrong inputs are told before what is not supported: that would fail everywhere. Raises JobError."""
    from cwlbalsam.cwl.execution import prepare

    inputs = {name: Raw(msgspec.msgpack.encode(value)) for name, value in values.items()}
    with tempfile.TemporaryDirectory(prefix="cwlbalsam-") as folder:
        directory = str(Path(folder, "job"))
        task = Task(job=0, mode="bind", program="", process=program.main, inputs=inputs, directory=directory, top=True)
        prepare(program, task, Settings(), folder)
