"""What a run leaves behind: moves that were begun, and directories that nobody needs any more."""

import itertools
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from cwlbalsam.cwl.moving import Intent, undo
from cwlbalsam.cwl.removal import remove_tree
from cwlbalsam.jobs.names import ARRIVALS

MOVES_FILE = "moves.msgpack"
TRANSFERS_FILE = "transfers.jsonl"
"""What was brought from site to site; it stays, as what commands have printed."""
MANY_ENTRIES = 200
"""From so many directories and files of jobs on, nobody waits for their removal: it may take as long as the jobs."""


def undo_moves(folder: Path) -> None:
    """Bring back what an interrupted end of the run had moved into the output directory already."""
    with suppress(FileNotFoundError):
        undo(msgspec.msgpack.decode((folder / MOVES_FILE).read_bytes(), type=Intent))
        (folder / MOVES_FILE).unlink()


def write_intent(path: Path, intent: Intent) -> None:
    """On the disk before the first move is made."""
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(msgspec.msgpack.encode(intent))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def clean_up_apart(folder: Path) -> None:
    """`clean_up`; of a large run in a process of low priority that outlives this one."""
    entries = (entry for shard in (folder / "jobs").glob("*") for entry in shard.iterdir())
    if sum(1 for _ in itertools.islice(entries, MANY_ENTRIES)) < MANY_ENTRIES:
        clean_up(folder)
        return
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if not os.fork():  # nobody's child, so nobody has to wait for it
            null = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(null, stream)
            os.nice(19)
            clean_up(folder)
    finally:
        os._exit(0)


def clean_up(folder: Path) -> None:
    """Remove what the run has left, but for what its commands printed."""
    for shard in (folder / "jobs").glob("*"):
        for entry in os.scandir(shard):
            if entry.is_dir(follow_symlinks=False):
                _remove_directory(entry.path)
            elif not entry.name.endswith(".log"):
                Path(entry.path).unlink(missing_ok=True)
        with suppress(OSError):
            shard.rmdir()
    for name in ("journals", ARRIVALS):
        remove_tree(str(folder / name))
    for path in (folder / MOVES_FILE, folder / "alive"):
        path.unlink(missing_ok=True)
    for path in (folder / "jobs", folder):
        with suppress(OSError):
            path.rmdir()


def _remove_directory(path: str) -> None:
    """Most are empty, their files having moved to the output directory: a tree's walk would cost ten system calls."""
    try:
        Path(path).rmdir()
    except OSError:
        remove_tree(path)
