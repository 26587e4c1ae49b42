"""What a command runs under: environment, time limit, network, MPI."""

from collections.abc import Sequence
from typing import Any

from cwlbalsam.cwl.frame import Frame, wrong
from cwlbalsam.cwl.resources import mpi_ranks
from cwlbalsam.cwl.tasks import Launch
from cwlbalsam.errors import JobError


def job_environment(frame: Frame, home: str, tmpdir: str, *, contained: bool = False) -> dict[str, str]:
    """A built environment, never an inherited one. In a container PATH and the caller's variables are the image's."""
    settings = frame.settings
    environment: dict[str, str] = {}
    if not contained:
        environment = {"PATH": settings.path, **settings.environment}
        environment |= device_variables(frame.devices)
    environment["HOME"] = home
    environment["TMPDIR"] = tmpdir
    if frame.requirements.mpi is not None:
        environment.update(settings.mpi_environment)
    for name, template in frame.requirements.env:
        if not name or "=" in name or "\0" in name:
            raise JobError(f"EnvVarRequirement: {name!r} is not a name of a variable")
        value = frame.text(template, f"EnvVarRequirement: '{name}'")
        if "\0" in value:
            raise JobError(f"EnvVarRequirement: the value of '{name}' holds a NUL character")
        environment[name] = value
    return environment


def device_variables(devices: Sequence[str]) -> dict[str, str]:
    """By which a program knows the GPUs that it may use: NVIDIA's and AMD's names. None if it was given none."""
    text = ",".join(devices)
    return {"CUDA_VISIBLE_DEVICES": text, "ROCR_VISIBLE_DEVICES": text} if devices else {}


def time_limit(frame: Frame) -> float:
    """Seconds; 0 for none."""
    batch = frame.requirements.batch
    limits = [
        _seconds(frame, frame.requirements.time_limit, "ToolTimeLimit: 'timelimit'"),
        _seconds(frame, batch.wall_seconds, "cwlbalsam:Batch: 'wallTime'") if batch is not None else 0.0,
    ]
    return min((limit for limit in limits if limit), default=0.0)


def _seconds(frame: Frame, template: Any, what: str) -> float:
    value = frame.evaluate(template)
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise wrong(what, "a number of seconds that is not negative", value, template)
    return float(value)


def network_allowed(frame: Frame) -> bool:
    """NetworkAccess; before v1.1 every tool had it."""
    template = frame.requirements.network
    value = frame.evaluate(template)
    if not isinstance(value, bool):
        raise wrong("NetworkAccess: 'networkAccess'", "true or false", value, template)
    return value or frame.version == "v1.0"


def mpi_prefix(frame: Frame, launch: Launch | None) -> list[str]:
    """The launch command of an MPI job; [] for any other, and for 0 processes. launch: what its site uses."""
    count = mpi_ranks(frame)
    if not count:
        return []
    return list(launch.argv) if launch is not None else [*frame.settings.mpi_command, str(count)]
