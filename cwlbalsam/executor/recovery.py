"""After a crash: nothing of the old run may live when the new part of it starts.

Every process of a run holds the lock of its folder: the coordinator takes it, its workers inherit it, and the kernel
lets it go when the last of them is gone. Commands do not inherit it; they are known by their environment.
"""

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cwlbalsam.errors import UserError

LOCK_NAME = "alive"
WAIT_SECONDS = 30.0
PROC = Path("/proc")


def hold_alive(folder: Path) -> int:
    """Take the lock of a run's folder, which must be nobody's; returns the handle that holds it.

    Raises UserError if processes of the run are still there after half a minute: they end by themselves when their
    coordinator is gone.
    """
    handle = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() >= until:
                os.close(handle)
                raise UserError(f"the run in {folder} is still under way", hint="`cwlbalsam kill` ends it") from None
            time.sleep(0.05)


def end_survivors(folder: Path) -> int:
    """Kill what the run's commands have left running; returns how many processes there were."""
    killed = 0
    for _ in range(20):
        found = list(_survivors(folder))
        if not found:
            break
        killed += len(found)
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    return killed


def _survivors(folder: Path) -> Iterator[int]:
    """Processes whose environment says that they belong to a job of the run (Linux: elsewhere none are found)."""
    marks = [f"{name}={folder}/".encode() for name in ("HOME", "CWLBALSAM_JOB")]
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                environment = (entry / "environ").read_bytes()
                if any(variable.startswith(tuple(marks)) for variable in environment.split(b"\0")):
                    yield int(entry.name)
