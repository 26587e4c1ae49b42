"""Copies of files that may be changed without changing the original."""

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

_FICLONE = 0x40049409  # linux/fs.h: share the blocks until one of the two is written


def copy_file(source: str, target: str) -> None:
    """Copy contents and mode, by reflink where the file system can; the copy is writable by its owner."""
    with open(source, "rb") as read, open(target, "wb") as written:
        if not _share_blocks(read.fileno(), written.fileno()):
            shutil.copyfileobj(read, written, 1 << 20)
        _copy_mode(read.fileno(), written.fileno())


def link_file(source: str, target: str) -> None:
    """Have a file under a second name without copying a byte: a reflink, which is as good as a copy, else a symbolic
    link. On another file system, which may be meant to outlive this one, it is a copy."""
    with open(source, "rb") as read, open(target, "wb") as written:
        shared = _share_blocks(read.fileno(), written.fileno())
        if not shared and os.fstat(read.fileno()).st_dev != os.fstat(written.fileno()).st_dev:
            shutil.copyfileobj(read, written, 1 << 20)
            shared = True
        if shared:
            _copy_mode(read.fileno(), written.fileno())
    if not shared:
        os.unlink(target)
        os.symlink(source, target)


def _share_blocks(read: int, written: int) -> bool:
    try:
        fcntl.ioctl(written, _FICLONE, read)
    except OSError:
        return False
    return True


def _copy_mode(read: int, written: int) -> None:
    mode = stat.S_IMODE(os.fstat(read).st_mode)
    os.fchmod(written, (mode & 0o777) | stat.S_IWUSR | stat.S_IRUSR)


def copy_directory(source: str, target: str, each: Callable[[str, str], None] = copy_file) -> None:
    """Copy a tree, its files by `each`; links become copies of what they lead to, dangling ones are left out."""
    Path(target).mkdir(parents=True, exist_ok=True)
    with os.scandir(source) as entries:
        for entry in entries:
            below = os.path.join(target, entry.name)
            if entry.is_dir():
                copy_directory(entry.path, below, each)
            elif entry.is_file():
                each(os.path.realpath(entry.path), below)
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(os.stat(source).st_mode)
        os.chmod(target, (mode & 0o777) | stat.S_IRWXU)
