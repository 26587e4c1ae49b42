"""Copies of files that may be changed without changing the original."""

import contextlib
import fcntl
import os
import shutil
import stat
from pathlib import Path

_FICLONE = 0x40049409  # linux/fs.h: share the blocks until one of the two is written


def copy_file(source: str, target: str) -> None:
    """Copy contents and mode, by reflink where the file system can; the copy is writable by its owner."""
    with open(source, "rb") as read, open(target, "wb") as written:
        try:
            fcntl.ioctl(written.fileno(), _FICLONE, read.fileno())
        except OSError:
            shutil.copyfileobj(read, written, 1 << 20)
        mode = stat.S_IMODE(os.fstat(read.fileno()).st_mode)
        os.fchmod(written.fileno(), (mode & 0o777) | stat.S_IWUSR | stat.S_IRUSR)


def copy_directory(source: str, target: str) -> None:
    """Copy a tree; links become copies of what they lead to, dangling ones are left out."""
    Path(target).mkdir(parents=True, exist_ok=True)
    with os.scandir(source) as entries:
        for entry in entries:
            below = os.path.join(target, entry.name)
            if entry.is_dir():
                copy_directory(entry.path, below)
            elif entry.is_file():
                copy_file(entry.path, below)
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(os.stat(source).st_mode)
        os.chmod(target, (mode & 0o777) | stat.S_IRWXU)
