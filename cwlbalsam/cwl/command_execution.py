"""Jobs that are no step of a document: a command runs where and as its user says."""

import os
from typing import Any

from cwlbalsam.cwl.environment import device_variables
from cwlbalsam.cwl.execution import Command, Prepared, make_directory
from cwlbalsam.cwl.tasks import Ending, Settings, Task
from cwlbalsam.errors import JobError
from cwlbalsam.jobs.commands import PORT, decode_command


class PreparedCommand(Prepared):
    """It has no outputs but its exit code: 0 is well."""

    __slots__ = ()

    def collect(self, exit_code: int) -> tuple[Ending, dict[str, Any], str]:
        """See `Prepared`."""
        if exit_code == 0:
            return "done", {}, ""
        how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
        return "failed", {}, f"the command ended with {how}"


def prepare_command(task: Task, settings: Settings, tmpdir: str) -> Prepared:
    """The job's own directory marks its processes and keeps its script; the command runs in its user's."""
    command = decode_command(task.inputs[PORT])
    make_directory(task.directory)
    argv = list(command.argv)
    if command.script:
        argv.insert(0, _write_script(f"{task.directory}/script", command.script))
    environment = dict(command.environment)
    if command.mode == "mpi":
        ranks = task.grant.ranks or command.ranks or 1
        argv = [*(task.launch.argv if task.launch else (*settings.mpi_command, str(ranks))), *argv]
        environment.update(settings.mpi_environment)
    if not argv:
        raise JobError("there is no command to run")
    environment |= device_variables(task.devices)
    if command.mode != "mpi" or len(task.hosts) <= 1:  # of this node alone
        environment["TMPDIR"] = tmpdir
    environment |= {
        "CWLBALSAM_JOB": f"{task.directory}/",  # by which what is left of it is found
        "CWLBALSAM_JOB_ID": str(task.job),
        "CWLBALSAM_JOB_NAME": task.name,
        "CWLBALSAM_RUN": settings.run,
    }
    for path in filter(None, (command.stdout, command.stderr)):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    return PreparedCommand(
        None,
        {},
        Command(
            argv=argv,
            environment=environment,
            cwd=command.directory,
            stdout=command.stdout,
            stderr=command.stderr or command.stdout,
            time_limit=command.wall_seconds * task.time_factor,
            is_script=command.mode == "script",
        ),
    )


def _write_script(path: str, text: str) -> str:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o700)
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    return path
