"""How files are put in place: made on one file system, verified after a transfer, renamed to their final names."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cwlbalsam.sites.transfers.remote.answer import trouble_of

BLOCK = 1 << 20
THREADS = 4
FICLONE = 0x40049409  # linux/fs.h


def link(how: str, folder: str, paths: list[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Makes links, clones or copies under plain names: {name: trouble} of those that could not be made."""
    makers: dict[str, Callable[[str, str], None]] = {
        "hard": os.link,
        "symbolic": os.symlink,
        "reflink": _clone,
        "copy": _copy,
    }
    failed = {}
    for path, name in paths:
        target = os.path.join(folder, name)
        try:
            if os.path.lexists(target):
                os.unlink(target)
            makers[how](os.path.realpath(path), target)
        except OSError as error:
            failed[name] = trouble_of(error)
    return failed


def _clone(source: str, target: str) -> None:
    with open(source, "rb") as read, open(target, "wb") as written:
        fcntl.ioctl(written.fileno(), FICLONE, read.fileno())


def _copy(source: str, target: str) -> None:
    """By the kernel, hole by hole."""
    with open(source, "rb") as read, open(target, "wb") as written:
        try:
            fcntl.ioctl(written.fileno(), FICLONE, read.fileno())
            return
        except OSError:
            pass
        size = os.fstat(read.fileno()).st_size
        os.ftruncate(written.fileno(), size)
        at = 0
        while at < size:
            try:
                at = os.lseek(read.fileno(), at, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # no data after this
                    break
                raise
            end = os.lseek(read.fileno(), at, os.SEEK_HOLE)
            os.lseek(read.fileno(), at, os.SEEK_SET)
            os.lseek(written.fileno(), at, os.SEEK_SET)
            at = _copy_range(read.fileno(), written.fileno(), at, end)


def _copy_range(read: int, written: int, at: int, end: int) -> int:
    while at < end:
        done = os.sendfile(written, read, at, min(end - at, 64 * BLOCK))
        if done == 0:  # it has got shorter
            return end
        at += done
    return at


def place(folder: str, entries: list[dict[str, Any]], own: bool) -> list[tuple[str, str, str]]:
    """Verifies what has arrived, and renames it to its target.

    entries: {target, mode, mtime, size, sha1, name or members}; members: [path, kind, size, mtime, mode, text, name].
    own: false if they may be links to someone else's file. For each [trouble or "", message, sha1].
    """
    folders: set[str] = set()

    def one(entry: dict[str, Any]) -> tuple[str, str, str]:
        return _placed(folder, entry, own, folders)

    if not any(entry["sha1"] for entry in entries):  # a thread for a rename would only take time
        return list(map(one, entries))
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, entries))


def _placed(folder: str, entry: dict[str, Any], own: bool, folders: set[str]) -> tuple[str, str, str]:
    try:
        if "members" in entry:
            _build(folder, entry, own, folders)
            return "", "", ""
        arrived = os.path.join(folder, entry["name"])
        sha1 = _verified(arrived, entry["size"], entry["sha1"], own)
        _dress(arrived, entry["mode"], entry["mtime"], own)
        _rename(arrived, entry["target"], folders)
        return "", "", sha1
    except ValueError as error:
        return "corrupt", f"{entry['target']}: {error}", ""
    except OSError as error:
        trouble, message = trouble_of(error)
        return trouble, message, ""


def _verified(path: str, size: int | None, sha1: str, own: bool) -> str:
    """A link that a site sends in place of a file would be to a file of ours."""
    try:
        status = os.lstat(path) if own else os.stat(path)
    except FileNotFoundError:
        raise ValueError("nothing has arrived") from None
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("what has arrived is no plain file")
    found = status.st_size
    if size is not None and found != size:
        raise ValueError(f"{found} bytes have arrived, there should be {size}")
    if not sha1:
        return ""
    digest = hashlib.sha1()  # noqa: S324 -- what CWL has; no secret
    with open(path, "rb", 0) as file:
        buffer = memoryview(bytearray(BLOCK))
        while length := file.readinto(buffer):
            digest.update(buffer[:length])
    computed = "sha1$" + digest.hexdigest()
    if computed != sha1:
        raise ValueError(f"what has arrived has the checksum {computed}, it should be {sha1}")
    return computed


def _dress(path: str, mode: int | None, mtime: int | None, own: bool) -> None:
    """Tools compare times: an index must not be older than what it indexes."""
    if own and not os.path.islink(path):
        if mode is not None:
            os.chmod(path, mode | 0o600)
        if mtime is not None:
            os.utime(path, ns=(mtime, mtime))


def _build(folder: str, entry: dict[str, Any], own: bool, folders: set[str]) -> None:
    """A directory grows beside the stage, and is renamed whole."""
    name = hashlib.sha256(os.fsencode(entry["target"])).hexdigest()
    tree = os.path.join(os.path.dirname(folder), f"tree-{name}")
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(tree)
    inner = []
    for path, kind, size, mtime, mode, text, name in entry["members"]:
        target = os.path.join(tree, path)
        if kind == "directory":
            os.mkdir(target)
            inner.append((target, mode, mtime))
        elif kind == "link":
            os.symlink(text, target)
        else:
            arrived = os.path.join(folder, name)
            _verified(arrived, size, "", own)
            _dress(arrived, mode, mtime, own)
            os.rename(arrived, target)
    for target, mode, mtime in reversed(inner):
        os.chmod(target, mode | 0o700)
        os.utime(target, ns=(mtime, mtime))
    os.chmod(tree, (0o777 if entry["mode"] is None else entry["mode"]) | 0o700)
    _rename(tree, entry["target"], folders)


def _rename(arrived: str, target: str, folders: set[str]) -> None:
    """folders: those that are known to be there."""
    above = os.path.dirname(target)
    if above not in folders:
        os.makedirs(above, exist_ok=True)
        folders.add(above)
    if os.path.isdir(target) and not os.path.islink(target):
        old = arrived + ".old"
        os.rename(target, old)
        os.rename(arrived, target)
        shutil.rmtree(old, ignore_errors=True)
        return
    try:
        os.replace(arrived, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = f"{above}/.{os.path.basename(target)[:50]}.part-{os.getpid()}"
        if os.path.isdir(arrived):
            shutil.copytree(arrived, beside, symlinks=True)
        else:
            shutil.copy2(arrived, beside, follow_symlinks=False)
        os.replace(beside, target)


OPERATIONS = {operation.__name__: operation for operation in (link, place)}
