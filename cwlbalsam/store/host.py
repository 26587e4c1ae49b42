"""Which host a SQLite store is in use on.

SQLite's WAL needs all its users on one host, and homes are often on network file systems. So a small file beside the
store names the host while runs are active; it is read before the store is opened.
"""

import fcntl
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from cwlbalsam.errors import UserError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Host(Struct, frozen=True):
    """Two names with one boot id are containers on one kernel, which may share a store; one name with two boot ids is
    a host that was started again, whose runs are dead."""

    name: str
    boot_id: str

    def may_follow(self, holder: "Host") -> bool:
        """Whether this host may open a store that `holder` marked."""
        return self.name == holder.name or (self.boot_id != "" and self.boot_id == holder.boot_id)


def this_host() -> Host:
    try:
        boot_id = BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        boot_id = ""
    return Host(platform.node(), boot_id)


def read_holder(path: Path) -> Host | None:
    """The host that has active runs, if any. A torn or foreign file counts as none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Host)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def refuse_second_host(path: Path, host: Host) -> None:
    """Raises UserError if another host has active runs in this store."""
    holder = read_holder(path)
    if holder is not None and not host.may_follow(holder):
        raise UserError(
            f"{path.parent}: runs are active on host '{holder.name}', and this is '{host.name}': one SQLite store"
            " cannot be used by two hosts",
            hint=f"work on '{holder.name}', or give this host a store of its own with CWLBALSAM_HOME;\n"
            f"if '{holder.name}' is gone for good, delete {path}",
        )


def mark_holder(path: Path, host: Host) -> None:
    """Says that this host has active runs."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(msgspec.json.encode(host))
    new.replace(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock of a file between processes."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
