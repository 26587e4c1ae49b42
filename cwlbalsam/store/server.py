"""The user's own PostgreSQL server: made, started and stopped without anybody's help.

It listens on a socket in a private folder, where the kernel says who asks; by TCP only if it was made to, with a
password. It outlives the command that started it. Whoever starts or stops it holds the lock of the home.
"""

import hashlib
import os
import shutil
import signal
import socket
import stat
import time
from pathlib import Path

from cwlbalsam.errors import UserError
from cwlbalsam.store.binaries import Binaries, find_binaries
from cwlbalsam.store.choice import Server
from cwlbalsam.store.host import Host, mark_holder, read_holder, this_host
from cwlbalsam.store.identity import SYSTEM_DATA, server_identity

USER = "cwlbalsam"
DATABASE = "postgres"  # initdb makes it; the tables are in a schema of their own
SOCKETS = Path("/tmp")  # noqa: S108 - TMPDIR differs between shells and batch jobs, and a socket's path is short
LOCK_NAME = "postmaster.pid"
PROC = Path("/proc")
START_SECONDS = 60
STOP_SECONDS = 60.0
DYING = ("shared memory", "lock file")
"""What a new server says while a killed one, or the last of its children, has not yet left."""

SETTINGS = """\
# Written by cwlbalsam at each start. Your own settings go into own.conf beside it.
listen_addresses = {listen}
port = {port}
unix_socket_directories = {sockets}
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 128MB
max_wal_size = 2GB
jit = off
password_encryption = 'scram-sha-256'
log_checkpoints = off
logging_collector = off
include_if_exists 'own.conf'
"""

LAUNCH = 'umask 077; "$0" -D "$1" > /dev/null 2>> "$2" < /dev/null & echo $!'

ACCESS = """\
# Written by cwlbalsam at each start.
local all {user} peer map=cwlbalsam
{tcp}
"""


def plan_server(home: Path, listen: str = "", port: int = 0) -> Server:
    """What a home's server is like; nothing is made yet."""
    identity = server_identity()
    digest = hashlib.sha256(f"{home} {os.geteuid()}".encode()).hexdigest()[:12]
    data = home / "postgres"
    if not identity.reaches(data):
        data = SYSTEM_DATA / digest
    return Server(
        host=this_host().name,
        data=str(data),
        sockets=str(SOCKETS / f"cwlbalsam-{digest}"),
        port=port or (_free_port(listen) if listen else 5432),
        listen=listen,
    )


def create_data(server: Server, *, durable: bool = True) -> None:
    """Makes an empty database, complete or not at all; what lies in its place is removed. Raises UserError.

    durable: False makes one that is quick and that a power cut may destroy.
    """
    identity = server_identity()
    binaries = find_binaries(identity)
    data = Path(server.data)
    new = data.with_name(f"{data.name}.new")
    for old in (new, data):
        shutil.rmtree(old, ignore_errors=True)
    identity.own(new)
    options = ("--username", USER, "--auth", "reject", "--locale", "C", "--encoding", "UTF8")
    quick = () if durable else ("--no-sync",)
    made = identity.run([binaries.path("initdb"), "--pgdata", str(new), *options, *quick])
    if made.returncode:
        shutil.rmtree(new, ignore_errors=True)
        raise UserError("PostgreSQL's initdb has failed", hint=made.stdout[-2000:])
    if not durable:
        (new / "own.conf").write_text("fsync = off\n", encoding="ascii")
        os.chown(new / "own.conf", new.stat().st_uid, new.stat().st_gid)
    new.rename(data)


def answers(server: Server) -> bool:
    """Whether it is up: it has read its data, and listens on its socket."""
    if _lock_lines(Path(server.data))[-1:] != ["ready"]:
        return False
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(socket_path(server))
        except OSError:
            return False
    return True


def socket_path(server: Server) -> str:
    return f"{server.sockets}/.s.PGSQL.{server.port}"


def start(server: Server) -> None:
    """Starts it if it is not up. The caller holds the home's lock. Raises UserError if it does not start."""
    if answers(server):
        return
    data = Path(server.data)
    _refuse_other_host(data)
    if running_pid(server):  # its socket was removed by whoever cleans /tmp
        stop(server)
    binaries = find_binaries(server_identity(), _data_version(data))
    _make_sockets(server)
    _write_settings(server)
    mark_holder(_holder(data), this_host())
    until = time.monotonic() + START_SECONDS
    while True:
        _unlock(data)
        told = _launch(server, binaries)
        if not told:
            return
        if not any(sign in told for sign in DYING) or time.monotonic() > until:
            raise UserError(f"PostgreSQL does not start in {data}", hint=told)
        time.sleep(0.2)


def stop(server: Server) -> bool:
    """Ends connections and the server; False if it was not up.

    Raises UserError if it does not end, or was started on another host.
    """
    _refuse_other_host(Path(server.data))
    pid = running_pid(server)
    if pid:
        os.kill(pid, signal.SIGINT)
        until = time.monotonic() + STOP_SECONDS
        while running_pid(server) == pid:
            if time.monotonic() > until:
                raise UserError(f"PostgreSQL, process {pid}, does not stop", hint=f"its log is {_log(server)}")
            time.sleep(0.01)
        shutil.rmtree(server.sockets, ignore_errors=True)
    _holder(Path(server.data)).unlink(missing_ok=True)
    return bool(pid)


def running_pid(server: Server) -> int:
    """The process of the server, 0 if it is not up on this host."""
    lines = _lock_lines(Path(server.data))
    pid = int(lines[0]) if lines and lines[0].isdecimal() and len(lines[0]) < 10 else 0
    if not pid or _is_dead(pid):
        return 0
    try:
        # Another process may have got the number since.
        return pid if not PROC.is_dir() or (PROC / str(pid) / "cwd").samefile(server.data) else 0
    except OSError:
        return 0


def _lock_lines(data: Path) -> list[str]:
    """What a server has written about itself: first its process, last how far it is."""
    try:
        return (data / LOCK_NAME).read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return []


def _is_dead(pid: int) -> bool:
    """Also if nobody has reaped it, which in a container may never happen."""
    try:
        os.kill(pid, 0)
        stat_line = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except ProcessLookupError:
        return True
    except OSError:
        return PROC.is_dir()  # it has ended just now
    return stat_line.rpartition(")")[2].split()[0] == "Z"


def _unlock(data: Path) -> None:
    """Removes what a dead server has left: PostgreSQL takes it for a living one until somebody reaps it.

    Whether its children are gone as well, the new one finds out by their shared memory.
    """
    pid = "".join(_lock_lines(data)[:1])
    if pid.isdecimal() and _is_dead(int(pid)):
        (data / LOCK_NAME).unlink(missing_ok=True)


def _launch(server: Server, binaries: Binaries) -> str:
    """Why it has not started; "" once it is up."""
    log = _log(server)
    before = log.stat().st_size if log.exists() else 0
    # Not by pg_ctl, which puts the paths into a command of the shell.
    launched = server_identity().run(["sh", "-c", LAUNCH, binaries.path("postgres"), server.data, str(log)])
    until = time.monotonic() + START_SECONDS
    while launched.stdout.strip().isdecimal() and not _is_dead(int(launched.stdout)):
        if answers(server):
            return ""
        if time.monotonic() > until:
            break
        time.sleep(0.01)
    return (log.read_bytes()[before:].decode(errors="replace") if log.exists() else launched.stdout)[-2000:]


def _write_settings(server: Server) -> None:
    """In place, so that the files stay the server user's."""
    data = Path(server.data)
    settings = SETTINGS.format(listen=_quoted(server.listen), port=server.port, sockets=_quoted(server.sockets))
    (data / "postgresql.conf").write_text(settings, encoding="utf-8")
    hosts = ("0.0.0.0/0", "::/0") if server.listen else ()
    tcp = "\n".join(f"host all {USER} {hosts_of} scram-sha-256" for hosts_of in hosts)
    (data / "pg_hba.conf").write_text(ACCESS.format(user=USER, tcp=tcp), encoding="utf-8")
    (data / "pg_ident.conf").write_text(f'cwlbalsam "{server_identity().client}" {USER}\n', encoding="utf-8")


def _make_sockets(server: Server) -> None:
    """Raises UserError if somebody else has taken the folder's name."""
    folder = Path(server.sockets)
    try:
        server_identity().own(folder)
    except FileExistsError:
        found = folder.lstat()
        mine = found.st_uid == Path(server.data).stat().st_uid and stat.S_ISDIR(found.st_mode)
        if not mine or found.st_mode & 0o077:
            raise UserError(f"{folder} is not a folder of yours alone", hint="remove it") from None
        for left in folder.iterdir():  # by a server that was killed
            left.unlink()


def _refuse_other_host(data: Path) -> None:
    holder, here = read_holder(_holder(data)), this_host()
    if holder is not None and not here.may_follow(holder):
        raise UserError(
            f"{data}: its server was started on host '{holder.name}', and this is '{here.name}'",
            hint=f"work on '{holder.name}', or run `cwlbalsam store stop` there;\n"
            f"`cwlbalsam store use postgres --listen ADDRESS` makes a server that other hosts can use;\n"
            f"if '{holder.name}' is gone for good, delete {_holder(data)}",
        )


def _holder(data: Path) -> Path:
    return data.with_name(f"{data.name}.host")


def running_host(server: Server) -> Host | None:
    """Where the server was started and not stopped."""
    return read_holder(_holder(Path(server.data)))


def _log(server: Server) -> Path:
    return Path(server.data) / "log"


def _data_version(data: Path) -> int:
    try:
        return int((data / "PG_VERSION").read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{data}: the data of PostgreSQL is gone or broken: {error}",
            hint="restore a backup, or delete store.json to begin with an empty store",
        ) from None


def _free_port(address: str) -> int:
    with socket.create_server((address, 0)) as found:
        return int(found.getsockname()[1])


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
