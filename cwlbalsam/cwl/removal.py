"""Folders of jobs are deleted whatever commands have done to them."""

import os
import shutil
import stat
from contextlib import suppress


def remove_tree(path: str, *, ignore_errors: bool = True) -> None:
    """Delete a folder of cwlbalsam's, never through a link, even where a command took its own permissions away.

    Raises OSError, unless errors are ignored: what cannot be deleted stays then.
    """
    if os.path.islink(path) or not os.path.isdir(path):
        return
    shutil.rmtree(path, ignore_errors=True)
    if not os.path.isdir(path):
        return
    for folder, subfolders, _ in os.walk(path):
        for name in subfolders:
            _open_up(f"{folder}/{name}")
    shutil.rmtree(path, ignore_errors=ignore_errors)


def _open_up(folder: str) -> None:
    with suppress(OSError):
        mode = os.lstat(folder).st_mode
        if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(folder, stat.S_IMODE(mode) | stat.S_IRWXU)
