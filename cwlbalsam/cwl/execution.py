"""One job from its task to a command, and from the command's exit code to outputs."""

import os
from typing import Any, Literal

import msgspec
from msgspec import Struct

from cwlbalsam.cwl.binding import command_line, uses_raw_shell
from cwlbalsam.cwl.environment import job_environment, mpi_prefix, network_allowed, time_limit
from cwlbalsam.cwl.expression_tool import run_expression
from cwlbalsam.cwl.frame import Frame, wrong
from cwlbalsam.cwl.inputs import bind_inputs, fill_and_check
from cwlbalsam.cwl.outputs import collect_outputs
from cwlbalsam.cwl.prologue import apply_links, is_wanted
from cwlbalsam.cwl.records import (
    CommandProcess,
    Docker,
    ExpressionProcess,
    OperationProcess,
    Program,
    Step,
    Template,
    ToolProcess,
    WorkflowProcess,
)
from cwlbalsam.cwl.resources import evaluate_grant, runtime_of, static_grant
from cwlbalsam.cwl.reuse import Claim, Taken, claim_for
from cwlbalsam.cwl.secrets import hide, secret_texts, without_secrets
from cwlbalsam.cwl.staging import OUTDIR_IN_CONTAINER, Mount, Stage, below
from cwlbalsam.cwl.tasks import Ending, Grant, Settings, Task
from cwlbalsam.cwl.values import strip_paths
from cwlbalsam.cwl.workdir import stage_workdir
from cwlbalsam.errors import JobError

__all__ = ["Command", "ContainerSpec", "Mount", "Prepared", "prepare", "static_grant"]

_UNKNOWN_GRANT = Grant()


class ContainerSpec(Struct):
    """The container a command runs in. workdir and environment are those inside. devices: the GPUs that it sees; (): if
    it sees any at all, then all."""

    docker: Docker
    mounts: tuple[Mount, ...]
    workdir: str
    network: bool
    environment: dict[str, str]
    gpus: int = 0
    devices: tuple[str, ...] = ()


class Command(Struct):
    """A process to start. Paths are the host's; "" for stdin, stdout and stderr: not redirected."""

    argv: list[str]
    environment: dict[str, str]
    cwd: str
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    time_limit: float = 0.0
    container: ContainerSpec | None = None
    is_script: bool = False  # it starts MPI programs itself


class Prepared:
    """A job that has ended without a command (`ending` is set), or one whose command is to be run.

    taken: the earlier result that a job ended with.
    """

    __slots__ = ("_claim", "_frame", "_log", "_secrets", "_stage", "command", "ending", "outputs", "taken")

    def __init__(
        self,
        ending: Literal["done", "skipped"] | None,
        outputs: dict[str, Any],
        command: Command | None = None,
        frame: Frame | None = None,
        stage: Stage | None = None,
    ) -> None:
        self.ending = ending
        self.outputs = outputs
        self.command = command
        self._frame = frame
        self._stage = stage
        self._secrets: list[str] = []
        self._claim: Claim | None = None
        self._log = ""
        self.taken: Taken | None = None

    def hide(self, text: str) -> str:
        """The text without the values of secret inputs."""
        return hide(text, self._secrets)

    def collect(self, exit_code: int) -> tuple[Ending, dict[str, Any], str]:
        """What the job ends with, now that its command has: ending, outputs, error message."""
        frame, stage = self._frame, self._stage
        if frame is None or stage is None or not isinstance(frame.process, ToolProcess):
            raise ValueError("this job has no command to collect from")
        ending = ending_of(frame.process, exit_code)
        if ending != "done":
            return ending, {}, f"the command ended with {_describe_exit(exit_code)}"
        if frame.version != "v1.0":
            frame.runtime["exitCode"] = exit_code
        try:
            outputs = collect_outputs(frame, stage)
        except JobError as error:
            return "failed", {}, hide(str(error), self._secrets)
        except (OSError, RecursionError) as error:
            return "failed", {}, hide(f"cannot collect the outputs: {error}", self._secrets)
        if self._claim is not None:
            self._claim.keep(outputs, exit_code, self._log)
        return "done", outputs, ""


def ending_of(process: ToolProcess, exit_code: int) -> Ending:
    """What an exit code means to a tool."""
    if exit_code in process.success_codes:
        return "done"
    if exit_code in process.temporary_fail_codes:
        return "temporary"
    if exit_code in process.permanent_fail_codes:
        return "failed"
    return "failed" if exit_code else "done"


def _describe_exit(code: int) -> str:
    if code < 0:
        return f"signal {-code}"
    return f"exit code {code}"


# --- preparation ---------------------------------------------------------------------------------------------------


def prepare(program: Program, task: Task, settings: Settings, tmpdir: str) -> Prepared:
    """Everything before the command starts. Raises JobError.

    tmpdir: an existing empty folder, lent to the job.
    """
    process = program.processes[task.process]
    if isinstance(process, CommandProcess):
        from cwlbalsam.cwl.command_execution import prepare_command

        return prepare_command(task, settings, tmpdir)
    values: dict[str, Any] = {name: msgspec.msgpack.decode(raw) for name, raw in task.inputs.items()}
    secrets: list[str] = []
    if process.requirements.secrets:
        secrets = secret_texts(process, values)
    try:
        prepared = _prepare(program, task, values, settings, tmpdir)
    except JobError as error:
        if not secrets:
            raise
        raise without_secrets(error, secrets) from None
    except (OSError, RecursionError) as error:
        raise JobError(hide(f"cannot prepare the job: {error}", secrets)) from error
    prepared._secrets = secrets
    return prepared


def _prepare(program: Program, task: Task, values: dict[str, Any], settings: Settings, tmpdir: str) -> Prepared:
    process = program.processes[task.process]
    if task.step is not None:
        step = _step_of(program, task.step)
        previous = None
        if task.loop:
            previous = {name: msgspec.msgpack.decode(raw) for name, raw in task.previous.items()}
        values = apply_links(step, values, previous, settings)
        if not is_wanted(step, values, settings):
            return Prepared("skipped", {field.name: None for field in process.outputs})
        if task.mode == "prologue":
            strip_paths(values)
            return Prepared("done", values)
    frame = Frame(process, {}, {}, settings)
    frame.devices = task.devices
    frame.inputs = fill_and_check(process, values, frame.defaulted)
    if isinstance(process, OperationProcess) and task.mode == "run":
        raise JobError(f"'{process.id}' is an Operation: it has no implementation to run", place=process.place)
    bind_inputs(frame, task.top, program.ontology, os.path.dirname(task.directory) + "/downloads")
    if task.mode == "bind" or isinstance(process, WorkflowProcess):
        strip_paths(frame.inputs)
        return Prepared("done", frame.inputs)
    if task.mode == "size":
        return Prepared("done", msgspec.to_builtins(_grant(frame)))
    frame.runtime.update(runtime_of(task.grant if task.grant != _UNKNOWN_GRANT else _grant(frame)))
    if isinstance(process, ToolProcess):
        docker = container_for(process, settings)
        claim = claim_for(program, frame, docker) if settings.reuse_folder else None
        if claim is not None and (taken := claim.take_over()) is not None:
            prepared = Prepared("done", taken.outputs)
            prepared.taken = taken
            return prepared
        return _prepare_tool(frame, process, docker, task, tmpdir, claim)
    assert isinstance(process, ExpressionProcess)
    return Prepared("done", run_expression(frame, process, task.directory))


def _step_of(program: Program, place: tuple[int, int]) -> Step:
    workflow = program.processes[place[0]]
    if not isinstance(workflow, WorkflowProcess):
        raise ValueError(f"process {place[0]} is no workflow")
    return workflow.steps[place[1]]


def _grant(frame: Frame) -> Grant:
    grant = static_grant(frame.process)
    return grant if grant is not None else evaluate_grant(frame)


def _prepare_tool(
    frame: Frame, process: ToolProcess, docker: Docker | None, task: Task, tmpdir: str, claim: Claim | None
) -> Prepared:
    settings = frame.settings
    outdir = task.directory if claim is None else claim.directory
    seen_outdir = None if docker is None else docker.output_directory or OUTDIR_IN_CONTAINER
    stage = Stage(outdir, tmpdir, seen_outdir)
    stage.only_safe_names = uses_raw_shell(process) and not settings.relax_path_checks
    frame.runtime["outdir"] = stage.seen_outdir
    frame.runtime["tmpdir"] = stage.seen_tmpdir
    make_directory(outdir)
    stage.stage_inputs(frame.inputs)
    stage_workdir(frame, stage)
    command = Command(
        argv=mpi_prefix(frame, task.launch) + command_line(frame, process),
        environment=job_environment(frame, stage.outdir, stage.tmpdir),
        cwd=outdir,
        stdin=_stdin(frame, process, stage),
        stdout=_redirection(frame, stage, process.stdout, "stdout"),
        stderr=_redirection(frame, stage, process.stderr, "stderr"),
        time_limit=time_limit(frame) * task.time_factor,
    )
    if docker is not None:
        command.container = _container(frame, stage, docker)
    if not command.argv:
        raise JobError(
            f"'{process.id}' has neither baseCommand nor arguments: there is no command", place=process.place
        )
    prepared = Prepared(None, {}, command, frame, stage)
    if claim is not None:
        make_directory(os.path.dirname(task.directory))  # of the log
        prepared._claim = claim if claim.covers(stage) else None
        prepared._log = task.directory + ".log"
    return prepared


def container_for(process: ToolProcess, settings: Settings) -> Docker | None:
    """The container to run in; None for none. Raises JobError if one is required and there is no engine."""
    docker = process.requirements.docker
    if docker is None:
        if settings.default_container and settings.engine:
            return Docker(pull=settings.default_container)
        return None
    if settings.engine:
        return docker
    if docker.required:
        raise JobError(
            "a container is required, but there is no container engine to run it",
            place=docker.place,
            hint="install podman, docker, apptainer or udocker, or choose one with --engine",
        )
    return None


def _container(frame: Frame, stage: Stage, docker: Docker) -> ContainerSpec:
    base = [Mount(stage.outdir, stage.seen_outdir, True), Mount(stage.tmpdir, stage.seen_tmpdir, True)]
    cuda = frame.requirements.cuda
    return ContainerSpec(
        docker=docker,
        mounts=tuple(base + stage.mounts),
        workdir=stage.seen_outdir,
        network=network_allowed(frame),
        environment=job_environment(frame, stage.seen_outdir, stage.seen_tmpdir, contained=True),
        gpus=frame.runtime.get("cudaDeviceCount", 1) if cuda is not None else 0,
        devices=frame.devices,
    )


def make_directory(path: str) -> None:
    try:
        os.mkdir(path)
    except FileNotFoundError:
        os.makedirs(path, exist_ok=True)
    except FileExistsError:
        pass


def _stdin(frame: Frame, process: ToolProcess, stage: Stage) -> str:
    if process.stdin is None:
        return ""
    value = frame.evaluate(process.stdin)
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        raise wrong("'stdin'", "a path", value, process.stdin)
    seen = os.path.normpath(os.path.join(stage.seen_outdir, value))
    if stage.origin_of(seen) is None and below(seen, stage.seen_outdir) is None:
        raise JobError(f"stdin {value!r} is neither an input nor in the output directory", place=process.place)
    return stage.to_host(seen)


def _redirection(frame: Frame, stage: Stage, template: Template | None, what: str) -> str:
    """Host path of stdout or stderr."""
    if template is None:
        return ""
    name = frame.text(template, f"'{what}'")
    shortest = os.path.normpath(name)
    if not name or shortest.startswith(("/", "../")) or shortest in {".", ".."} or "\0" in name:
        raise JobError(f"{what} must be the name of a file in the output directory, not {name!r}")
    path = f"{stage.outdir}/{shortest}"
    if "/" in shortest:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    if frame.requirements.workdir and below(os.path.realpath(path), os.path.realpath(stage.outdir)) is None:
        raise JobError(f"{what} {name!r} would be written into an input that is linked into the output directory")
    return path
