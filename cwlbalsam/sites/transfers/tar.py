"""tar at one end, tar at the other, a stream between them: one way for any number of files, also between two sites."""

from collections.abc import Sequence
from functools import partial

from cwlbalsam.jobs.links import Figures
from cwlbalsam.sites.transfers.base import Endpoint, Load, Transfer
from cwlbalsam.sites.transfers.hand import measure
from cwlbalsam.sites.transfers.process import Running, Stage, start_commands
from cwlbalsam.sites.transfers.ssh import remote_command

NAME = "tar"
ALIASED = True
OWN = True
RESUMES = False


def can(source: Endpoint, target: Endpoint) -> str:
    if not (source.can_be_asked and target.can_be_asked):
        return f"{target.site if source.can_be_asked else source.site} has no login"
    return ""


def refuses(source: Endpoint, path: str) -> str:
    """Nothing: it sees plain names only."""
    return ""


def guess(source: Endpoint, target: Endpoint) -> Figures:
    hops = (not source.local) + (not target.local)
    return Figures(latency_seconds=0.05 + 0.25 * hops, file_seconds=1e-4, bytes_per_second=9e7)


def commands(load: Load) -> tuple[list[str], list[str]]:
    """Links are followed; a file with holes keeps them."""
    send = ["tar", "-C", load.aliases, "-chSf", "-", "."]
    receive = ["tar", "-C", load.stage, "-xf", "-", "--no-same-owner", "--no-overwrite-dir", "-m"]
    return _at(load.source, send), _at(load.target, receive)


def _at(endpoint: Endpoint, argv: Sequence[str]) -> list[str]:
    return list(argv) if endpoint.local or endpoint.ssh is None else remote_command(endpoint.ssh, argv)


async def start(load: Load) -> Transfer:
    stages = [Stage(argv=argv) for argv in commands(load)]
    processes = await start_commands(*stages)
    whole = len(load.parcels), sum(parcel.size or 0 for parcel in load.parcels)
    return Running(processes, stages, whole=whole, measure=partial(measure, load))
