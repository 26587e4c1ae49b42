"""Folders that a worker lends to one job after the other: an empty temporary folder and a file for stray output.

Nothing is deleted here, only renamed: some file systems slow down tenfold while much is deleted.
"""

import os
import shutil
import stat
from pathlib import Path

from msgspec import Struct


class Slot(Struct):
    tmpdir: str
    log: str


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
        if not _is_clean(slot.tmpdir):
            try:
                if os.path.lexists(slot.tmpdir):
                    Path(slot.tmpdir).rename(f"{self._trash}/{self._thrown}")
                    self._thrown += 1
                Path(slot.tmpdir).mkdir(mode=0o700)
            except OSError:
                return
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


def _is_clean(tmpdir: str) -> bool:
    """Whether it is still our folder (a job may have put anything in its place), and empty."""
    try:
        mode = os.lstat(tmpdir).st_mode
        return stat.S_ISDIR(mode) and stat.S_IMODE(mode) == 0o700 and not os.listdir(tmpdir)  # noqa: PTH208
    except OSError:
        return False
