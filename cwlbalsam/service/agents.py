"""The agents that serve sites: found, started, reached. Each is a process of its own, one for a site and home."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from cwlbalsam.cwl.tasks import Outcome
from cwlbalsam.errors import UserError
from cwlbalsam.executor.messages import Ended, OpenRun, Recall, framed, to_run
from cwlbalsam.executor.site_pool import Connect
from cwlbalsam.service.home import Home
from cwlbalsam.sites.site import Site

START_SECONDS = 60.0
STOP_SECONDS = 60.0
MOST_KILLED = 3
"""An agent that is killed before it has opened is started again so often."""
MAX_SOCKET_PATH = 100
SITE_FILE = "site.json"
DOOR = "agent.sock"
"""For runs of this machine, which end when their connections do."""
LINES = "lines.sock"
"""For runs of other machines, which outlive their connections."""


def agent_folder(home: Home, site: str) -> Path:
    return home.path / "sites" / site


def work_folder(home: Home, site: Site) -> Path:
    """Where jobs of the site have their directories."""
    return Path(site.work).expanduser() if site.work else home.path / "work"


def socket_path(folder: Path, door: str = DOOR) -> Path:
    """Where the agent listens; in the folder for temporary files if the path would be too long for a socket."""
    path = folder / door
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        return path
    short = Path(tempfile.gettempdir(), f"cwlbalsam-{os.geteuid()}")
    short.mkdir(mode=0o700, exist_ok=True)
    status = short.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise UserError(f"{short} is not yours alone", hint="choose a shorter home directory (--home)")
    return short / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.sock"


async def connect(home: Home, site: Site, door: str = DOOR) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Reach the site's agent; start it if there is none. Raises UserError."""
    folder = agent_folder(home, site.name)
    until = time.monotonic() + START_SECONDS
    process, killed = None, 0
    while True:
        with contextlib.suppress(OSError):
            return await asyncio.open_unix_connection(str(socket_path(folder, door)))
        code = process.poll() if process is not None else 0
        if code is not None and code < 0 and killed < MOST_KILLED:
            killed += 1
            code, until = 0, time.monotonic() + START_SECONDS
        if code == 0:  # of a process: there was another one, which has not opened or just closed
            process = start_agent(home, site)
        elif code is not None:
            raise UserError(f"the agent of site '{site.name}' does not start", hint=_last_words(folder))
        if time.monotonic() > until:
            raise UserError(f"the agent of site '{site.name}' does not answer", hint=_last_words(folder))
        await asyncio.sleep(0.05)


def reach(home: Home, site: Site) -> None:
    """Have an agent. Raises UserError."""

    async def call() -> None:
        _, writer = await connect(home, site)
        writer.close()

    asyncio.run(call())


def _last_words(folder: Path) -> str:
    log = folder / "agent.log"
    with contextlib.suppress(OSError):
        lines = log.read_text(errors="replace").splitlines()[-3:]
        return "\n".join([*lines, f"see {log}"])
    return f"see {log}"


def start_agent(home: Home, site: Site) -> subprocess.Popen[bytes]:
    """In the background, apart from our terminal."""
    folder = agent_folder(home, site.name)
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f".{SITE_FILE}.{os.getpid()}"
    hidden.write_bytes(msgspec.json.encode(site))
    hidden.replace(folder / SITE_FILE)
    command = [sys.executable, "-m", "cwlbalsam.service.site_agent", str(home.path), site.name]
    with (folder / "agent.log").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )


def hold_lock(folder: Path) -> int | None:
    """The right to be the site's agent, signed with our pid; None if somebody has it."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    os.truncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def agent_pid(home: Home, site: str) -> int:
    """0 if none serves the site."""
    folder = agent_folder(home, site)
    if not (folder / "lock").exists():
        return 0
    handle = hold_lock(folder)
    if handle is not None:
        os.close(handle)
        return 0
    with contextlib.suppress(OSError, ValueError):
        return int((folder / "lock").read_text())
    return 0


def stop_agent(home: Home, site: str) -> bool:
    """End it, with its pilots; False if there was none. Raises UserError if it does not end."""
    pid = agent_pid(home, site)
    if not pid:
        return False
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS
    while agent_pid(home, site) == pid:
        if time.monotonic() > until:
            raise UserError(f"the agent of site '{site}' does not end (process {pid})", hint="kill it")
        time.sleep(0.05)
    return True


def confirm_ended(name: str, opening: OpenRun, reach: Connect) -> list[Outcome]:
    """Wait until nothing of a run's jobs lives at the site any more; what has been journalled there.

    Raises UserError if the site does not tell.
    """

    async def ask_agent() -> list[Outcome]:
        reader, writer = await reach()
        writer.write(framed(opening))
        await _read(reader)  # it takes a run when its former part has ended
        writer.write(framed(Recall(None)))
        answer = await _read(reader)
        writer.close()
        await writer.wait_closed()
        return answer.outcomes if isinstance(answer, Ended) else []

    try:
        return asyncio.run(ask_agent())
    except (OSError, asyncio.IncompleteReadError):
        raise UserError(f"the agent of site '{name}' has ended", hint="resume the run again") from None


async def _read(reader: asyncio.StreamReader) -> object:
    length = int.from_bytes(await reader.readexactly(4), "little")
    return to_run.decode(await reader.readexactly(length))
