"""What is asked of files at either end of a transfer, and the folders that batches arrive in."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator
from typing import Any, Tuple  # noqa: UP035 -- see Member

from cwlbalsam.sites.transfers.remote.answer import trouble_of

Member = Tuple[str, str, int, int, int, str]  # noqa: UP006 -- Python 3.8 evaluates this one
PLACE = ".transfers"  # in a site's work directory: one folder for each batch on its way


def inspect(items: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """items: (path, kind). For each {size, mtime, mode}, with members if a directory, or {trouble}."""
    return [_inspected(path, kind) for path, kind in items]


def _inspected(path: str, kind: str) -> dict[str, Any]:
    try:
        found = os.stat(path)
        if kind == "directory":
            members = list(_members(path, "", {(found.st_dev, found.st_ino)}, os.path.realpath(path)))
            size = sum(member[2] for member in members)
            return {"size": size, "mtime": found.st_mtime_ns, "mode": _mode(found), "members": members}
        if not stat.S_ISREG(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, "it is not a plain file", path)
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        holes = found.st_blocks * 512 < found.st_size
        return {"size": found.st_size, "mtime": found.st_mtime_ns, "mode": _mode(found), "holes": holes}
    except OSError as error:
        return {"trouble": trouble_of(error)}


def _members(top: str, below: str, above: set[tuple[int, int]], real: str) -> Iterator[Member]:
    """[relative path, kind, size, mtime, mode, text of a link] of all in a folder.

    A link that stays in the tree is kept; one that leads out of it is followed; one that leads nowhere is left out.
    above: the folders that this one is in, so that links cannot make a circle.
    """
    with os.scandir(os.path.join(top, below)) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    for entry in entries:
        path = os.path.join(below, entry.name)
        if entry.is_symlink():
            text = os.readlink(entry.path)
            goal = os.path.realpath(entry.path)
            if not os.path.exists(goal):
                continue
            inside = os.path.normpath(os.path.join(below, os.path.dirname(entry.name), text))
            if not os.path.isabs(text) and inside.split("/")[0] != ".." and goal.startswith(real + "/"):
                yield path, "link", 0, 0, 0, text
                continue
        found = os.stat(entry.path)
        if stat.S_ISDIR(found.st_mode):
            identity = (found.st_dev, found.st_ino)
            if identity in above:
                raise OSError(errno.ELOOP, "links make a circle", entry.path)
            yield path, "directory", 0, found.st_mtime_ns, _mode(found), ""
            yield from _members(top, path, above | {identity}, real)
        elif stat.S_ISREG(found.st_mode):
            if not os.access(entry.path, os.R_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), entry.path)
            yield path, "file", found.st_size, found.st_mtime_ns, _mode(found), ""


def _mode(found: os.stat_result) -> int:
    return stat.S_IMODE(found.st_mode) & 0o777


def stamps(paths: list[str]) -> list[tuple[int, int] | None]:
    """[size, mtime] of each; null if it is gone."""
    found: list[tuple[int, int] | None] = []
    for path in paths:
        try:
            status = os.stat(path)
            found.append((status.st_size, status.st_mtime_ns))
        except OSError:
            found.append(None)
    return found


def prepare(folder: str, empty: bool, size: int) -> tuple[int, int]:
    """Makes a batch's folder, [files, bytes] that are there already. Raises OSError if the disk is full."""
    _check(folder)
    if empty:
        discard(folder)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    there = measure(folder)
    free = room(folder)
    if size - there[1] > free:
        lacking = f"{size - there[1]} bytes are to come, {free} are free"
        raise OSError(errno.ENOSPC, f"No space left on device: {lacking}", folder)
    return there


def room(folder: str) -> int:
    """Free bytes of its file system."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def alias(folder: str, paths: list[tuple[str, str]]) -> int:
    """Makes a folder with a link to each path under its name."""
    prepare(folder, True, 0)
    for name, path in paths:
        os.symlink(path, os.path.join(folder, name))
    return len(paths)


def measure(folder: str) -> tuple[int, int]:
    """[files, bytes] in a batch's folder."""
    files = size = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_file():
                    files += 1
                    size += entry.stat().st_size
    except FileNotFoundError:
        pass
    return files, size


def discard(folder: str) -> bool:
    """Deletes a batch's folder, and nothing else."""
    _check(folder)
    shutil.rmtree(folder, ignore_errors=True)
    for above in (os.path.dirname(folder), os.path.dirname(os.path.dirname(folder))):
        try:
            os.rmdir(above)  # if it was the last
        except OSError:
            break
    return True


def sweep(root: str, seconds: float) -> list[str]:
    """Deletes the folders of batches that nobody has touched for so long; their names."""
    place = os.path.join(root, PLACE)
    swept = []
    for name in os.listdir(place) if os.path.isdir(place) else []:
        folder = os.path.join(place, name)
        newest = max(os.lstat(path).st_mtime for path in (folder, *_beneath(folder)))
        if time.time() - newest > seconds:
            shutil.rmtree(folder, ignore_errors=True)
            swept.append(name)
    return swept


def _beneath(folder: str) -> list[str]:
    return [os.path.join(folder, name) for name in os.listdir(folder)] if os.path.isdir(folder) else []


def _check(folder: str) -> None:
    """A batch's folder is `.../.transfers/ID/send`."""
    if os.path.basename(os.path.dirname(os.path.dirname(folder))) != PLACE or ".." in folder.split("/"):
        raise OSError(errno.EPERM, "this is no folder of a transfer", folder)


OPERATIONS = {
    operation.__name__: operation for operation in (inspect, stamps, prepare, room, alias, measure, discard, sweep)
}
