"""Standard Workload Format: logs of batch machines."""

import gzip
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from cwlbalsam.errors import UserError

Floats = NDArray[np.float64]


class Log(Struct, frozen=True):
    """One row a job, in the order of submission. Times in seconds; used: how long it ran; asked: what it asked for."""

    nodes: int  # of the machine
    submitted: Floats
    waited: Floats
    used: Floats
    size: NDArray[np.int64]
    asked: Floats


def read_log(path: Path) -> Log:
    """Raises UserError, with the line, where a line is broken or there is no job."""
    nodes, rows = 0, []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.startswith(";"):
                name, _, value = line[1:].partition(":")
                nodes = int(value) if name.strip() == "MaxProcs" else nodes
                continue
            try:
                fields = [float(word) for word in line.split()]
                rows.append((fields[1], fields[2], fields[3], fields[4], fields[8]))
            except (ValueError, IndexError):
                raise UserError("not a job of a Standard Workload Format log", place=f"{path}:{number}") from None
    if not rows or not nodes:
        raise UserError("no jobs, or no MaxProcs", place=str(path))
    table = np.array(sorted(rows, key=lambda row: row[0]))
    submitted, waited, used, size, asked = table.T
    return Log(nodes, submitted, waited, np.maximum(used, 0.0), size.astype(np.int64), asked)
