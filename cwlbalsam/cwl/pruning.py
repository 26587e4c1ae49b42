"""The folder of results that `reuse` keeps: what nobody has used for long, and what crashes have left, goes."""

import os
import shutil
from contextlib import suppress

import msgspec
from msgspec import Struct

ENTRY = ".done"
"""How the names of entries end."""
SUMS = "sums"
"""The folder of checksums."""


class _Named(Struct):
    """What counts here of an entry: the name of the job's directory."""

    name: str


def prune(folder: str, before: float) -> int:
    """Remove the results that were last used before a time, and what crashed and failed jobs left before it.

    Returns the number of results. before: seconds since the epoch, and before the start of any run that uses them.
    """
    count = 0
    for shelf in _folders(folder):
        if os.path.basename(shelf) == SUMS:
            for part in _folders(shelf):
                _remove_files(part, before)
            continue
        entries = [entry for entry in _names(shelf) if entry.endswith(ENTRY)]
        count += sum(_remove_entry(f"{shelf}/{entry}", before) for entry in entries)
        _remove_jobs(shelf, before)
    return count


def _folders(folder: str) -> list[str]:
    return [f"{folder}/{name}" for name in _names(folder) if os.path.isdir(f"{folder}/{name}")]


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _remove_files(folder: str, before: float) -> None:
    for name in _names(folder):
        with suppress(OSError):
            if os.lstat(f"{folder}/{name}").st_mtime < before:
                os.unlink(f"{folder}/{name}")


def _remove_entry(path: str, before: float) -> bool:
    """A run that takes it over meanwhile either has set its time, which a rename keeps, or finds it gone."""
    hidden = path.removesuffix(ENTRY) + ".old"
    try:
        if os.stat(path).st_mtime >= before:
            return False
        os.rename(path, hidden)
        if os.stat(hidden).st_mtime >= before:
            os.rename(hidden, path)
            return False
        os.unlink(hidden)
    except OSError:
        return False
    return True


def _remove_jobs(shelf: str, before: float) -> None:
    kept = set()
    for name in _names(shelf):
        if name.endswith(ENTRY):
            with suppress(OSError, msgspec.MsgspecError), open(f"{shelf}/{name}", "rb") as file:
                kept.add(msgspec.msgpack.decode(file.read(), type=_Named).name)
    for name in _names(shelf):
        path = f"{shelf}/{name}"
        if name.endswith(ENTRY) or name.partition(".")[0] in kept:
            continue
        with suppress(OSError):
            if os.lstat(path).st_mtime < before:
                if os.path.isdir(path) and not os.path.islink(path):
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    os.unlink(path)
