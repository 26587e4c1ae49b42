"""What is asked of the pool for a job: a Task."""

from collections.abc import Mapping

from msgspec import Raw

from cwlbalsam.cwl.command_jobs import COMMANDS, grant_of
from cwlbalsam.cwl.records import Process, Program
from cwlbalsam.cwl.resources import static_grant
from cwlbalsam.cwl.tasks import Grant, Task, TaskMode
from cwlbalsam.executor.live import LiveJob
from cwlbalsam.jobs.commands import COMMAND, PORT, Command, decode_command

MODES: dict[str, TaskMode] = {"job": "run", "bind": "bind", "loop": "prologue"}
BOOKKEEPING = Grant(cores=0.0, ram=0.0, tmpdir=0.0, outdir=0.0)


def command_of(job: LiveJob, inputs: Mapping[str, Raw]) -> Command | None:
    """Of a job that is no step of the document."""
    return decode_command(inputs[PORT]) if job.plan.process == COMMAND else None


def known_grant(process: Process, command: Command | None) -> Grant | None:
    """What a job gets, where that does not depend on its inputs."""
    return static_grant(process) if command is None else grant_of(command)


def is_unsized(job: LiveJob) -> bool:
    """Whether a worker has to find out first what the job needs."""
    return job.plan.kind == "job" and job.grant is None


def task_for(
    program: Program,
    job: LiveJob,
    inputs: dict[str, Raw],
    previous: dict[str, Raw],
    *,
    command: Command | None,
    directory: str,
) -> Task:
    """directory: of the job's attempt."""
    plan = job.plan
    unsized = is_unsized(job)
    if command is None:
        digest, process = program.digest, plan.process
        seconds, priority = _limits(program.processes[process])
    else:
        digest, process = COMMANDS.digest, 0
        seconds, priority = command.wall_seconds, command.priority
    return Task(
        job=plan.id,
        attempt=job.attempt,
        mode="size" if unsized else MODES[plan.kind],
        program=digest,
        process=process,
        step=plan.step,
        loop=plan.iteration > 0,
        inputs=inputs,
        previous=previous,
        directory=directory,
        name=plan.name,
        grant=job.grant if job.grant is not None and plan.kind == "job" else BOOKKEEPING,
        fingerprint=b"" if unsized else job.fingerprint,
        top=plan.top,
        wall_seconds=seconds * job.time_factor,
        time_factor=job.time_factor,
        priority=priority,
    )


def _limits(process: Process) -> tuple[float, float]:
    """Seconds that a job takes at most, 0 if nobody knows, and its priority."""
    batch = process.requirements.batch
    limits = (process.requirements.time_limit, batch.wall_seconds if batch is not None else 0.0)
    seconds = min((float(limit) for limit in limits if isinstance(limit, int | float) and limit), default=0.0)
    return seconds, batch.priority if batch is not None else 0.0
