"""A pilot that was asked for, and what lies in its folder."""

import asyncio
import contextlib
from pathlib import Path

from msgspec import Struct

from cwlbalsam.cwl.tasks import PilotKind
from cwlbalsam.executor.batch import OUTPUT
from cwlbalsam.executor.pilot import PilotFile
from cwlbalsam.executor.wires.spool import SpoolWire
from cwlbalsam.executor.wires.tcp import TcpWire
from cwlbalsam.planner.pilot_actions import Kind

BATCH_FILE = "batch_id"


class Asked(Struct, eq=False):
    """A pilot from its submission to its end. up: its launcher has called. useful: a node of it was up.

    why: it was asked for. started: its batch job, as far as we know (seconds since the epoch; 0.0: it waits). ended:
    its batch job is gone, since then.
    """

    file: PilotFile
    folder: Path
    nodes: int
    kind: PilotKind
    why: Kind
    wire: TcpWire | SpoolWire
    token: bytes
    reading: asyncio.Task[None] | None = None  # of a spool
    batch_id: str = ""
    submitted: float = 0.0
    started: float = 0.0
    up: bool = False
    useful: bool = False
    ended: float = 0.0
    cancelled: bool = False


def batch_id_of(folder: Path) -> str:
    with contextlib.suppress(OSError):
        return (folder / BATCH_FILE).read_text().strip()
    return ""


def last_words(folder: Path) -> str:
    """Last words of the launcher, and of what started its nodes."""
    lines: list[str] = []
    for log in (folder / OUTPUT, *sorted(folder.glob("*.log"))[:1]):
        with contextlib.suppress(OSError):
            lines += log.read_text(errors="replace").splitlines()[-5:]
    return "\n".join(lines)
