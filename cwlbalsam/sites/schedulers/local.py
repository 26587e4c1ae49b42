"""No scheduler: a batch job is a process group of this machine, and starts at once."""

import re
from collections.abc import Mapping, Sequence

from cwlbalsam.jobs.batch import BatchJob, BatchState, Queue, Reservation
from cwlbalsam.sites.schedulers import scripts
from cwlbalsam.sites.schedulers.base import BatchRequest, Node, Read
from cwlbalsam.sites.schedulers.reading import megabytes, number

PREFIX = "#CWLBALSAM"
PROGRAM = "setsid"
ID_VARIABLE = "CWLBALSAM_BATCH_ID"
BUSY = re.compile(r"Resource temporarily unavailable|Cannot fork")
GRACE_SECONDS = 10
GONE = re.compile(r"No such process")

STATES = {"RUNNING": BatchState.RUNNING, "FINISHED": BatchState.FINISHED}

# A batch id is the process id and its start time, so that a process that gets the number later is another one.
_ID = 'id() { stat=$(cat "/proc/$1/stat" 2> /dev/null) && set -- $1 ${stat##*)} && [ "$2" != Z ] && echo "$1.${21}"; }'
_SUBMIT = f"""{_ID}
env -u {ID_VARIABLE} setsid bash "$1" < /dev/null > /dev/null 2>&1 &
id $!"""
_STATUS = f"""{_ID}
for each; do [ "$(id "${{each%%.*}}")" = "$each" ] && echo "$each RUNNING" || echo "$each FINISHED"; done"""
_CANCEL = f"""{_ID}
for each; do
    group=${{each%%.*}}
    [ "$(id "$group")" = "$each" ] || continue
    kill -TERM "-$group"
    (sleep {GRACE_SECONDS}; kill -KILL "-$group") > /dev/null 2>&1 &
done"""
_NODE = "uname -n; nproc; cat /proc/meminfo; ls /dev | grep -c '^nvidia[0-9]'; true"


def script(request: BatchRequest) -> str:
    """It starts again under `timeout`, as the same process, and so ends with all it has started when its time is up."""
    limit = max(int(request.wall_seconds), 1)
    first = [
        f'if [ -z "${{{ID_VARIABLE}-}}" ]; then',
        f"{_ID}; export {ID_VARIABLE}=$(id $$)",
        f'exec timeout --kill-after={GRACE_SECONDS} {limit} bash "$0"',
        "fi",
    ]
    return scripts.build(PREFIX, request, (), first=first, redirect=True)


def submit_command(path: str) -> list[str]:
    return ["sh", "-c", _SUBMIT, "sh", path]


def parse_submit(output: str) -> str:
    found = re.search(r"^\d+\.\d+$", output, re.MULTILINE | re.ASCII)
    return found[0] if found else ""


def status_command(batch_ids: Sequence[str]) -> list[str]:
    return ["sh", "-c", _STATUS, "sh", *batch_ids]


def ended_command(batch_ids: Sequence[str]) -> list[str]:
    return []


def parse_status(output: str) -> dict[str, BatchState]:
    rows = (line.split() for line in output.splitlines())
    return {row[0]: STATES.get(row[1], BatchState.UNKNOWN) for row in rows if len(row) == 2}


def cancel_command(batch_ids: Sequence[str]) -> list[str]:
    return ["sh", "-c", _CANCEL, "sh", *batch_ids]


def queues_command() -> list[str]:
    return []


def parse_queues(output: str) -> tuple[Queue, ...]:
    return ()


def nodes_command() -> list[str]:
    return ["sh", "-c", _NODE]


def parse_nodes(output: str) -> tuple[Node, ...]:
    """This machine; free, for nobody keeps a list of what runs."""
    lines = output.splitlines()
    if len(lines) < 2 or not lines[0].strip():
        return ()
    memory = re.search(r"^MemTotal:\s*(\d+) kB", output, re.MULTILINE)
    return (
        Node(
            name=lines[0].strip(),
            cores=max(number(lines[1]), 1),
            memory_megabytes=megabytes(memory[1], "k") if memory else 0,
            gpus=number(lines[-1]) if len(lines) > 2 else 0,
            free=True,
        ),
    )


def jobs_command() -> list[str]:
    return []


def parse_jobs(output: str, now: float) -> tuple[BatchJob, ...]:
    return ()


def reservations_command() -> list[str]:
    return []


def parse_reservations(output: str, now: float) -> tuple[Reservation, ...]:
    return ()


def start_command(path: str) -> list[str]:
    return ["date", "+%s"]


def parse_start(output: str) -> float | None:
    return float(number(output)) or None


def hosts(environment: Mapping[str, str], read: Read) -> list[str]:
    return ["localhost"]
