"""What a site is: a place where jobs run. Everything but its name may be left to be guessed."""

import shlex
from typing import Any

from msgspec import Struct

from cwlbalsam.sites.schedulers.base import BatchRequest

LOCAL = "local"
"""The machine one sits at; it exists without any file."""
PROTOCOLS = ("scp", "rsync", "tar", "gridftp", "globus", "http")
"""Ways of moving files to a site on another machine, and from it."""
MODULES = (
    "type module > /dev/null 2>&1 || for each in /etc/profile.d/modules.sh /etc/profile.d/lmod.sh; do"
    ' if [ -r "$each" ]; then . "$each"; fi; done'
)


class SchedulerSettings(Struct, frozen=True, kw_only=True):
    """kind: a name in SCHEDULERS; "": to be guessed. extra: directives for every batch script."""

    kind: str = ""
    queue: str = ""
    account: str = ""
    constraint: str = ""
    extra: tuple[str, ...] = ()


class NodeSettings(Struct, frozen=True, kw_only=True):
    """What a node has for jobs; 0: as the scheduler or the machine tells."""

    cores: int = 0
    memory_megabytes: int = 0
    gpus: int = 0


class MpiSettings(Struct, frozen=True, kw_only=True):
    """launcher: a name in LAUNCHERS; "": to be guessed. The rest as in MpiRun."""

    launcher: str = ""
    pmi: str = ""
    binding: str = ""
    options: tuple[str, ...] = ()


class PilotSettings(Struct, frozen=True, kw_only=True):
    """How many pilots a site keeps, of how many nodes at most, each and all, and how long they run, at work and idle.

    0: as the queue allows, or as is usual.
    """

    min: int = 0
    max: int = 4
    nodes: int = 0
    total_nodes: int = 0
    wall_seconds: float = 0.0
    idle_seconds: float = 0.0


class TransferSettings(Struct, frozen=True, kw_only=True):
    """ways: of PROTOCOLS, and in this order; empty: whatever is fastest. at_once: batches; 0: as is usual."""

    ways: tuple[str, ...] = ()
    at_once: int = 0


class Site(Struct, frozen=True, kw_only=True):
    """One site. host: where ssh goes, "" for this machine. work: the folder for jobs, "": in the user's home.

    containers: the first is the preferred one; empty: those that are found. modules, setup: what makes the environment
    of a batch job. software: that is there, `NAME` or `NAME=VERSION`, beside what modules are loaded. starter,
    transport: of pilots' node supervisors and of their link to the agent, "": what works. order: in which jobs start, a
    name in planner.start_order.ORDERS. scratch: a folder of each node's own. lease_seconds: 0: as is usual. steps:
    patterns of the steps that run there if nobody says otherwise. command, python: cwlbalsam and any Python there, "":
    those on the PATH. ssh_config: "": ssh's own. filesystem: sites that name the same one share their files. gridftp:
    `gsiftp://host:port`. globus: id of a collection. file: that describes it, "": none.
    """

    name: str
    host: str = ""
    work: str = ""
    scheduler: SchedulerSettings = SchedulerSettings()
    nodes: NodeSettings = NodeSettings()
    mpi: MpiSettings = MpiSettings()
    pilots: PilotSettings = PilotSettings()
    containers: tuple[str, ...] = ()
    transfers: TransferSettings = TransferSettings()
    modules: tuple[str, ...] = ()
    software: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    starter: str = ""
    transport: str = ""
    order: str = "widest"
    scratch: str = ""
    lease_seconds: float = 0.0
    steps: tuple[str, ...] = ()
    command: str = ""
    python: str = ""
    ssh_config: str = ""
    filesystem: str = ""
    gridftp: str = ""
    globus: str = ""
    file: str = ""


def setup_lines(site: Site) -> tuple[str, ...]:
    """Shell lines that make the environment of a batch job."""
    if not site.modules:
        return site.setup
    return (MODULES, f"module load {shlex.join(site.modules)}", *site.setup)


def batch_request(site: Site, **asked: Any) -> BatchRequest:
    """A batch job as the site wants its batch jobs. asked: the fields of BatchRequest that are the job's own."""
    settings = site.scheduler
    own = {
        "queue": settings.queue,
        "account": settings.account,
        "constraint": settings.constraint,
        "extra": settings.extra,
        "setup": setup_lines(site),
        "cores": site.nodes.cores,
        "gpus": site.nodes.gpus,
    }
    return BatchRequest(**{**own, **asked})
