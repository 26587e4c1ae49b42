"""What workers are told: settings made of a run's options, its Program and this machine."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from cwlbalsam.cwl.records import Process, Program, ToolProcess
from cwlbalsam.cwl.tasks import Settings, Task
from cwlbalsam.errors import UnsupportedError, UserError
from cwlbalsam.executor.capacity import Capacity, Machine, detect_machine
from cwlbalsam.executor.pool import WorkerPool
from cwlbalsam.service.options import AUTO, NO_ENGINE, RunOptions, load_mpi_config, preserved_environment

MAX_WORKERS = 16


def make_settings(
    program: Program,
    options: RunOptions,
    values: Mapping[str, Any],
    run: str,
    folder: Path,
    here: Sequence[Process],
) -> Settings:
    """here: what may run on this machine.

    Raises UserError if a tool requires a container and there can be none; inputs are checked before that.
    """
    mpi = load_mpi_config(options.mpi_config_file)
    settings = Settings(
        run=run,
        engine_binary=options.engine_command,
        pull=options.pull,
        default_container=options.default_container if options.engine != NO_ENGINE else "",
        compute_checksum=options.compute_checksum,
        relax_path_checks=options.relax_path_checks,
        javascript_seconds=options.eval_timeout,
        environment=preserved_environment(options),
        path=os.environ.get("PATH", os.defpath),
        mpi_command=mpi.command,
        mpi_environment=mpi.environment() if _uses_mpi(program) else {},
    )
    try:
        engine = choose_engine(here, options)
    except UserError:
        _check_inputs(program, values, settings, folder)  # a mistake in the inputs is told first
        raise
    return msgspec.structs.replace(settings, engine=engine)


def worker_pool(
    options: RunOptions, settings: Settings, folder: Path, programs: Mapping[str, bytes], *, journalled: bool
) -> WorkerPool:
    """The workers of this machine. folder: of the run. journalled: not if there are secrets, which no journal masks."""
    capacity = Capacity(choose_machine(options, folder))
    journals = folder / "journals"
    journals.mkdir(exist_ok=True)
    return WorkerPool(
        options.workers or max(1, min(int(capacity.machine.cores), MAX_WORKERS)),
        settings,
        programs.__getitem__,
        capacity=capacity,
        scratch=folder,
        journals=journals if journalled else None,
    )


def choose_machine(options: RunOptions, folder: Path) -> Machine:
    """What a run may take of this machine. folder: where its jobs run."""
    machine = detect_machine(folder)
    return Machine(
        cores=options.cores or machine.cores,
        ram=options.ram or machine.ram,
        tmpdir=machine.tmpdir,
        gpus=machine.gpus,
        jobs=options.parallel_max or machine.jobs,
        devices=machine.devices,
    )


def _uses_mpi(program: Program) -> bool:
    return any(process.requirements.mpi is not None for process in program.processes)


def choose_engine(processes: Iterable[Process], options: RunOptions) -> str:
    """The container engine, looked for only if a tool wants one; empty: run without containers.

    Raises UserError if a tool requires one and there is none.
    """
    tools = [process for process in processes if isinstance(process, ToolProcess)]
    wanting = [tool.requirements.docker for tool in tools if tool.requirements.docker is not None]
    required = next((docker for docker in wanting if docker.required), None)
    if options.engine == NO_ENGINE:
        if required is not None:
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


def _check_inputs(program: Program, values: Mapping[str, Any], settings: Settings, folder: Path) -> None:
    """All that a worker would check of the run's inputs before anything starts."""
    from cwlbalsam.cwl.execution import prepare

    inputs = {name: Raw(msgspec.msgpack.encode(value)) for name, value in values.items()}
    directory = str(folder / "jobs" / "0")
    task = Task(job=0, mode="bind", program="", process=program.main, inputs=inputs, directory=directory, top=True)
    prepare(program, task, settings, "")
