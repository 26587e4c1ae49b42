"""A pilot that was asked for, and what lies in its folder."""

import asyncio
import contextlib
import shutil
from pathlib import Path

from msgspec import Struct

from cwlbalsam.cwl.tasks import PilotKind
from cwlbalsam.executor.batch import OUTPUT, BatchSystem
from cwlbalsam.executor.pilot import PilotFile
from cwlbalsam.executor.wires.spool import SpoolWire
from cwlbalsam.executor.wires.tcp import TcpWire
from cwlbalsam.jobs.batch import BatchState
from cwlbalsam.planner.pilot_actions import Kind

BATCH_FILE = "batch_id"
GRACE_SECONDS = 12.0
"""What workers take to end once nobody is left to tell them anything."""
RECOVER_SECONDS = 0.5
WAITING = {BatchState.QUEUED, BatchState.HELD}
LIVE = {*WAITING, BatchState.RUNNING}


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


async def end_leftovers(batch: BatchSystem, folder: Path) -> None:
    """Of pilots in this folder, which nobody watches any more. Raises UserError if the scheduler cannot be asked."""
    left = {pilot: _batch_id(pilot) for pilot in folder.glob("*/") if (pilot / "pilot.json").exists()}
    alive = await _alive(batch, [batch_id for batch_id in left.values() if batch_id])
    if alive:
        await batch.cancel(alive)
        while await _alive(batch, alive):
            await asyncio.sleep(RECOVER_SECONDS)
        await asyncio.sleep(GRACE_SECONDS)
    for pilot in left:
        shutil.rmtree(pilot, ignore_errors=True)


async def _alive(batch: BatchSystem, batch_ids: list[str]) -> list[str]:
    states = await batch.states(batch_ids) if batch_ids else {}
    return [batch_id for batch_id in batch_ids if states.get(batch_id) in LIVE]


def _batch_id(folder: Path) -> str:
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
