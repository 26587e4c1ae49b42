"""Cobalt (Argonne's scheduler of Cray and Blue Gene): qsub, qstat, qdel, nodelist, showres."""

import re
from collections.abc import Mapping, Sequence

from cwlbalsam.jobs.batch import BatchJob, BatchState, Queue, Reservation
from cwlbalsam.sites.schedulers import hostlist, scripts
from cwlbalsam.sites.schedulers.base import PLAIN, BatchRequest, Node, Read
from cwlbalsam.sites.schedulers.reading import clock, columns_of, moment, number

PREFIX = "#COBALT"
PROGRAM = "qsub"
ID_VARIABLE = "COBALT_JOBID"
BUSY = re.compile(
    r"Failed to connect|Connection (refused|reset|timed out)|timed? ?out|no route to host"
    r"|unable to (reach|contact)|component .* (down|not available)",
    re.IGNORECASE,
)
GONE = re.compile(r"no such job|jobid .* not found|Job .* not found|No matching jobs", re.IGNORECASE)

STATES = {
    "queued": BatchState.QUEUED,
    "dep_hold": BatchState.QUEUED,
    "user_hold": BatchState.HELD,
    "admin_hold": BatchState.HELD,
    "maxrun_hold": BatchState.HELD,
    "dep_fail": BatchState.HELD,
    "hold": BatchState.HELD,
    "preempted": BatchState.HELD,
    "starting": BatchState.RUNNING,
    "running": BatchState.RUNNING,
    "preempting": BatchState.RUNNING,
    "killing": BatchState.RUNNING,
    "exiting": BatchState.RUNNING,
    "done": BatchState.FINISHED,
}
USABLE = frozenset(["idle", "busy", "allocated", "cleanup", "cleanup-pending"])
TIMES = ("%a %b %d %H:%M:%S %Y %z", "%a %b %d %H:%M:%S %Y")


def script(request: BatchRequest) -> str:
    directives = [
        f"-n {request.nodes}",
        f"-t {scripts.minutes(request.wall_seconds)}",
        f"--jobname {scripts.job_name(request)}",
        f"-o {scripts.output_path(request)}",
        f"-e {scripts.output_path(request)}",
        f"--debuglog {scripts.NOWHERE}",
        request.queue and f"-q {scripts.word('queue', request.queue)}",
        request.account and f"-A {scripts.word('account', request.account)}",
        request.constraint and f"--attrs {scripts.word('constraint', request.constraint)}",
    ]
    return scripts.build(PREFIX, request, directives)


def submit_command(path: str) -> list[str]:
    """The file must be executable."""
    return ["qsub", "--mode", "script", path]


def parse_submit(output: str) -> str:
    """Warnings may come first."""
    found = re.findall(r"^\s*(\d+)\s*$", output, re.MULTILINE)
    return found[-1] if found else ""


def status_command(batch_ids: Sequence[str]) -> list[str]:
    return [*PLAIN, "qstat", "-lf", *batch_ids]


def ended_command(batch_ids: Sequence[str]) -> list[str]:
    return []


def parse_status(output: str) -> dict[str, BatchState]:
    return {block["JobID"]: _state(block) for block in _blocks(output, "JobID")}


def _blocks(output: str, title: str) -> list[dict[str, str]]:
    """`Title: value`, then indented `Name : value` lines."""
    blocks: list[dict[str, str]] = []
    for line in output.splitlines():
        name, colon, value = (part.strip() for part in line.partition(":"))
        if colon and name == title and value:
            blocks.append({})
        if colon and blocks:
            blocks[-1].setdefault(name, value)
    return blocks


def _state(block: Mapping[str, str]) -> BatchState:
    return STATES.get(block.get("State", "").lower(), BatchState.UNKNOWN)


def cancel_command(batch_ids: Sequence[str]) -> list[str]:
    return ["qdel", *batch_ids]


def queues_command() -> list[str]:
    return ["qstat", "-Q", "-lf"]


def parse_queues(output: str) -> tuple[Queue, ...]:
    return tuple(
        Queue(
            name=block["Name"],
            nodes=number(block.get("TotalNodes", "")),
            max_nodes=number(block.get("MaxUserNodes", "")),
            max_wall_seconds=clock(block.get("MaxTime", "")),
            max_queued=number(block.get("MaxQueued", "")),
            open=block.get("State", "").lower() == "running",
        )
        for block in _blocks(output, "Name")
    )


def nodes_command() -> list[str]:
    return ["nodelist"]


def parse_nodes(output: str) -> tuple[Node, ...]:
    nodes = []
    for row in columns_of(output):
        name, status = row.get("Node_id") or row.get("Host", ""), row.get("Status") or row.get("State", "")
        usable = status.lower() in USABLE
        if name:
            queues = tuple(filter(None, re.split(r"[:,]", row.get("Queues") or row.get("Queue", ""))))
            nodes.append(Node(name=name, queues=queues, usable=usable, free=status.lower() == "idle"))
    return tuple(nodes)


def jobs_command() -> list[str]:
    return [*PLAIN, "qstat", "-lf"]


def parse_jobs(output: str, now: float) -> tuple[BatchJob, ...]:
    return tuple(_job(block, now) for block in _blocks(output, "JobID"))


def _job(block: Mapping[str, str], now: float) -> BatchJob:
    state = _state(block)
    wall = clock(block.get("WallTime", ""))
    queued = clock(block.get("QueuedTime", ""))
    running = state is BatchState.RUNNING
    ran, left = clock(block.get("RunTime", "")), clock(block.get("TimeRemaining", ""))
    started = (moment(block.get("StartTime", ""), *TIMES) or now - ran) if running else 0.0
    return BatchJob(
        id=block["JobID"],
        state=state,
        nodes=max(number(block.get("Nodes", "")), 1),
        wall_seconds=wall,
        queue=block.get("Queue", ""),
        user=block.get("User", ""),
        submitted=moment(block.get("SubmitTime", ""), *TIMES) or max(now - queued - ran, 0.0),
        started=started,
        ends=(now + left if left else started + wall) if running else 0.0,
        priority=float(number(block.get("Score", ""))),
        name=block.get("JobName", ""),
    )


def reservations_command() -> list[str]:
    return [*PLAIN, "showres"]


def parse_reservations(output: str, now: float) -> tuple[Reservation, ...]:
    """Durations are HH:MM; what is reserved are nodes' numbers: `0-3,12`."""
    found = []
    for row in columns_of(output):
        starts = moment(row.get("Start", ""), *TIMES)
        nodes = hostlist.unique(hostlist.expand(f"[{row.get('Partitions', '')}]"))
        if starts and row.get("Reservation"):
            ends = starts + clock(f"{row.get('Duration', '')}:00")
            found.append(Reservation(name=row["Reservation"], nodes=len(nodes), starts=starts, ends=ends))
    return tuple(found)


def start_command(path: str) -> list[str]:
    return []


def parse_start(output: str) -> float | None:
    return None


def hosts(environment: Mapping[str, str], read: Read) -> list[str]:
    """On Cray, where no job may log in to a node, the nodes' numbers."""
    path = environment.get("COBALT_NODEFILE", "")
    if path:
        return hostlist.unique(read(path).split())
    return (
        hostlist.unique(hostlist.expand(f"[{environment['COBALT_PARTNAME']}]"))
        if "COBALT_PARTNAME" in environment
        else []
    )
