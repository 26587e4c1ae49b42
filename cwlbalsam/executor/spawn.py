"""Start a command, and learn what it used. Only for a process without threads: it changes its directory."""

import contextlib
import ctypes
import errno
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from cwlbalsam.errors import JobError

if TYPE_CHECKING:
    from cwlbalsam.cwl.execution import Command

# What Python, or we, ignore or handle; a command must find them as any command does.
_DEFAULT_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_HAS_PROC_IO = Path("/proc/self/io").exists()

_executables: dict[tuple[str, str], str] = {}


class Ended(Struct, frozen=True):
    """exit_code: negative for a signal. The counts are of the process and of all descendants that it waited for.

    The kernel carries the peak of the forking process over, so a peak below this worker's own size is not seen.
    """

    pid: int
    exit_code: int
    cpu_seconds: float
    peak_memory_bytes: int
    read_bytes: int
    written_bytes: int


def spawn(command: "Command", log: str) -> int:
    """Start it as leader of its own process group and return its pid; what nobody captures is appended to `log`.

    Raises JobError if it cannot be started.
    """
    files: list[tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, command.stdin or os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, command.stdout or log, _WRITE if command.stdout else _APPEND, 0o666),
    ]
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = list(files)
    if command.stderr and command.stderr == command.stdout:
        actions.append((os.POSIX_SPAWN_DUP2, 1, 2))
    else:
        files.append((os.POSIX_SPAWN_OPEN, 2, command.stderr or log, _WRITE if command.stderr else _APPEND, 0o666))
        actions.append(files[-1])
    try:
        os.chdir(command.cwd)
        executable = find_executable(command.argv[0], command.environment.get("PATH", os.defpath))
        return os.posix_spawn(
            executable,
            command.argv,
            command.environment,
            file_actions=actions,
            setpgroup=0,
            setsigmask=(),
            setsigdef=_DEFAULT_SIGNALS,
        )
    except ValueError as error:  # a null byte, or "=" in the name of a variable
        raise JobError(f"cannot start {command.argv[0]!r}: {error}") from error
    except OSError as error:
        _executables.clear()
        raise JobError(_why_not_started(command, files, error)) from error
    finally:
        os.chdir("/")


def _why_not_started(command: "Command", files: list[tuple[int, int, str, int, int]], error: OSError) -> str:
    """posix_spawn names the executable whatever failed, so try its parts one by one."""
    if not Path(command.cwd).is_dir():
        return f"working directory is missing: {command.cwd}"
    for _, number, path, flags, mode in files:
        try:
            os.close(os.open(path, flags & ~os.O_TRUNC, mode))
        except OSError as failed:
            return f"cannot open {('stdin', 'stdout', 'stderr')[number]} {path!r}: {failed.strerror}"
    name = command.argv[0]
    if error.errno == errno.E2BIG:
        return f"command line and environment of {name!r} are too long for this system"
    if error.errno == errno.ENOEXEC:
        return f"cannot start {name!r}: neither a program of this system nor a script with a #! line"
    if error.errno == errno.ENOENT and Path(command.cwd, error.filename or name).exists():
        return f"cannot start {name!r}: the interpreter that its #! line names is missing"
    return f"cannot start {name!r}: {error.strerror}"


def find_executable(name: str, path: str) -> str:
    """`name` as the job's own PATH finds it, seen from the current directory. Raises JobError."""
    if "/" in name:
        if not Path(name).exists():
            raise JobError(f"command not found: {name}")
        return name
    known = _executables.get((name, path))
    if known is not None:
        return known
    for folder in path.split(os.pathsep):
        candidate = f"{folder or '.'}/{name}"
        if name and os.access(candidate, os.X_OK) and not Path(candidate).is_dir():
            if folder.startswith("/"):  # else it is another one in another directory
                _executables[name, path] = candidate
            return candidate
    raise JobError(f"command not found: {name}", hint=f"the job's PATH is {path}")


def next_ended() -> int:
    """The pid of a child that has ended but still waits to be reaped, 0 if there is none."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return found.si_pid if found is not None else 0


def has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def reap(pid: int) -> Ended:
    """Reap an ended leader of a process group and kill what is left of its group."""
    read, written = _bytes_passed(pid)
    signal_group(pid, signal.SIGKILL)  # safe: as long as the leader is not reaped its number belongs to nobody else
    _, status, usage = os.wait4(pid, 0)
    return Ended(
        pid=pid,
        exit_code=os.waitstatus_to_exitcode(status),
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_memory_bytes=usage.ru_maxrss * _MAXRSS_BYTES,
        read_bytes=read,
        written_bytes=written,
    )


def signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _bytes_passed(pid: int) -> tuple[int, int]:
    if not _HAS_PROC_IO:
        return 0, 0
    try:
        handle = os.open(f"/proc/{pid}/io", os.O_RDONLY)
    except OSError:
        return 0, 0
    try:
        fields = os.read(handle, 512).split()  # rchar: N wchar: N ...
    except OSError:
        return 0, 0
    finally:
        os.close(handle)
    return int(fields[1]), int(fields[3])


def become_subreaper() -> None:
    """Orphans of our descendants become our children, so that they can be ended and reaped. Linux only."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
