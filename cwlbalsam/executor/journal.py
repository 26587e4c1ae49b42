"""Journals: what each worker has ended, on disk before anybody is told.

A journal outlives its worker and the coordinator, so an outcome is never lost and no recorded job runs again. One file
a worker, one writer, append-only: records of length, CRC-32 and a msgpack list of outcomes. A torn tail is ignored.
"""

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from cwlbalsam.cwl.tasks import Outcome

SYNC_RECORDS = 64
LATE_RECORDS = 256
"""Outcomes between two syncs: a crash of the machine, not of a process, may cost so many jobs. The first while
commands run, which a sync does not hold up."""
HEAD_BYTES = 8

_outcomes = msgspec.msgpack.Decoder(list[Outcome])


class Journal:
    """Of one worker. A journal that cannot be written (full disk) costs durability, never a job."""

    def __init__(self, path: str) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._unsynced = 0

    def append(self, body: bytes, count: int) -> None:
        """body: msgpack of a list of `count` outcomes."""
        with contextlib.suppress(OSError):
            record = len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little") + body
            written = os.write(self._handle, record)
            if written < len(record):  # the disk is full: what comes after half a record could not be read
                os.ftruncate(self._handle, os.fstat(self._handle).st_size - written)
                return
            self._unsynced += count

    def sync(self, *, convenient: bool) -> None:
        """See that little is lost if the machine crashes. convenient: nobody waits for this worker now."""
        if self._unsynced >= (SYNC_RECORDS if convenient else LATE_RECORDS):
            self._unsynced = 0
            with contextlib.suppress(OSError):
                os.fsync(self._handle)


def read_journal(path: Path) -> Iterator[Outcome]:
    """The outcomes of one journal, oldest first."""
    try:
        data = path.read_bytes()
    except OSError:
        return
    start = 0
    while start + HEAD_BYTES <= len(data):
        end = start + HEAD_BYTES + int.from_bytes(data[start : start + 4], "little")
        body = data[start + HEAD_BYTES : end]
        if end > len(data) or zlib.crc32(body) != int.from_bytes(data[start + 4 : start + HEAD_BYTES], "little"):
            return
        yield from _outcomes.decode(body)
        start = end


def read_journals(folder: Path) -> Iterator[Outcome]:
    """The outcomes of all journals of a run."""
    for path in sorted(folder.glob("*.journal")):
        yield from read_journal(path)
