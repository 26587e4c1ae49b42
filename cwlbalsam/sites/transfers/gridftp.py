"""GridFTP by globus-url-copy: parallel streams, many files in a session, from server to server."""

import os
import tempfile
from functools import partial
from pathlib import Path
from urllib.parse import quote

from cwlbalsam.jobs.links import Figures
from cwlbalsam.sites.transfers.base import Endpoint, Load, Transfer, TransferError
from cwlbalsam.sites.transfers.hand import measure
from cwlbalsam.sites.transfers.process import Running, Stage, is_installed, start_commands

NAME = "gridftp"
ALIASED = True
OWN = True
RESUMES = False
COMMAND = "globus-url-copy"
STREAMS = 4
SESSIONS = 4
LARGE_BYTES = 32 << 20
"""From this size of a file on, parallel streams pay; below it, sessions side by side do."""


def can(source: Endpoint, target: Endpoint) -> str:
    for end in (source, target):
        if not end.gridftp and not end.local:
            return f"{end.site} has no GridFTP server"
    if not (source.gridftp or target.gridftp):
        return "neither end has a GridFTP server"
    return "" if is_installed(COMMAND) else f"{COMMAND} is not installed here"


def refuses(source: Endpoint, path: str) -> str:
    """A line break, which no line of the protocol can hold, unless files get plain names at their source."""
    if source.can_be_asked or not {"\n", "\r"} & set(path):
        return ""
    return f"GridFTP has no file names with line breaks: {path!r}"


def guess(source: Endpoint, target: Endpoint) -> Figures:
    return Figures(latency_seconds=0.3, file_seconds=1.5e-3, bytes_per_second=3e8)


def url(endpoint: Endpoint, path: str) -> str:
    escaped = quote(os.fsencode(path), safe="/")
    if endpoint.local and not endpoint.gridftp:
        return f"file://{escaped}"
    return f"{endpoint.gridftp.rstrip('/')}{escaped}"


def listing(load: Load) -> str:
    """What `-f` reads: two URLs a line."""
    folder = load.aliases
    return "".join(
        f"{url(load.source, f'{folder}/{parcel.name}' if folder else parcel.path)}"
        f" {url(load.target, f'{load.stage}/{parcel.name}')}\n"
        for parcel in load.parcels
    )


def command(load: Load, file: str) -> list[str]:
    """Streams for large files; many sessions, and requests ahead, for many."""
    largest = max((parcel.size or 0 for parcel in load.parcels), default=0)
    streams = ["-p", str(STREAMS)] if largest >= LARGE_BYTES else []
    sessions = ["-cc", str(min(SESSIONS, len(load.parcels)))] if len(load.parcels) > 1 else []
    return [COMMAND, "-q", "-cd", "-fast", "-pp", "-st", "120", *streams, *sessions, "-f", file]


async def start(load: Load) -> Transfer:
    text = listing(load)
    handle, name = tempfile.mkstemp(prefix="cwlbalsam-", suffix=".urls")
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
    stage = Stage(argv=command(load, name))
    try:
        processes = await start_commands(stage)
    except TransferError:
        Path(name).unlink()
        raise
    whole = len(load.parcels), sum(parcel.size or 0 for parcel in load.parcels)
    remove = partial(Path(name).unlink, missing_ok=True)
    return Running(processes, [stage], whole=whole, measure=partial(measure, load), close=remove)
