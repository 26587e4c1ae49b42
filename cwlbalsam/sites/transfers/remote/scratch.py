"""What runs have left in a site's work folder, and its removal: by a rename first, and never through a link."""

from __future__ import annotations

import os
import shutil
import stat
import time

RUNS = "runs"
INPUTS = "inputs"
TRASH = ".trash"
OWNER = "owner"  # in a run's folder: the home that coordinates it


def list_runs(root: str) -> list[tuple[str, str]]:
    """(run, owner) of each run that has left something."""
    return [(name, _owner(os.path.join(root, RUNS, name))) for name in _names(os.path.join(root, RUNS))]


def _owner(folder: str) -> str:
    try:
        with open(os.path.join(folder, OWNER), encoding="utf-8", errors="replace") as file:
            return file.read(4096)
    except OSError:
        return ""


def remove_runs(root: str, runs: list[str]) -> int:
    """How many there were."""
    return sum(_discard(root, os.path.join(root, RUNS, run)) for run in runs if "/" not in run)


def old_inputs(root: str, seconds: float, remove: bool) -> int:
    """How many input files nobody has read for so long; removes them."""
    before = time.time() - seconds
    old = [name for name in _names(os.path.join(root, INPUTS)) if _last_use(os.path.join(root, INPUTS, name)) < before]
    if remove:
        for name in old:
            _discard(root, os.path.join(root, INPUTS, name))
    return len(old)


def _last_use(folder: str) -> float:
    times = [os.lstat(folder).st_ctime]
    for name in _names(folder):
        found = os.lstat(os.path.join(folder, name))
        times += [found.st_atime, found.st_ctime]
    return max(times)


def _names(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []


def _discard(root: str, folder: str) -> bool:
    if os.path.islink(folder) or not os.path.isdir(folder):
        return False
    trash = os.path.join(root, TRASH)
    os.makedirs(trash, mode=0o700, exist_ok=True)
    target = os.path.join(trash, f"{os.path.basename(folder)}-{time.time_ns():x}")
    try:
        os.rename(folder, target)
    except FileNotFoundError:
        return False
    _remove(target)
    return True


def _remove(tree: str) -> None:
    """Commands may have taken their own permissions away."""
    shutil.rmtree(tree, ignore_errors=True)
    if os.path.isdir(tree):
        for folder, folders, _ in os.walk(tree):
            for name in folders:
                path = os.path.join(folder, name)
                if not stat.S_ISLNK(os.lstat(path).st_mode):
                    os.chmod(path, 0o700)
        shutil.rmtree(tree, ignore_errors=True)


OPERATIONS = {operation.__name__: operation for operation in (list_runs, remove_runs, old_inputs)}
