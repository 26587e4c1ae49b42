"""What a process in a batch job can tell of it: the scheduler, the batch id, the hosts, the end."""

import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from cwlbalsam.sites.schedulers import SCHEDULERS
from cwlbalsam.sites.schedulers.base import Read
from cwlbalsam.sites.schedulers.reading import epoch


class Allocation(Struct, frozen=True, kw_only=True):
    """scheduler: "" outside of a batch job. ends: seconds since the epoch, 0.0 if it is not known."""

    scheduler: str = ""
    batch_id: str = ""
    hosts: tuple[str, ...] = ()
    ends: float = 0.0


def read_allocation(environment: Mapping[str, str], read: Read = lambda path: Path(path).read_text()) -> Allocation:
    """Of the batch job that this process is in.

    A scheduler started inside another's batch job (Flux in Slurm) is the one that counts, so it is asked first; a
    variable of the outer one alone may still name the hosts.
    """
    order = ["local", "flux", *(kind for kind in SCHEDULERS if kind not in ("local", "flux"))]
    kind = next((kind for kind in order if environment.get(SCHEDULERS[kind].ID_VARIABLE)), "")
    if not kind:
        return Allocation(hosts=(socket.gethostname(),))
    hosts: list[str] = []
    for each in (kind, *order):
        if not hosts:
            with suppress(OSError, UnicodeError):
                hosts = SCHEDULERS[each].hosts(environment, read)
    return Allocation(
        scheduler=kind,
        batch_id=environment[SCHEDULERS[kind].ID_VARIABLE],
        hosts=tuple(hosts) or (socket.gethostname(),),
        ends=epoch(environment.get("CWLBALSAM_BATCH_ENDS", "")) or epoch(environment.get("SLURM_JOB_END_TIME", "")),
    )
