"""`cwlbalsam simulate`: live through a recorded load by the rules of a batch scheduler."""

import zlib
from math import inf
from pathlib import Path

from msgspec import Struct

from cwlbalsam.errors import UserError
from cwlbalsam.planner.queues.machine import Machine
from cwlbalsam.planner.simulate.statistics import Statistics, measure, utilisation
from cwlbalsam.planner.simulate.swf import Log, check_fits, parse_log

MAX_LOG_BYTES = 2 << 30
GZIP = b"\x1f\x8b"


class Simulation(Struct, frozen=True, kw_only=True):
    """utilisation: in equal parts of the time. dropped: jobs of the log that used no time or no nodes."""

    log: str
    nodes: int
    policy: str
    dropped: int
    statistics: Statistics
    utilisation: list[float]


def simulate_log(path: Path, nodes: int | None, policy: str, parts: int) -> Simulation:
    """nodes: of the machine; by default what the log says. Raises UserError if log and machine do not fit."""
    log = read_log(path)
    nodes = nodes or log.nodes
    if not nodes:
        raise UserError("the log does not say how many nodes the machine has", place=str(path), hint="use --nodes N")
    check_fits(log, nodes, str(path))
    machine = Machine(nodes, policy, log.requests)
    machine.advance(inf)
    return Simulation(
        log=str(path),
        nodes=nodes,
        policy=policy,
        dropped=log.dropped,
        statistics=measure(log.requests, machine.starts, nodes),
        utilisation=utilisation(log.requests, machine.starts, nodes, parts),
    )


def read_log(path: Path) -> Log:
    """A log in the Standard Workload Format, which may be compressed by gzip. Raises UserError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if data.startswith(GZIP):
        data = _decompress(data, path)
    return parse_log(data.decode("utf-8", "replace"), str(path))


def _decompress(data: bytes, path: Path) -> bytes:
    """All members; a bomb is not followed beyond MAX_LOG_BYTES."""
    text = bytearray()
    while data:
        reader = zlib.decompressobj(wbits=31)
        try:
            text += reader.decompress(data, MAX_LOG_BYTES - len(text) + 1)
        except zlib.error as error:
            raise UserError(f"broken gzip file: {error}", place=str(path)) from error
        if len(text) > MAX_LOG_BYTES:
            raise UserError(f"holds more than {MAX_LOG_BYTES >> 20} MiB", place=str(path))
        if not reader.eof:
            raise UserError("the gzip file ends too early", place=str(path), hint="copy or download it again")
        data = reader.unused_data
    return bytes(text)
