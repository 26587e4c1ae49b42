"""OpenPBS and PBS Professional: qsub, qstat, qdel, pbsnodes, pbs_rstat; JSON where there is some."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cwlbalsam.jobs.batch import BatchJob, BatchState, Queue, Reservation
from cwlbalsam.sites.schedulers import hostlist, scripts
from cwlbalsam.sites.schedulers.base import PLAIN, BatchRequest, Node, Read
from cwlbalsam.sites.schedulers.reading import clock, json_of, megabytes, moment, number, objects_of, text_of

PREFIX = "#PBS"
PROGRAM = "qsub"
ID_VARIABLE = "PBS_JOBID"
BUSY = re.compile(
    r"cannot connect to server|Connection (refused|reset|timed out)|Communication failure|End of File|server is busy"
    r"|Premature end of message|Server shutting down|No route to host|batch system error.*15031",
    re.IGNORECASE,
)
GONE = re.compile(r"Unknown Job Id|Job has finished|Request invalid for (finished|state of) job", re.IGNORECASE)

# PBS Professional Reference Guide, "Job States"
STATES = {
    "Q": BatchState.QUEUED,
    "W": BatchState.QUEUED,
    "T": BatchState.QUEUED,
    "M": BatchState.QUEUED,
    "H": BatchState.HELD,
    "S": BatchState.HELD,
    "U": BatchState.HELD,
    "R": BatchState.RUNNING,
    "B": BatchState.RUNNING,
    "E": BatchState.RUNNING,
    "F": BatchState.FINISHED,
    "X": BatchState.FINISHED,
    "C": BatchState.FINISHED,  # Torque's
}
UNUSABLE = frozenset(
    ["down", "offline", "unknown", "stale", "state-unknown", "initializing", "provisioning", "sleep", "maintenance"]
)
TIMES = ("%a %b %d %H:%M:%S %Y",)


def script(request: BatchRequest) -> str:
    chunk = [
        f"select={request.nodes}",
        f"ncpus={request.cores}" if request.cores else "",
        f"mem={request.memory_megabytes}mb" if request.memory_megabytes else "",
        f"ngpus={request.gpus}" if request.gpus else "",
        request.constraint and scripts.word("constraint", request.constraint),
    ]
    directives = [
        *common_directives(request),
        f"-l {':'.join(filter(None, chunk))}",
        f"-l place=scatter{':excl' if request.exclusive else ''}",
    ]
    return scripts.build(PREFIX, request, directives)


def common_directives(request: BatchRequest) -> list[str]:
    """What all kinds of PBS understand."""
    name = scripts.job_name(request)
    return [
        f"-N {name if name[0].isalpha() else 'j' + name}",
        f"-l walltime={scripts.clock_time(request.wall_seconds)}",
        "-j oe",
        f"-o {scripts.output_path(request)}",
        request.queue and f"-q {scripts.word('queue', request.queue)}",
        request.account and f"-A {scripts.word('account', request.account)}",
    ]


def submit_command(path: str) -> list[str]:
    return ["qsub", path]


def parse_submit(output: str) -> str:
    """`1234.server`, `1234[].server`; or Slurm's number, through its wrapper."""
    found = re.findall(r"^\s*(\d+(?:\[\d*\])?(?:\.[\w.-]+)?)\s*$", output, re.MULTILINE | re.ASCII)
    return found[-1] if found else ""


def status_command(batch_ids: Sequence[str]) -> list[str]:
    return [*PLAIN, "qstat", "-f", "-F", "json", *batch_ids]


def ended_command(batch_ids: Sequence[str]) -> list[str]:
    return [*PLAIN, "qstat", "-x", "-f", "-F", "json", *batch_ids]


def parse_status(output: str) -> dict[str, BatchState]:
    return {batch_id: state_of(job) for batch_id, job in objects_of(json_of(output).get("Jobs")).items()}


def state_of(job: Mapping[str, Any]) -> BatchState:
    state = STATES.get(text_of(job.get("job_state")), BatchState.UNKNOWN)
    failed = number(text_of(job.get("Exit_status")).lstrip("-"))
    return BatchState.FAILED if state is BatchState.FINISHED and failed else state


def cancel_command(batch_ids: Sequence[str]) -> list[str]:
    return ["qdel", *batch_ids]


def queues_command() -> list[str]:
    return ["qstat", "-Q", "-f", "-F", "json"]


def parse_queues(output: str) -> tuple[Queue, ...]:
    return queues_of(objects_of(json_of(output).get("Queue")))


def queues_of(queues: Mapping[str, Mapping[str, Any]]) -> tuple[Queue, ...]:
    """attributes: nested as in JSON. A routing queue has the limits of what it leads to, which it does not tell."""
    return tuple(
        Queue(
            name=name,
            nodes=number(_within(queue, "resources_available", "nodect")),
            min_nodes=max(number(_within(queue, "resources_min", "nodect")), 1),
            max_nodes=number(_within(queue, "resources_max", "nodect")),
            max_wall_seconds=clock(_within(queue, "resources_max", "walltime")),
            max_queued=_user_limit(text_of(queue.get("max_queued"))) or number(text_of(queue.get("max_user_queuable"))),
            open=all(text_of(queue.get(flag)).lower() in ("true", "yes") for flag in ("enabled", "started")),
        )
        for name, queue in queues.items()
        if text_of(queue.get("from_route_only")).lower() != "true"
    )


def _within(attributes: Mapping[str, Any], group: str, name: str) -> str:
    members = attributes.get(group)
    return text_of(members.get(name)) if isinstance(members, dict) else ""


def _user_limit(text: str) -> int:
    """Of `[u:PBS_GENERIC=5]`."""
    found = re.search(r"\[u:PBS_GENERIC=(\d+)\]", text)
    return number(found[1]) if found else 0


def nodes_command() -> list[str]:
    return ["pbsnodes", "-a", "-F", "json"]


def parse_nodes(output: str) -> tuple[Node, ...]:
    nodes = []
    for name, node in objects_of(json_of(output).get("nodes")).items():
        states = set(text_of(node.get("state")).split(","))
        usable = bool(states - {""}) and not states & UNUSABLE
        queue = text_of(node.get("queue")) or _within(node, "resources_available", "Qlist")
        nodes.append(
            Node(
                name=name,
                cores=max(number(_within(node, "resources_available", "ncpus")), 1),
                memory_megabytes=megabytes(_within(node, "resources_available", "mem")),
                gpus=number(_within(node, "resources_available", "ngpus")),
                queues=tuple(filter(None, queue.split(","))),
                usable=usable,
                free=usable and states == {"free"} and not node.get("jobs"),
            )
        )
    return tuple(nodes)


def jobs_command() -> list[str]:
    return [*PLAIN, "qstat", "-f", "-F", "json"]


def parse_jobs(output: str, now: float) -> tuple[BatchJob, ...]:
    answer = json_of(output)
    return jobs_of(objects_of(answer.get("Jobs")), float(number(text_of(answer.get("timestamp")))) or now)


def jobs_of(jobs: Mapping[str, Mapping[str, Any]], now: float) -> tuple[BatchJob, ...]:
    found = (_job(batch_id, job, now) for batch_id, job in jobs.items())
    return tuple(job for job in found if job.state not in (BatchState.FINISHED, BatchState.FAILED))


def _job(batch_id: str, job: Mapping[str, Any], now: float) -> BatchJob:
    state = state_of(job)
    wall = clock(_within(job, "Resource_List", "walltime"))
    started = 0.0
    if state is BatchState.RUNNING:
        used = clock(_within(job, "resources_used", "walltime"))
        started = moment(text_of(job.get("stime")), *TIMES) or (now - used if used else now)
    return BatchJob(
        id=batch_id,
        state=state,
        nodes=max(number(_within(job, "Resource_List", "nodect")), 1),
        cores=number(_within(job, "Resource_List", "ncpus")),
        wall_seconds=wall,
        queue=text_of(job.get("queue")),
        user=re.split(r"[@(]", text_of(job.get("euser")) or text_of(job.get("Job_Owner")))[0],  # `ada(1000)`: Slurm's
        submitted=moment(text_of(job.get("qtime")), *TIMES) or moment(text_of(job.get("ctime")), *TIMES),
        started=started,
        ends=started + wall if started and wall else 0.0,
        priority=float(number(text_of(job.get("Priority")))),
        name=text_of(job.get("Job_Name")),
    )


def reservations_command() -> list[str]:
    return [*PLAIN, "pbs_rstat", "-F"]


def parse_reservations(output: str, now: float) -> tuple[Reservation, ...]:
    """`Resv ID: R12.server` and lines `name = value`."""
    return tuple(
        Reservation(
            name=text_of(resv.get("Reserve_Name")) or name,
            nodes=number(_within(resv, "Resource_List", "nodect")),
            starts=(starts := moment(text_of(resv.get("reserve_start")), *TIMES)),
            ends=moment(text_of(resv.get("reserve_end")), *TIMES)
            or starts + clock(text_of(resv.get("reserve_duration"))),
        )
        for name, resv in blocks(output, ("Resv ID",)).items()
        if starts_at(resv) and not text_of(resv.get("reserve_state")).startswith("RESV_DE")  # deleted
    )


def starts_at(reservation: Mapping[str, Any]) -> bool:
    return bool(reservation.get("reserve_start"))


def blocks(output: str, headers: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The attributes of each block of `qstat -f` and its like, nested as in JSON.

    PBS indents attributes by blanks and continues long values on lines that begin with a tab; Slurm's wrapper indents
    attributes by a tab and continues nothing.
    """
    found: dict[str, dict[str, Any]] = {}
    block: dict[str, Any] = {}
    last, tabs = "", False
    for line in output.splitlines():
        header, colon, name = line.partition(":")
        if colon and header.strip() in headers and not line[:1].isspace():
            block = found.setdefault(name.strip(), {})
            last, tabs = "", False
        elif line.startswith("\t") and last and not tabs:
            _put(block, last, _get(block, last) + line.strip())
        elif " = " in line:
            attribute, _, value = line.strip().partition(" = ")
            tabs = tabs or line.startswith("\t")
            last = attribute
            _put(block, attribute, value.strip())
    return found


def _put(block: dict[str, Any], attribute: str, value: str) -> None:
    group, dot, name = attribute.partition(".")
    if not dot:
        block[group] = value
    elif isinstance(block.setdefault(group, {}), dict):
        block[group][name] = value


def _get(block: Mapping[str, Any], attribute: str) -> str:
    group, dot, name = attribute.partition(".")
    return _within(block, group, name) if dot else text_of(block.get(group))


def start_command(path: str) -> list[str]:
    return []


def parse_start(output: str) -> float | None:
    return None


def hosts(environment: Mapping[str, str], read: Read) -> list[str]:
    path = environment.get("PBS_NODEFILE", "")
    return hostlist.unique(read(path).splitlines()) if path else []
