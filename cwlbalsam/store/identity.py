"""As whom a private PostgreSQL server runs: it refuses to be root.

An ordinary user is fine as they are. root becomes another user in a user namespace, where every file of root's is
still theirs and nothing on the machine is changed; where namespaces are not allowed (many containers), a system user.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from msgspec import Struct

from cwlbalsam.errors import UserError

SYSTEM_USERS = ("postgres", "pgserver")
"""The second one is made if neither is there."""
SYSTEM_DATA = Path("/var/lib/cwlbalsam")
"""For what a system user cannot reach below root's home."""
INSIDE = 1
"""The user number that root has in its namespace; it must be one that has a name, which `daemon` is everywhere."""


class Identity(Struct, frozen=True, kw_only=True):
    """prefix: of a command line. user: a system user to become, or "". client: the name by which the server knows
    this process when it asks the kernel who is at the other end of a socket."""

    client: str
    prefix: tuple[str, ...] = ()
    user: str = ""

    def run(self, argv: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """Run a command as whom the server runs; what it says is in `stdout`."""
        return subprocess.run(
            [*self.prefix, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            cwd="/",  # a working directory that the server's user may enter
            start_new_session=True,  # a server must not see the Ctrl-C that ends its first user
            user=self.user or None,
            group=pwd.getpwnam(self.user).pw_gid if self.user else None,
            extra_groups=[] if self.user else None,
        )

    def own(self, folder: Path) -> None:
        """Make a folder that nobody else enters, the server's own."""
        folder.mkdir(mode=0o700, parents=True)
        if self.user:
            account = pwd.getpwnam(self.user)
            os.chown(folder, account.pw_uid, account.pw_gid)

    def reaches(self, path: Path) -> bool:
        """Whether the server may use a file or folder of that name."""
        existing = next(one for one in (path, *path.parents) if one.exists())
        return not self.user or self.run(["test", "-x", str(existing)]).returncode == 0


@cache
def server_identity() -> Identity:
    """Raises UserError if this is root and there is nobody else to be."""
    if os.geteuid() != 0:
        return Identity(client=_name(os.geteuid()))
    for choose in (_namespaced, _system_user):
        found = choose()
        if found is not None:
            return found
    raise UserError(
        "PostgreSQL does not run as root, and there is no other user to run it as",
        hint="work as an ordinary user, or make a system user 'pgserver' (useradd --system pgserver)",
    )


def _namespaced() -> Identity | None:
    if shutil.which("unshare") is None:
        return None
    prefix = ("unshare", "--user", f"--map-user={INSIDE}", f"--map-group={INSIDE}", "--")
    try:
        found = Identity(client=_name(INSIDE), prefix=prefix)
    except KeyError:
        return None
    return found if found.run(["true"]).returncode == 0 else None


def _system_user() -> Identity | None:
    for name in SYSTEM_USERS:
        if _exists(name):
            return Identity(client=_name(0), user=name)
    made = shutil.which("useradd")
    if made is not None:
        subprocess.run([made, "--system", "--no-create-home", SYSTEM_USERS[-1]], capture_output=True, check=False)
    return Identity(client=_name(0), user=SYSTEM_USERS[-1]) if _exists(SYSTEM_USERS[-1]) else None


def _name(number: int) -> str:
    return pwd.getpwuid(number).pw_name


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
