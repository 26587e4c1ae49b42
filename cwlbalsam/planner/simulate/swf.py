"""Recorded load: logs in the Standard Workload Format, version 2.

https://www.cs.huji.ac.il/labs/parallel/workload/swf.html
"""

from collections.abc import Iterator
from math import isfinite

from msgspec import Struct

from cwlbalsam.errors import UserError
from cwlbalsam.planner.queues.requests import Request

FIELDS = 18
MAX_SECONDS = 1e12
MAX_NODES = 1 << 40
NUMBER, SUBMITTED, WAITED, SECONDS, ALLOCATED, REQUESTED, WALL = 0, 1, 2, 3, 4, 7, 8


class Log(Struct, frozen=True):
    """A machine's batch jobs, sorted by arrival. waits: as recorded, by id; nodes: of the machine, 0 if it is not said.

    dropped: jobs that used no time, or no nodes.
    """

    requests: tuple[Request, ...]
    waits: dict[str, float]
    nodes: int
    dropped: int


def parse_log(text: str, name: str) -> Log:
    """Read a log.

    A job asks for the processors and the time that it requested, for what it got where that is missing, and takes no
    longer than it asked for. Raises UserError, with the line, for what is no such log.
    """
    requests: list[Request] = []
    waits: dict[str, float] = {}
    nodes = dropped = 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith(";"):
            nodes = _header_nodes(stripped, nodes)
            continue
        if not stripped:
            continue
        place = f"{name}:{number}"
        request, waited = _parse_line(stripped.split(), place)
        if request.id in waits:
            raise UserError(f"job {request.id} is there twice", place=place)
        waits[request.id] = waited
        if request.seconds > 0 and request.nodes > 0 and request.submitted >= 0:
            requests.append(request)
        else:
            dropped += 1
    if not requests:
        raise UserError("no job that ran is in this log", place=name, hint="18 numbers a line, ';' before remarks")
    requests.sort(key=lambda request: request.submitted)
    return Log(tuple(requests), waits, nodes, dropped)


def check_fits(log: Log, nodes: int, name: str) -> None:
    """Raises UserError if a job asks for more nodes than there are."""
    most = max(log.requests, key=lambda request: request.nodes)
    if most.nodes > nodes:
        raise UserError(
            f"job {most.id} asks for {most.nodes} nodes, the machine has {nodes}",
            place=name,
            hint=f"a machine of at least {most.nodes} nodes can run this log",
        )


def _parse_line(words: list[str], place: str) -> tuple[Request, float]:
    if len(words) < FIELDS:
        raise UserError(f"{len(words)} of {FIELDS} numbers", place=place, hint="is this the Standard Workload Format?")
    values = list(_numbers(words[: WALL + 1], place))
    nodes = int(values[REQUESTED] if values[REQUESTED] > 0 else values[ALLOCATED])
    wall = values[WALL] if values[WALL] > 0 else values[SECONDS]
    seconds = min(values[SECONDS], wall)
    return Request(words[NUMBER], nodes, wall, values[SUBMITTED], seconds), values[WAITED]


def _numbers(words: list[str], place: str) -> Iterator[float]:
    for column, word in enumerate(words, 1):
        try:
            value = float(word)
        except ValueError:
            raise UserError(f"field {column} is no number: {word[:40]!r}", place=place) from None
        if not isfinite(value) or abs(value) > (MAX_NODES if column - 1 in {ALLOCATED, REQUESTED} else MAX_SECONDS):
            raise UserError(f"field {column} is out of bounds: {word[:40]}", place=place)
        yield value


def _header_nodes(line: str, known: int) -> int:
    """Processors, which jobs ask for, before nodes."""
    key, _, value = line.lstrip("; \t").partition(":")
    if key.strip() not in {"MaxProcs", "MaxNodes"} or not value.split():
        return known
    try:
        nodes = int(value.split()[0])
    except ValueError:
        return known
    return nodes if 0 < nodes <= MAX_NODES and (key.strip() == "MaxProcs" or not known) else known
