"""Checksums of files that may be large, computed once for all workers and runs that share a folder."""

import fcntl
import hashlib
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cwlbalsam.cwl.settling import checksum_of
from cwlbalsam.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED_BYTES = 1 << 20
"""From this size on, to look a checksum up in the folder is much cheaper than to compute it."""
_TICK_SECONDS = 0.02  # two changes within a tick of the kernel's clock may leave the same times
_COARSE_SECONDS = 2.0  # some file systems keep whole seconds only

Identity = tuple[int, int, int, int, int]


class Checksums:
    """sha1 by (device, inode, size, mtime, ctime); `settled`: below it files are no longer changed once they exist."""

    def __init__(self, folder: str, settled: str) -> None:
        self._folder = folder
        self._settled = settled
        self._known: dict[Identity, str] = {}

    def of(self, path: str) -> str:
        """Checksum of a file. Raises JobError or OSError."""
        found = os.stat(path)
        if not path.startswith(self._settled) and _wait_until_told_apart(found):
            found = os.stat(path)
        identity = _identity(found)
        known = self._known.get(identity)
        if known is None:
            known = self._shared(path, identity) if found.st_size >= SHARED_BYTES else _compute(path, identity)
            self._known[identity] = known
        return known

    def learn(self, path: str, checksum: str) -> None:
        """What someone else has just computed."""
        identity = _identity(os.stat(path))
        self._known[identity] = checksum
        if identity[2] >= SHARED_BYTES:
            with suppress(OSError), self._locked(identity) as file:
                _write(file, identity, checksum)

    def _shared(self, path: str, identity: Identity) -> str:
        """From the folder, or computed while others who want the same wait."""
        computed = ""
        try:
            with self._locked(identity) as file:
                known = _read(file, identity)
                if known:
                    return known
                computed = _compute(path, identity)
                _write(file, identity, computed)
        except OSError:  # a full disk, or a file system without locks
            pass
        return computed or _compute(path, identity)

    @contextmanager
    def _locked(self, identity: Identity) -> "Iterator[int]":
        name = hashlib.sha256(repr(identity[:2]).encode()).hexdigest()[:32]
        folder = f"{self._folder}/{name[:2]}"
        os.makedirs(folder, exist_ok=True)
        file = os.open(f"{folder}/{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _wait_until_told_apart(found: os.stat_result) -> bool:
    """Sleep until any further change would show in the file's times; True if that took a while."""
    coarse = found.st_ctime_ns % 1_000_000_000 == 0
    left = found.st_ctime + (_COARSE_SECONDS if coarse else _TICK_SECONDS) - time.time()
    if not 0 < left <= _COARSE_SECONDS:
        return False
    time.sleep(left)
    return True


def _compute(path: str, identity: Identity) -> str:
    computed = checksum_of(path)
    if _identity(os.stat(path)) != identity:
        raise JobError(f"{path} changes while it is read")
    return computed


def _line(identity: Identity, checksum: str) -> bytes:
    return f"{identity!r} {checksum}\n".encode()


def _read(file: int, identity: Identity) -> str:
    line = os.pread(file, 512, 0).decode("ascii", "replace")
    checksum = line.rpartition(" ")[2].strip()
    return checksum if line.encode() == _line(identity, checksum) and len(checksum) == len("sha1$") + 40 else ""


def _write(file: int, identity: Identity, checksum: str) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, _line(identity, checksum), 0)
