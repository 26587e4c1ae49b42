"""Torque, and the PBS commands that are wrappers over another scheduler, as Slurm's: text, and `-l nodes=`."""

from collections.abc import Mapping, Sequence

from cwlbalsam.jobs.batch import BatchJob, BatchState, Queue, Reservation
from cwlbalsam.sites.schedulers import hostlist, pbs, scripts, slurm
from cwlbalsam.sites.schedulers.base import PLAIN, BatchRequest, Node, Read
from cwlbalsam.sites.schedulers.reading import megabytes, number

PREFIX = pbs.PREFIX
PROGRAM = pbs.PROGRAM
ID_VARIABLE = pbs.ID_VARIABLE
BUSY = pbs.BUSY
GONE = pbs.GONE

submit_command, parse_submit = pbs.submit_command, pbs.parse_submit
cancel_command = pbs.cancel_command
start_command, parse_start = pbs.start_command, pbs.parse_start


def script(request: BatchRequest) -> str:
    """Whole nodes are had by asking for all their cores: there is no word for it that all these commands know.

    Slurm's wrapper ignores the directive that names the output, so the script opens it itself.
    """
    chunk = [
        f"nodes={request.nodes}",
        f"ppn={request.cores or 1}",
        f"gpus={request.gpus}" if request.gpus else "",
        request.constraint and scripts.word("constraint", request.constraint),
    ]
    directives = [
        *pbs.common_directives(request),
        f"-l {':'.join(filter(None, chunk))}",
        f"-l mem={request.memory_megabytes * request.nodes}mb" if request.memory_megabytes else "",
    ]
    return scripts.build(PREFIX, request, directives, redirect=True)


def status_command(batch_ids: Sequence[str]) -> list[str]:
    return [*PLAIN, "qstat", "-f", *batch_ids]


def ended_command(batch_ids: Sequence[str]) -> list[str]:
    return []


def parse_status(output: str) -> dict[str, BatchState]:
    return {batch_id: pbs.state_of(job) for batch_id, job in pbs.blocks(output, ("Job Id",)).items()}


def queues_command() -> list[str]:
    return ["qstat", "-Q", "-f"]


def parse_queues(output: str) -> tuple[Queue, ...]:
    return pbs.queues_of(pbs.blocks(output, ("Queue",)))


def nodes_command() -> list[str]:
    return ["pbsnodes", "-a"]


def parse_nodes(output: str) -> tuple[Node, ...]:
    """A name on a line of its own, then indented `attribute = value`."""
    blocks: dict[str, dict[str, str]] = {}
    block: dict[str, str] = {}
    for line in output.splitlines():
        if line.strip() and not line[0].isspace():
            block = blocks.setdefault(line.strip(), {})
        elif " = " in line:
            name, _, value = line.strip().partition(" = ")
            block[name] = value
    return tuple(_node(name, block) for name, block in blocks.items() if "state" in block)


def _node(name: str, block: Mapping[str, str]) -> Node:
    states = set(block["state"].split(","))
    status = dict(item.partition("=")[::2] for item in block.get("status", "").split(","))
    usable = not states & pbs.UNUSABLE
    memory = status.get("physmem", "") or status.get("availmem", "")
    return Node(
        name=name,
        cores=max(number(block.get("np", "")), 1),
        memory_megabytes=megabytes(memory),
        gpus=number(block.get("gpus", "")),
        usable=usable,
        free=usable and states == {"free"} and not block.get("jobs"),
    )


def jobs_command() -> list[str]:
    return [*PLAIN, "qstat", "-f"]


def parse_jobs(output: str, now: float) -> tuple[BatchJob, ...]:
    return pbs.jobs_of(pbs.blocks(output, ("Job Id",)), now)


def reservations_command() -> list[str]:
    return []


def parse_reservations(output: str, now: float) -> tuple[Reservation, ...]:
    return ()


def hosts(environment: Mapping[str, str], read: Read) -> list[str]:
    """Through Slurm's wrapper only Slurm's own variable is there."""
    path = environment.get("PBS_NODEFILE", "")
    return hostlist.unique(read(path).splitlines()) if path else slurm.hosts(environment, read)
