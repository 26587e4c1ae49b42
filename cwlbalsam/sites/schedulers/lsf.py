"""IBM Spectrum LSF: bsub, bjobs, bkill, bqueues, bhosts, lshosts, brsvs."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cwlbalsam.jobs.batch import BatchJob, BatchState, Queue, Reservation
from cwlbalsam.sites.schedulers import hostlist, scripts
from cwlbalsam.sites.schedulers.base import PLAIN, BatchRequest, Node, Read
from cwlbalsam.sites.schedulers.reading import clock, json_of, megabytes, moment, number, records_of, text_of

PREFIX = "#BSUB"
PROGRAM = "bsub"
ID_VARIABLE = "LSB_JOBID"
BUSY = re.compile(
    r"LSF is (down|processing your request)|Cannot connect to LSF|not responding|Failed in (sending|receiving)"
    r"|Communication time.?out|Connection (refused|reset|timed out)|Too many processes",
    re.IGNORECASE,
)
GONE = re.compile(r"is not found|No (unfinished )?job found|Job has already finished|No matching job", re.IGNORECASE)

# IBM Spectrum LSF, "Job states"
STATES = {
    "PEND": BatchState.QUEUED,
    "WAIT": BatchState.QUEUED,
    "FWD_PEND": BatchState.QUEUED,
    "PSUSP": BatchState.HELD,
    "USUSP": BatchState.HELD,
    "SSUSP": BatchState.HELD,
    "PROV": BatchState.RUNNING,
    "RUN": BatchState.RUNNING,
    "DONE": BatchState.FINISHED,
    "EXIT": BatchState.FAILED,
}
USABLE = frozenset(["ok", "closed", "closed_full", "closed_excl", "closed_busy", "closed_cu_excl"])
TIMES = ("%b %d %H:%M:%S %Y", "%b %d %H:%M %Y", "%b %d %H:%M:%S", "%b %d %H:%M")
FIELDS = (
    "jobid stat user queue nreq_slot exec_host runtimelimit submit_time start_time finish_time job_priority job_name"
)


def script(request: BatchRequest) -> str:
    """A site that counts in slots tells the cores of a node; one that counts in nodes (`-nnodes`) does not."""
    directives = [
        f"-J {scripts.job_name(request)}",
        f"-W {scripts.minutes(request.wall_seconds)}",
        f"-o {scripts.output_path(request, lambda path: path.replace('%', '%%'))}",
        f"-n {request.nodes * request.cores}" if request.cores else f"-nnodes {request.nodes}",
        f'-R "span[ptile={request.cores}]"' if request.cores else "",
        "-x" if request.exclusive and request.cores else "",
        f"-M {request.memory_megabytes}MB" if request.memory_megabytes else "",
        f'-gpu "num={request.gpus}/host"' if request.gpus else "",
        request.queue and f"-q {scripts.word('queue', request.queue)}",
        request.account and f"-P {scripts.word('account', request.account)}",
        request.constraint and f'-R "select[{scripts.word("constraint", request.constraint)}]"',
    ]
    return scripts.build(PREFIX, request, directives)


def submit_command(path: str) -> list[str]:
    """bsub reads directives from its standard input alone."""
    return ["sh", "-c", 'exec bsub < "$1"', "bsub", path]


def parse_submit(output: str) -> str:
    found = re.search(r"Job <(\d+)> is submitted", output)
    return found[1] if found else ""


def status_command(batch_ids: Sequence[str]) -> list[str]:
    return [*PLAIN, "bjobs", "-a", "-json", "-o", "jobid stat", *batch_ids]


def ended_command(batch_ids: Sequence[str]) -> list[str]:
    return []


def parse_status(output: str) -> dict[str, BatchState]:
    return {batch_id: _state(record) for record in _records(output) if (batch_id := text_of(record.get("JOBID")))}


def _records(output: str) -> list[dict[str, Any]]:
    return records_of(json_of(output).get("RECORDS"))


def _state(record: Mapping[str, Any]) -> BatchState:
    return STATES.get(text_of(record.get("STAT")), BatchState.UNKNOWN)


def cancel_command(batch_ids: Sequence[str]) -> list[str]:
    return ["bkill", *batch_ids]


def queues_command() -> list[str]:
    return ["bqueues", "-l"]


def parse_queues(output: str) -> tuple[Queue, ...]:
    return tuple(_queue(text) for text in re.split(r"^QUEUE:", output, flags=re.MULTILINE)[1:] if text.strip())


def _queue(text: str) -> Queue:
    """Limits are in slots, which are no nodes: only those in time can be told."""
    status = re.search(r"\s(Open|Closed):(\w+)", text)
    limit = re.search(r"^\s*RUNLIMIT\s*$\s*^\s*([\d.]+) min", text, re.MULTILINE)
    return Queue(
        name=text.split(maxsplit=1)[0],
        max_wall_seconds=clock(limit[1], unit=60) if limit else 0.0,
        open=bool(status and status.groups() == ("Open", "Active")),
        default="default queue" in text.partition("PARAMETERS")[0],
    )


def nodes_command() -> list[str]:
    return ["sh", "-c", "bhosts -w && lshosts -w"]


def parse_nodes(output: str) -> tuple[Node, ...]:
    """Two tables, each under its header: what runs on each host, and what it has."""
    tables: dict[str, dict[str, str]] = {}
    titles: list[str] = []
    for line in output.splitlines():
        row = line.split()
        if row and row[0] == "HOST_NAME":
            titles = row
        elif row and titles:
            tables.setdefault(row[0], {}).update(zip(titles, row, strict=False))
    return tuple(_node(name, host) for name, host in tables.items() if "STATUS" in host)


def _node(name: str, host: Mapping[str, str]) -> Node:
    usable = host["STATUS"].lower() in USABLE
    return Node(
        name=name,
        cores=max(number(host.get("ncpus", "")) or number(host.get("MAX", "")), 1),
        memory_megabytes=megabytes(host.get("maxmem", "")),
        usable=usable,
        free=host["STATUS"] == "ok" and number(host.get("NJOBS", ""), 1) == 0,
    )


def jobs_command() -> list[str]:
    return [*PLAIN, "bjobs", "-u", "all", "-json", "-o", FIELDS]


def parse_jobs(output: str, now: float) -> tuple[BatchJob, ...]:
    jobs = (_job(record, now) for record in _records(output) if text_of(record.get("JOBID")))
    return tuple(job for job in jobs if job.state not in (BatchState.FINISHED, BatchState.FAILED))


def _job(record: Mapping[str, Any], now: float) -> BatchJob:
    value = {name: text_of(record.get(name)).strip() for name in map(str.upper, FIELDS.split())}
    state = _state(record)
    wall = clock(value["RUNTIMELIMIT"], unit=60)
    started = _time(value["START_TIME"], now) if state is BatchState.RUNNING else 0.0
    ends = _time(value["FINISH_TIME"], now) if started else 0.0
    return BatchJob(
        id=value["JOBID"],
        state=state,
        nodes=len(hostlist.unique(each.split("*")[-1] for each in value["EXEC_HOST"].split(":"))),
        cores=number(value["NREQ_SLOT"]),
        wall_seconds=wall,
        queue=value["QUEUE"],
        user=value["USER"],
        submitted=_time(value["SUBMIT_TIME"], now),
        started=started,
        ends=ends or (started + wall if started and wall else 0.0),
        priority=float(number(value["JOB_PRIORITY"])),
        name=value["JOB_NAME"],
    )


def _time(text: str, now: float) -> float:
    """A finish that is foretold has a letter behind it: `Dec 28 19:56 L`."""
    return moment(re.sub(r"\s+[A-Z]$", "", text), *TIMES, now=now)


def reservations_command() -> list[str]:
    return [*PLAIN, "brsvs"]


def parse_reservations(output: str, now: float) -> tuple[Reservation, ...]:
    """Those that happen once: `RSVID TYPE USER NCPUS RSV_HOSTS TIME_WINDOW`, further hosts below."""
    found: list[Reservation] = []
    for line in output.splitlines():
        row = line.split()
        if len(row) == 1 and line[:1].isspace() and ":" in row[0] and found:
            last = found[-1]
            found[-1] = Reservation(name=last.name, nodes=last.nodes + 1, starts=last.starts, ends=last.ends)
        elif len(row) > 4 and not line[:1].isspace():
            starts, _, ends = row[-1].partition("-")
            first = moment(starts, "%m/%d/%H/%M", now=now)
            last_moment = moment(ends, "%m/%d/%H/%M", now=now)
            if first and last_moment:
                found.append(Reservation(name=row[0], nodes=1, starts=first, ends=last_moment))
    return tuple(found)


def start_command(path: str) -> list[str]:
    return []


def parse_start(output: str) -> float | None:
    return None


def hosts(environment: Mapping[str, str], read: Read) -> list[str]:
    """The first line or word may be the launch node, where no job belongs (CSM); it has one slot only."""
    path = environment.get("LSB_DJOB_HOSTFILE", "")
    slots = read(path).split() if path else environment.get("LSB_HOSTS", "").split()
    names = hostlist.unique(slots)
    launch_node = len(names) > 1 and slots.count(names[0]) == 1 and slots.count(names[1]) > 1
    return names[1:] if launch_node else names
