"""After a crash: nothing of the old run may live when the new part of it starts.

Every process of a run holds the lock of its folder: the coordinator takes it, its workers inherit it, and the kernel
lets it go when the last of them is gone. Commands do not inherit it; they are known by their environment.
"""

import fcntl
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cwlbalsam.errors import UserError

LOCK_NAME = "alive"
WAIT_SECONDS = 15.0
"""What a worker may need to end its commands in peace."""
KILL_SECONDS = 5.0
PROC = Path("/proc")


def hold_alive(folder: Path) -> int:
    """Take the lock of a run's folder and sign it; returns the handle that holds it.

    Workers that have lost their coordinator end by themselves: they are waited for, and killed if they do not. Raises
    UserError at once if the coordinator lives.
    """
    handle = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + WAIT_SECONDS
    try:
        while not _lock(handle):
            _refuse_living(folder, handle)
            if time.monotonic() >= until:
                until += WAIT_SECONDS
                _kill_all(_holders(folder))
            time.sleep(0.02)
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {_started(os.getpid())}".encode(), 0)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refuse_living(folder: Path, handle: int) -> None:
    pid, _, started = os.pread(handle, 100, 0).decode("ascii", errors="replace").partition(" ")
    if pid.isdigit() and started and _started(int(pid)) == started:
        raise UserError(
            f"run {folder.name} is under way: process {pid} coordinates it", hint="`cwlbalsam kill` ends it"
        )


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks, so that its number alone does not pass for it; "" without one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return "" if PROC.is_dir() or not _exists(pid) else "?"
    return "" if fields[0] == "Z" else fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def end_survivors(folder: Path) -> int:
    """Kill what jobs with their directories below this folder have left running; returns how many there were."""
    killed: set[int] = set()
    until = time.monotonic() + KILL_SECONDS
    while (found := _survivors(folder)) and time.monotonic() < until:
        _kill_all(found)
        killed.update(found)
        time.sleep(0.01)
    return len(killed)


def _kill_all(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _survivors(folder: Path) -> list[int]:
    """Processes whose environment says that they belong to a job (Linux: elsewhere none are found).

    Not by their directory: that may be the shell of somebody who looks at a failed job.
    """
    marks = tuple(f"{name}={folder}/".encode() for name in ("HOME", "TMPDIR", "CWLBALSAM_JOB"))
    return [pid for pid in _processes() if _is_marked(pid, marks)]


def _is_marked(pid: int, marks: tuple[bytes, ...]) -> bool:
    with suppress(OSError):
        environment = (PROC / str(pid) / "environ").read_bytes()
        return any(variable.startswith(marks) for variable in environment.split(b"\0"))
    return False


def _holders(folder: Path) -> list[int]:
    """Processes that have the lock's file open."""
    name = str(folder / LOCK_NAME)
    return [pid for pid in _processes() if name in _open_files(pid)]


def _open_files(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for entry in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                found.add(str(entry.readlink()))
    return found


def _processes() -> list[int]:
    entries = PROC.iterdir() if PROC.is_dir() else ()
    return [int(entry.name) for entry in entries if entry.name.isdigit() and int(entry.name) != os.getpid()]
