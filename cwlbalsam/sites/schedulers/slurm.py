"""Slurm: sbatch, squeue, sacct, scancel, sinfo, scontrol.

Text output is asked for, not JSON, which changes from version to version and is large: squeue's and sinfo's formats
have been the same for ten years.
"""

import re
from collections.abc import Mapping, Sequence

from cwlbalsam.jobs.batch import BatchJob, BatchState, Queue, Reservation
from cwlbalsam.sites.schedulers import hostlist, scripts
from cwlbalsam.sites.schedulers.base import PLAIN, BatchRequest, Node, Read
from cwlbalsam.sites.schedulers.reading import clock, epoch, fields_of, megabytes, number

PREFIX = "#SBATCH"
PROGRAM = "sbatch"
ID_VARIABLE = "SLURM_JOB_ID"
BUSY = re.compile(
    r"Socket timed out|Unable to contact slurm controller|Resource temporarily unavailable|temporarily unable to accept"
    r"|Zero Bytes were transmitted|Transport endpoint|Connection (refused|reset|timed out)|Unexpected message received"
    r"|Slurm backup controller in standby|Message (receive|send) failure",
    re.IGNORECASE,
)
GONE = re.compile(r"Invalid job id|job .* not found|already completing or completed", re.IGNORECASE)

# https://slurm.schedmd.com/job_state_codes.html
STATES = {
    "PENDING": BatchState.QUEUED,
    "REQUEUED": BatchState.QUEUED,
    "REQUEUE_FED": BatchState.QUEUED,
    "REQUEUE_HOLD": BatchState.HELD,
    "RESV_DEL_HOLD": BatchState.HELD,
    "SPECIAL_EXIT": BatchState.HELD,
    "SUSPENDED": BatchState.HELD,
    "STOPPED": BatchState.HELD,
    "CONFIGURING": BatchState.RUNNING,
    "RUNNING": BatchState.RUNNING,
    "RESIZING": BatchState.RUNNING,
    "SIGNALING": BatchState.RUNNING,
    "STAGE_OUT": BatchState.RUNNING,
    "COMPLETING": BatchState.RUNNING,  # its nodes are not free yet
    "COMPLETED": BatchState.FINISHED,
    "BOOT_FAIL": BatchState.FAILED,
    "CANCELLED": BatchState.FAILED,
    "DEADLINE": BatchState.FAILED,
    "FAILED": BatchState.FAILED,
    "LAUNCH_FAILED": BatchState.FAILED,
    "NODE_FAIL": BatchState.FAILED,
    "OUT_OF_MEMORY": BatchState.FAILED,
    "PREEMPTED": BatchState.FAILED,
    "RECONFIG_FAIL": BatchState.FAILED,
    "REVOKED": BatchState.FAILED,
    "TIMEOUT": BatchState.FAILED,
}
USABLE = frozenset(["idle", "mixed", "allocated", "completing", "planned", "power_up", "powering_up", "blocked"])
FREE = frozenset(["idle", "planned"])
UNRESPONSIVE = "*$@"  # not responding, in maintenance, to be rebooted
_EPOCH = (*PLAIN, "SLURM_TIME_FORMAT=%s")


def script(request: BatchRequest) -> str:
    directives = [
        f"--job-name={scripts.job_name(request)}",
        f"--nodes={request.nodes}",
        f"--time={scripts.clock_time(request.wall_seconds)}",
        f"--output={scripts.output_path(request, lambda path: path.replace('%', '%%'))}",
        "--open-mode=append",
        "--exclusive" if request.exclusive else "--ntasks-per-node=1",
        f"--cpus-per-task={request.cores}" if request.cores and not request.exclusive else "",
        f"--mem={request.memory_megabytes}M" if request.memory_megabytes else "--mem=0" if request.exclusive else "",
        f"--gres=gpu:{request.gpus}" if request.gpus else "",
        request.queue and f"--partition={scripts.word('queue', request.queue)}",
        request.account and f"--account={scripts.word('account', request.account)}",
        request.constraint and f"--constraint={scripts.word('constraint', request.constraint)}",
    ]
    return scripts.build(PREFIX, request, directives)


def submit_command(path: str) -> list[str]:
    return ["sbatch", "--parsable", path]


def parse_submit(output: str) -> str:
    found = re.search(r"^(\d+)(?:;\S*)?$|Submitted batch job (\d+)", output, re.MULTILINE)
    return (found[1] or found[2]) if found else ""


def status_command(batch_ids: Sequence[str]) -> list[str]:
    return ["squeue", "--noheader", "--states=all", "--format=%i|%T|%r", f"--jobs={','.join(batch_ids)}"]


def ended_command(batch_ids: Sequence[str]) -> list[str]:
    fields = "--format=JobIDRaw,State"
    return ["sacct", "--noheader", "--allocations", "--parsable2", fields, f"--jobs={','.join(batch_ids)}"]


def parse_status(output: str) -> dict[str, BatchState]:
    rows = (line.strip().split("|") for line in output.splitlines())
    return {row[0]: _state(row[1], row[2] if len(row) > 2 else "") for row in rows if len(row) > 1 and row[0]}


def _state(code: str, reason: str) -> BatchState:
    word = re.match(r"[A-Z_]*", code.strip())  # `CANCELLED by 0`, `CANCELLED+`
    state = STATES.get(word[0] if word else "", BatchState.UNKNOWN)
    return BatchState.HELD if state is BatchState.QUEUED and reason.startswith("JobHeld") else state


def cancel_command(batch_ids: Sequence[str]) -> list[str]:
    return ["scancel", *batch_ids]


def queues_command() -> list[str]:
    return ["scontrol", "show", "partition", "--oneliner"]


def parse_queues(output: str) -> tuple[Queue, ...]:
    return tuple(
        Queue(
            name=fields["PartitionName"],
            nodes=number(fields.get("TotalNodes", "")),
            min_nodes=max(number(fields.get("MinNodes", "")), 1),
            max_nodes=number(fields.get("MaxNodes", "")),
            max_wall_seconds=clock(fields.get("MaxTime", ""), unit=60),
            open=fields.get("State") == "UP",
            default=fields.get("Default") == "YES",
        )
        for fields in map(fields_of, output.splitlines())
        if fields.get("PartitionName")
    )


def nodes_command() -> list[str]:
    return ["sinfo", "--noheader", "--all", "--Node", "--format=%N|%P|%T|%X|%Y|%m|%G"]


def parse_nodes(output: str) -> tuple[Node, ...]:
    """A node has a line for each of its partitions."""
    nodes: dict[str, Node] = {}
    for line in output.splitlines():
        row = [field.strip() for field in line.split("|", 6)]
        if len(row) < 7 or not row[0]:
            continue
        name, queue, state, sockets, cores, memory, gres = row
        queue = queue.removesuffix("*")
        known = nodes[name].queues if name in nodes else ()
        base = state.rstrip("*~#!%$@^-+").lower()
        usable = base in USABLE and not set(UNRESPONSIVE) & set(state)
        nodes[name] = Node(
            name=name,
            cores=max(number(sockets, 1) * number(cores, 1), 1),
            memory_megabytes=megabytes(memory, "m"),
            gpus=_gpus(gres),
            queues=(*known, queue) if queue and queue not in known else known,
            usable=usable,
            free=usable and base in FREE,
        )
    return tuple(nodes.values())


def _gpus(gres: str) -> int:
    """Of `gpu:a100:4(S:0-1),gpu:2,shard:8`."""
    kinds = (kind.split(":") for kind in re.sub(r"\([^()]*\)", "", gres).split(","))
    return sum(number(kind[-1]) for kind in kinds if kind[0] == "gpu" and len(kind) > 1)


def jobs_command() -> list[str]:
    states = "--states=PENDING,RUNNING,SUSPENDED,CONFIGURING,COMPLETING"
    return [*_EPOCH, "squeue", "--noheader", "--all", states, "--format=%i|%T|%D|%l|%P|%u|%V|%S|%e|%Q|%r|%C|%j"]


def parse_jobs(output: str, now: float) -> tuple[BatchJob, ...]:
    return tuple(_job(row) for line in output.splitlines() if len(row := line.split("|", 12)) == 13 and row[0].strip())


def _job(row: list[str]) -> BatchJob:
    batch_id, code, nodes, limit, queue, user, submitted, starts, ends, priority, reason, cores, name = row
    state = _state(code, reason)
    running = state is BatchState.RUNNING or code == "SUSPENDED"
    return BatchJob(
        id=batch_id.strip(),
        state=state,
        nodes=max(number(nodes), 1),
        cores=number(cores),
        wall_seconds=clock(limit, unit=60),
        queue=queue,
        user=user,
        submitted=epoch(submitted),
        started=epoch(starts) if running else 0.0,
        ends=epoch(ends) if running else 0.0,
        priority=float(number(priority)),
        name=name.strip(),
    )


def reservations_command() -> list[str]:
    return [*_EPOCH, "scontrol", "show", "reservation", "--oneliner"]


def parse_reservations(output: str, now: float) -> tuple[Reservation, ...]:
    return tuple(
        Reservation(
            name=fields["ReservationName"],
            nodes=number(fields.get("NodeCnt", "")),
            starts=epoch(fields.get("StartTime", "")),
            ends=epoch(fields.get("EndTime", "")),
        )
        for fields in map(fields_of, output.splitlines())
        if fields.get("ReservationName")
    )


def start_command(path: str) -> list[str]:
    return [*_EPOCH, "sbatch", "--test-only", path]


def parse_start(output: str) -> float | None:
    found = re.search(r"Job \d+ to start at (\S+)", output)
    return (epoch(found[1]) or None) if found else None


def hosts(environment: Mapping[str, str], read: Read) -> list[str]:
    return hostlist.unique(hostlist.expand(environment.get("SLURM_JOB_NODELIST", "")))
