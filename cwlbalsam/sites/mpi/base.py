"""What a launch command's module offers: one pure function from what is to run to a command line."""

import shlex
from typing import Literal, Protocol

from msgspec import Struct

from cwlbalsam.errors import UserError

Binding = Literal["", "core", "socket", "none"]


class MpiRun(Struct, frozen=True, kw_only=True):
    """An MPI program to start on some nodes of a batch job. Ranks fill a node before the next one.

    ranks_per_node: 0: as even as can be. threads: cores of each rank. devices: the GPUs on each node that this run may
    have, by number; a rank gets `gpus_per_rank` of them (no devices told: they are counted from 0). binding: of a rank
    to its cores; "": as the site has it. environment: what every rank gets in addition; its values are in no command
    line. allocation: all nodes of the batch job, in order; here: the node where the launch command runs.
    oversubscribe: more ranks than cores may be. pmi: how ranks find each other, for srun ("": as the site has it).
    block: on Blue Gene, where hosts have no names: `BLOCK` or `BLOCK/CORNER/SHAPE`. options: free ones of the site's.
    """

    argv: tuple[str, ...]
    ranks: int
    hosts: tuple[str, ...]
    ranks_per_node: int = 0
    threads: int = 1
    gpus_per_rank: int = 0
    devices: tuple[str, ...] = ()
    binding: Binding = ""
    environment: dict[str, str] = {}
    allocation: tuple[str, ...] = ()
    here: str = ""
    oversubscribe: bool = False
    pmi: str = ""
    block: str = ""
    options: tuple[str, ...] = ()


class Launch(Struct, frozen=True):
    """A command line. environment: what is added to the environment of the launch command itself."""

    argv: list[str]
    environment: dict[str, str] = {}


class Launcher(Protocol):
    """One module a launch command."""

    PROGRAM: str
    CHOOSES_HOSTS: bool
    """It picks nodes of the batch job by itself: whoever starts several at once cannot say where they run."""

    def launch_command(self, run: MpiRun) -> Launch:
        """Raises UserError for what this launch command cannot do."""


def ranks_per_node(run: MpiRun) -> int:
    """At most, on a node. Raises UserError if the ranks do not fit on the nodes."""
    nodes = len(run.hosts)
    if run.ranks < 1 or nodes < 1:
        raise UserError(f"an MPI program needs ranks and nodes: there are {run.ranks} and {nodes}")
    most = run.ranks_per_node or -(-run.ranks // nodes)
    if most * nodes < run.ranks:
        hint = f"{-(-run.ranks // most)} nodes would do"
        raise UserError(f"{run.ranks} ranks do not fit on {nodes} nodes with {most} ranks each", hint=hint)
    return most


def with_devices(run: MpiRun, local_rank: str) -> list[str]:
    """The program, each rank of which sees its own GPUs. local_rank: a shell expression, of the rank on its node."""
    if not run.gpus_per_rank:
        return list(run.argv)
    most = ranks_per_node(run)
    devices = run.devices or tuple(str(number) for number in range(most * run.gpus_per_rank))
    if len(devices) < most * run.gpus_per_rank:
        asked = f"{most} ranks with {run.gpus_per_rank} GPUs each"
        raise UserError(f"{asked} do not fit on a node with {len(devices)} GPUs", hint="fewer ranks a node would do")
    groups = [
        ",".join(devices[start : start + run.gpus_per_rank])
        for start in range(0, most * run.gpus_per_rank, run.gpus_per_rank)
    ]
    cases = " ".join(f"{rank}) d={shlex.quote(group)};;" for rank, group in enumerate(groups))
    export = "export CUDA_VISIBLE_DEVICES=$d ROCR_VISIBLE_DEVICES=$d"
    return ["sh", "-c", f'case {local_rank} in {cases} esac; {export}; exec "$@"', "sh", *run.argv]
