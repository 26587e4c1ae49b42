"""scp, over the connection that all commands to a site share: one process for a folder of files."""

from functools import partial
from pathlib import PurePosixPath

from cwlbalsam.jobs.links import Figures
from cwlbalsam.sites.transfers.base import Endpoint, Load, Transfer
from cwlbalsam.sites.transfers.hand import measure
from cwlbalsam.sites.transfers.process import Running, Stage, start_commands
from cwlbalsam.sites.transfers.ssh import options, scp_place

NAME = "scp"
ALIASED = True
OWN = True
RESUMES = False


def can(source: Endpoint, target: Endpoint) -> str:
    if not (source.can_be_asked and target.can_be_asked):
        return f"{target.site if source.can_be_asked else source.site} has no login"
    if not (source.local or target.local):
        return "neither end is this machine"
    if source.ssh is None and target.ssh is None:
        return "both ends are this machine"
    return ""


def refuses(source: Endpoint, path: str) -> str:
    """Nothing: it sees plain names only."""
    return ""


def guess(source: Endpoint, target: Endpoint) -> Figures:
    return Figures(latency_seconds=0.3, file_seconds=3e-3, bytes_per_second=1e8)


def command(load: Load) -> list[str]:
    """Copies the folder of aliases, whose name is the stage's, beside the stage."""
    remote = load.target.ssh if load.source.local else load.source.ssh
    assert remote is not None
    above = f"{PurePosixPath(load.stage).parent}/"
    out = load.aliases, scp_place(remote, above)
    back = scp_place(remote, load.aliases), above
    places = out if load.source.local else back
    return ["scp", "-q", "-r", "-s", *options(remote), "--", *places]


async def start(load: Load) -> Transfer:
    processes = await start_commands(stage := Stage(argv=command(load)))
    whole = len(load.parcels), sum(parcel.size or 0 for parcel in load.parcels)
    return Running(processes, [stage], whole=whole, measure=partial(measure, load))
