"""ResourceRequirement and CUDARequirement: what a job asks for."""

import math
from typing import Any

from cwlbalsam.cwl.frame import Frame, wrong
from cwlbalsam.cwl.memo import once_for_each
from cwlbalsam.cwl.records import Expr, Process, Resources
from cwlbalsam.cwl.tasks import ANY_PILOT, Grant, PilotKind, Settings
from cwlbalsam.errors import JobError

_NO_SETTINGS = Settings()
# Section ResourceRequirement of the specification; v1.0 asked for more memory.
_SIZE_DEFAULT = 1024.0
_RAM_DEFAULT = {"v1.0": 1024.0}


@once_for_each
def static_grant(process: Process) -> Grant | None:
    """What every job of a process asks for; None if that has to be evaluated for each (Task mode `size`)."""
    needs = process.requirements.resources
    cuda = process.requirements.cuda
    fields: list[Any] = [getattr(needs, name) for name in Resources.__struct_fields__]
    fields += [cuda.device_count_min, cuda.device_count_max] if cuda is not None else []
    fields += [process.requirements.mpi.processes] if process.requirements.mpi is not None else []
    if any(isinstance(value, Expr) for value in fields):
        return None
    return evaluate_grant(Frame(process, {}, {}, _NO_SETTINGS))


def evaluate_grant(frame: Frame) -> Grant:
    """What one job asks for: the least it says; its maximum where that is all it says."""
    needs = frame.requirements.resources
    cuda = frame.requirements.cuda
    mpi = frame.requirements.mpi
    gpus = 0
    if cuda is not None:
        gpus = math.ceil(_amount(frame, "cudaDeviceCount", cuda.device_count_min, cuda.device_count_max, 1.0))
    ram = _RAM_DEFAULT.get(frame.version, 256.0)
    batch = frame.requirements.batch
    return Grant(
        cores=_amount(frame, "cores", needs.cores_min, needs.cores_max, 1.0),
        ram=float(math.ceil(_amount(frame, "ram", needs.ram_min, needs.ram_max, ram))),
        tmpdir=float(math.ceil(_amount(frame, "tmpdir", needs.tmpdir_min, needs.tmpdir_max, _SIZE_DEFAULT))),
        outdir=float(math.ceil(_amount(frame, "outdir", needs.outdir_min, needs.outdir_max, _SIZE_DEFAULT))),
        gpus=gpus,
        ranks=mpi_ranks(frame) if mpi is not None else 0,
        nodes=1 if batch is not None and batch.exclusive and mpi is None else 0,
        pilot=PilotKind(batch.queue, batch.account, batch.constraint) if batch is not None else ANY_PILOT,
    )


def mpi_ranks(frame: Frame) -> int:
    """How many processes an MPI job has; 0: it is started as any other one."""
    mpi = frame.requirements.mpi
    count = frame.evaluate(mpi.processes) if mpi is not None else 0
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise wrong("MPIRequirement: 'processes'", "an integer that is not negative", count, mpi and mpi.processes)
    return count


def _amount(frame: Frame, name: str, least: Any, most: Any, default: float) -> float:
    least = _number(frame, f"{name}Min", least)
    most = _number(frame, f"{name}Max", most)
    if least is not None and most is not None and least > most:
        raise JobError(
            f"ResourceRequirement: {name}Min ({least:g}) is more than {name}Max ({most:g})",
            place=frame.requirements.resources.place,
        )
    amount = least if least is not None else most
    return default if amount is None else amount


def _number(frame: Frame, name: str, template: Any) -> float | None:
    value = frame.evaluate(template)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or not value < float("inf"):
        raise wrong(f"ResourceRequirement: '{name}'", "a number that is not negative", value, template)
    if isinstance(value, float) and not value.is_integer() and frame.version in {"v1.0", "v1.1"}:
        raise wrong(f"ResourceRequirement: '{name}'", f"an integer in {frame.version}", value, template)
    return float(value)


def runtime_of(grant: Grant) -> dict[str, Any]:
    """The fields of `runtime` that say what was granted."""
    runtime: dict[str, Any] = {
        "cores": math.ceil(grant.cores),
        "ram": math.ceil(grant.ram),
        "tmpdirSize": math.ceil(grant.tmpdir),
        "outdirSize": math.ceil(grant.outdir),
    }
    if grant.gpus:
        runtime["cudaDeviceCount"] = grant.gpus
    return runtime
