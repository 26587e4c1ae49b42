"""Folders that a worker lends to one job after the other: an empty temporary folder and a file for stray output.

Nothing is deleted here, only renamed: some file systems slow down tenfold while much is deleted.
"""

import os
import shutil
import stat
import time
from pathlib import Path

from msgspec import Struct

TICK_SECONDS = 0.05
"""Longer than a tick of any kernel's clock: of two changes within one, the folder's times show the first only."""


class Slot(Struct):
    """empty: the folder's inode and times when it was last seen empty; (): they would not tell of a change."""

    tmpdir: str
    log: str
    empty: tuple[int, ...] = ()


class Slots:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._trash = f"{folder}/trash"
        self._made = 0
        self._thrown = 0
        self._free: list[Slot] = []
        Path(self._trash).mkdir(parents=True, mode=0o700)

    def take(self) -> Slot:
        if self._free:
            return self._free.pop()
        folder = f"{self._folder}/{self._made}"
        slot = Slot(tmpdir=f"{folder}/t", log=f"{folder}/log")
        self._made += 1
        Path(slot.tmpdir).mkdir(parents=True, mode=0o700)
        return slot

    def give_back(self, slot: Slot) -> None:
        """Make it as good as new, or forget it if that fails: it must not stop the worker."""
        if not _is_clean(slot):
            try:
                if os.path.lexists(slot.tmpdir):
                    Path(slot.tmpdir).rename(f"{self._trash}/{self._thrown}")
                    self._thrown += 1
                Path(slot.tmpdir).mkdir(mode=0o700)
            except OSError:
                return
            slot.empty = ()
        self._free.append(slot)

    def keep_log(self, slot: Slot, target: str) -> str:
        """Give the stray output its final name, if there is any: `target` or ""."""
        try:
            if not os.stat(slot.log).st_size:  # noqa: PTH116
                return ""
        except OSError:
            return ""
        try:
            Path(slot.log).rename(target)
        except OSError:  # another file system
            try:
                shutil.move(slot.log, target)
            except OSError:  # a full one: the job's own result does not depend on this
                return ""
        return target


def _is_clean(slot: Slot) -> bool:
    """Whether it is still our folder (a job may have put anything in its place), and empty."""
    try:
        found = os.lstat(slot.tmpdir)
        seen = (found.st_dev, found.st_ino, found.st_mode, found.st_mtime_ns, found.st_ctime_ns)
        if seen == slot.empty:
            return True
        if found.st_mode != stat.S_IFDIR | 0o700 or os.listdir(slot.tmpdir):  # noqa: PTH208
            return False
    except OSError:
        return False
    slot.empty = seen if time.time() - found.st_ctime > TICK_SECONDS else ()
    return True
