"""OpenSSH's command lines: one connection to each login, which all commands share (ControlMaster).

OpenSSH and not a library: what works in the user's shell works here (configuration, agents, jump hosts, hardware
keys, Kerberos), and one stream is faster: see benchmarks/results/transfers.md.
"""

import hashlib
import os
import re
import shlex
import stat
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from cwlbalsam.sites.transfers.base import Ssh, TransferError, Trouble

PERSIST_SECONDS = 60
"""A shared connection ends by itself when nobody has used it for so long."""
OPTIONS = (
    "BatchMode=yes",
    "ConnectTimeout=20",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "LogLevel=ERROR",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
)


CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr"
"""OpenSSH's own, in another order: with AES instructions in the processor, GCM is half as fast again as its first."""


def options(ssh: Ssh, *, shared: bool = True) -> list[str]:
    """What ssh, scp and sftp understand alike. shared: over the connection that others use, too."""
    _refuse_options(ssh)
    chosen = [*OPTIONS, *([f"Ciphers={CIPHERS}"] if _has_aes() else [])]
    if shared:
        chosen += ["ControlMaster=auto", f"ControlPersist={PERSIST_SECONDS}", f"ControlPath={control_path(ssh)}"]
    else:
        chosen += ["ControlMaster=no", "ControlPath=none"]
    if ssh.port:
        chosen.append(f"Port={ssh.port}")
    if ssh.user:
        chosen.append(f"User={ssh.user}")
    words = [word for option in chosen for word in ("-o", option)]
    if ssh.config:
        words += ["-F", ssh.config]
    if ssh.identity:
        words += ["-i", ssh.identity]
    return words


@cache
def _has_aes() -> bool:
    """Whether this machine's processor has instructions for AES; a site's has them, too, or it is only slower."""
    try:
        return bool(re.search(r"^(flags|Features)\s*:.*\baes\b", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    except OSError:
        return False


def _refuse_options(ssh: Ssh) -> None:
    for text in (ssh.host, ssh.user):
        if text.startswith("-") or any(sign.isspace() or ord(sign) < 32 for sign in text):
            raise TransferError(Trouble.UNFIT, f"not a name of a host or user: {text!r}")


def remote_command(ssh: Ssh, argv: Sequence[str], *, shared: bool = True) -> list[str]:
    """A command there: its words reach it as they are, whatever the login shell."""
    return ["ssh", *options(ssh, shared=shared), "--", ssh.host, shlex.join(argv)]


def close_command(ssh: Ssh) -> list[str]:
    """End the shared connection."""
    return ["ssh", *options(ssh), "-O", "exit", "--", ssh.host]


def control_path(ssh: Ssh) -> str:
    """Of the shared connection's socket: short, since a socket's path has at most 104 characters."""
    name = hashlib.sha256(repr(ssh).encode()).hexdigest()[:16]
    return str(control_folder() / name)


def control_folder() -> Path:
    """A folder that only this user can enter. Raises TransferError if someone else has made it."""
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"cwlbalsam-{os.getuid()}"
    if len(str(folder)) > 60:
        folder = Path(f"/tmp/cwlbalsam-{os.getuid()}")  # noqa: S108 -- its owner and mode are checked
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077 or not stat.S_ISDIR(found.st_mode):
        raise TransferError(Trouble.OTHER, f"{folder} is not this user's own: remove it, or set XDG_RUNTIME_DIR")
    return folder


def scp_place(ssh: Ssh, path: str) -> str:
    """A place as scp takes it: by the SFTP protocol no shell sees it, but a pattern is expanded."""
    escaped = "".join(f"\\{sign}" if sign in "*?[]{}\\~" else sign for sign in path)
    host = f"[{ssh.host}]" if ":" in ssh.host else ssh.host
    return f"{host}:{escaped}"
