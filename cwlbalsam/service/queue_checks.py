"""What is submitted is held against what there is: told at once, not after a night in the queue."""

import contextlib
import hashlib
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from cwlbalsam.cwl.command_jobs import COMMANDS, grant_of
from cwlbalsam.cwl.tasks import ANY_PILOT, Grant, PilotKind, Task
from cwlbalsam.errors import UserError
from cwlbalsam.executor.capacity import Capacity, detect_machine
from cwlbalsam.executor.placement import of_ranks
from cwlbalsam.executor.site_limits import SiteLimits
from cwlbalsam.jobs.commands import Command
from cwlbalsam.service.home import Home

KEEP_SECONDS = 300.0
"""A scheduler is not asked anew for each job that is submitted."""


def check_commands(home: Home, site: str, commands: Iterable[Command], kept: Path) -> None:
    """Raises UserError if one of them could never run. kept: file for what the site's scheduler has told."""
    asked = {(grant_of(command), command.wall_seconds) for command in commands}
    if not site:
        capacity = Capacity(detect_machine(Path("/")))
        for grant, _ in asked:
            _check_here(capacity, grant)
        return
    limits: dict[PilotKind, SiteLimits] = {}
    for grant, seconds in asked:
        kind = grant.pilot
        if kind not in limits:
            limits[kind] = _limits(home, site, kind, kept)
        limits[kind].check(
            Task(job=0, program=COMMANDS.digest, process=0, inputs={}, directory="", grant=grant, wall_seconds=seconds)
        )


def _check_here(capacity: Capacity, grant: Grant) -> None:
    if grant.nodes > 1:
        hint = "--site NAME chooses a site with more nodes"
        raise UserError(f"the job asks for {grant.nodes} nodes, and this is one machine", hint=hint)
    capacity.check(of_ranks(grant, max(grant.ranks, 1)))


def _limits(home: Home, site: str, kind: PilotKind, kept: Path) -> SiteLimits:
    from cwlbalsam.service.site_files import find_sites, pick_site

    described = pick_site(find_sites(home, ()), site)
    if kind != ANY_PILOT:
        digest = hashlib.sha256(msgspec.json.encode(kind)).hexdigest()
        kept = kept.with_name(f"{kept.stem}-{digest[:16]}.json")
    with contextlib.suppress(OSError, msgspec.DecodeError):
        newest = max(path.stat().st_mtime for path in (kept, home.path / "sites.yml"))
        if newest == kept.stat().st_mtime and time.time() - newest < KEEP_SECONDS:
            return msgspec.json.decode(kept.read_bytes(), type=SiteLimits)
    import asyncio

    from cwlbalsam.service.site_agent import site_limits

    limits = asyncio.run(site_limits(described, kind))
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept.write_bytes(msgspec.json.encode(limits))
    return limits
