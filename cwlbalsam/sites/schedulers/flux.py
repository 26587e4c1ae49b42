"""Flux: flux batch, jobs, cancel, queue list, resource list."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from cwlbalsam.jobs.batch import BatchJob, BatchState, Queue, Reservation
from cwlbalsam.sites.schedulers import hostlist, scripts
from cwlbalsam.sites.schedulers.base import BatchRequest, Node, Read
from cwlbalsam.sites.schedulers.reading import LARGEST, json_of, number, records_of, text_of

PREFIX = "#flux:"
PROGRAM = "flux"
ID_VARIABLE = "FLUX_JOB_ID"
BUSY = re.compile(
    r"Connection (refused|reset|timed out)|Unable to connect to Flux|broker is (not|down)"
    r"|Resource temporarily unavailable|No route to host|timed out",
    re.IGNORECASE,
)
GONE = re.compile(r"unknown (job|id)|JobID \S+ unknown|job is inactive|No such file or directory", re.IGNORECASE)

# RFC 21
STATES = {
    "NEW": BatchState.QUEUED,
    "DEPEND": BatchState.QUEUED,
    "PRIORITY": BatchState.QUEUED,
    "SCHED": BatchState.QUEUED,
    "RUN": BatchState.RUNNING,
    "CLEANUP": BatchState.RUNNING,
}
RESULTS = {
    "COMPLETED": BatchState.FINISHED,
    "FAILED": BatchState.FAILED,
    "CANCELED": BatchState.FAILED,
    "TIMEOUT": BatchState.FAILED,
}
UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
MOST_JOBS = 100_000


def script(request: BatchRequest) -> str:
    directives = [
        f"--job-name={scripts.job_name(request)}",
        f"--nodes={request.nodes}",
        f"--time-limit={max(int(request.wall_seconds), 1)}s",
        f"--output={shlex.quote(scripts.output_path(request))}",
        "--exclusive" if request.exclusive else f"--nslots={request.nodes}",
        f"--cores-per-slot={request.cores}" if request.cores and not request.exclusive else "",
        f"--gpus-per-slot={request.gpus}" if request.gpus and not request.exclusive else "",
        request.queue and f"--queue={scripts.word('queue', request.queue)}",
        request.account and f"--bank={scripts.word('account', request.account)}",
        request.constraint and f"--requires={scripts.word('constraint', request.constraint)}",
    ]
    hosts_line = "export CWLBALSAM_HOSTS=$(flux getattr hostlist)"  # only a command tells them, no variable does
    return scripts.build(PREFIX, request, directives, first=[hosts_line])


def submit_command(path: str) -> list[str]:
    return ["flux", "batch", path]


def parse_submit(output: str) -> str:
    """In decimal, as JSON has it: flux prints the same number in base 58 (RFC 19)."""
    for text in reversed(output.split()):
        number58 = re.fullmatch(rf"[ƒf]([{BASE58}]{{1,12}})", text)
        if number58:
            value = 0
            for digit in number58[1]:
                value = value * 58 + BASE58.index(digit)
            return str(value)
        if re.fullmatch(r"\d{1,20}", text, re.ASCII):
            return text
    return ""


def status_command(batch_ids: Sequence[str]) -> list[str]:
    return ["flux", "jobs", "--json", *batch_ids]


def ended_command(batch_ids: Sequence[str]) -> list[str]:
    return []


def parse_status(output: str) -> dict[str, BatchState]:
    return {text_of(job.get("id")): _state(job) for job in _jobs(output)}


def _jobs(output: str) -> list[dict[str, Any]]:
    """A single job stands alone, several are in a list."""
    answer = json_of(output)
    jobs = [answer] if "id" in answer else records_of(answer.get("jobs"))
    return [job for job in jobs if text_of(job.get("id"))]


def _state(job: Mapping[str, Any]) -> BatchState:
    code = text_of(job.get("state"))
    if code == "INACTIVE":
        return RESULTS.get(text_of(job.get("result")), BatchState.UNKNOWN)
    state = STATES.get(code, BatchState.UNKNOWN)
    return BatchState.HELD if state is BatchState.QUEUED and job.get("urgency") == 0 else state


def cancel_command(batch_ids: Sequence[str]) -> list[str]:
    return ["flux", "cancel", *batch_ids]


def queues_command() -> list[str]:
    fields = "{queuem}|{enabled}|{started}|{limits.timelimit}|{limits.min.nnodes}|{limits.max.nnodes}"
    return ["flux", "queue", "list", "-n", "-o", fields]


def parse_queues(output: str) -> tuple[Queue, ...]:
    """Flux without named queues has one without a name."""
    return tuple(
        Queue(
            name=row[0].rstrip("*"),
            min_nodes=max(number(row[4]), 1),
            max_nodes=number(row[5]),
            max_wall_seconds=_duration(row[3]),
            open=all(word[:1] in ("✔", "y", "T", "t") for word in row[1:3]),
            default=row[0].endswith("*"),
        )
        for line in output.splitlines()
        if len(row := [field.strip() for field in line.split("|")]) == 6
    )


def _duration(text: str) -> float:
    """Flux Standard Duration (RFC 23); 0.0 for `inf`."""
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d|)", text)
    return float(found[1]) * UNITS[found[2]] if found else 0.0


def nodes_command() -> list[str]:
    states = "--states=free,allocated,down"
    return ["flux", "resource", "list", states, "-n", "-o", "{state}|{queue}|{nnodes}|{ncores}|{ngpus}|{nodelist}"]


def parse_nodes(output: str) -> tuple[Node, ...]:
    """A line for nodes that are alike; a node that is partly allocated is in two, and not free."""
    nodes: dict[str, Node] = {}
    for line in output.splitlines():
        row = [field.strip() for field in line.split("|", 5)]
        count = number(row[2]) if len(row) == 6 else 0
        for name in hostlist.expand(row[5]) if count else ():
            known = nodes.get(name)
            nodes[name] = Node(
                name=name,
                cores=max(number(row[3]) // count + (known.cores if known else 0), 1),
                gpus=number(row[4]) // count + (known.gpus if known else 0),
                queues=tuple(filter(None, row[1].split(","))),
                usable=row[0] in ("free", "allocated"),
                free=row[0] == "free" and known is None,
            )
    return tuple(nodes.values())


def jobs_command() -> list[str]:
    return ["flux", "jobs", "-A", f"--count={MOST_JOBS}", "--json"]


def parse_jobs(output: str, now: float) -> tuple[BatchJob, ...]:
    jobs = (_job(job) for job in _jobs(output))
    return tuple(job for job in jobs if job.state not in (BatchState.FINISHED, BatchState.FAILED))


def _job(job: Mapping[str, Any]) -> BatchJob:
    state = _state(job)
    running = state is BatchState.RUNNING
    wall = _seconds(job.get("duration"))
    started = _seconds(job.get("t_run")) if running else 0.0
    return BatchJob(
        id=text_of(job.get("id")),
        state=state,
        nodes=max(number(text_of(job.get("nnodes"))), 1),
        cores=number(text_of(job.get("ncores"))),
        wall_seconds=wall,
        queue=text_of(job.get("queue")),
        user=text_of(job.get("username")),
        submitted=_seconds(job.get("t_submit")),
        started=started,
        ends=(started + wall if wall else _seconds(job.get("expiration"))) if running else 0.0,
        priority=float(number(text_of(job.get("priority")))),
        name=text_of(job.get("name")),
    )


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) and 0 <= value < LARGEST else 0.0


def reservations_command() -> list[str]:
    return []


def parse_reservations(output: str, now: float) -> tuple[Reservation, ...]:
    return ()


def start_command(path: str) -> list[str]:
    return []


def parse_start(output: str) -> float | None:
    return None


def hosts(environment: Mapping[str, str], read: Read) -> list[str]:
    return hostlist.unique(hostlist.expand(environment.get("CWLBALSAM_HOSTS", "")))
