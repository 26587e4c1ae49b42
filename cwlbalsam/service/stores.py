"""Moves a home's store from one engine to the other, and keeps copies of it.

A copy is a SQLite store, whichever engine it was made of. A move counts when the home's choice is written, which is one
rename; what is left behind stays until the next move.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.ids import short_run_id
from cwlbalsam.service.home import Home
from cwlbalsam.service.runs import liveness
from cwlbalsam.store import STORE_NAME, Store, create_sqlite, open_sqlite, open_store, whole
from cwlbalsam.store import server as servers
from cwlbalsam.store.choice import Choice, Server, read_choice, read_secret, write_choice, write_secret
from cwlbalsam.store.host import locked
from cwlbalsam.store.migrate import begin_sqlite
from cwlbalsam.store.moving import copy_store
from cwlbalsam.store.postgres_home import LOCK_NAME, chosen_server, ensure_up, open_link, split_url
from cwlbalsam.store.postgres_link import set_password

Tell = Callable[[str], None]

MOVED = ("runs", "jobs", "edges", "events", "programs")
"""What is told of; sessions are of no interest to people."""


class StoreView(Struct, frozen=True, kw_only=True):
    """A store as people see it. place: a folder, a file or a URL without its password. server: "" if it needs none or
    is not ours, else whether and how it is up. runs, active: None if it is down."""

    engine: str
    place: str
    server: str = ""
    size_bytes: int = 0
    runs: int | None = None
    active: int | None = None


class Destination(Struct, frozen=True, kw_only=True):
    """Which PostgreSQL is asked for. url: "" for a private server. listen: ADDRESS[:PORT], "" for no TCP."""

    url: str = ""
    password: str = ""
    listen: str = ""


def use_postgres(home: Home, wanted: Destination, tell: Tell) -> None:
    """Moves from SQLite to PostgreSQL; lets a private server listen if the store is there already.

    Raises UserError if runs are active or the server cannot be used.
    """
    with _moving(home) as choice:
        if choice.engine == "postgres":
            if choice.server is None or wanted.url or not wanted.listen:
                raise UserError("the store is on PostgreSQL already", hint="`cwlbalsam store status` tells where")
            _listen(home, choice.server, wanted.listen)
            return
        _refuse_active(home)  # before a server is made for nothing
        with ExitStack() as undo:
            undo.callback(write_secret, home.path, "")
            new = _of_ones_own(home, wanted) if wanted.url else _private(home, wanted, tell, undo)
            with whole.exclusive(home.path, choice) as source:
                _refuse_active(home)
                with whole.exclusive(home.path, new) as target:
                    _copy(source, target, tell)
                write_choice(home.path, new)
            undo.pop_all()


def use_sqlite(home: Home, tell: Tell) -> None:
    """Moves from PostgreSQL to SQLite, and stops a private server. Raises UserError if runs are active."""
    with _moving(home) as choice:
        if choice.engine == "sqlite":
            raise UserError("the store is on SQLite already")
        _refuse_active(home)
        new = home.path / f"{STORE_NAME}.moved"
        create_sqlite(new)
        with whole.exclusive(home.path, choice) as source:
            _refuse_active(home)
            with begin_sqlite(new) as target:
                _copy(source, target, tell)
            whole.put_in_place(new, home.path / STORE_NAME)
            write_choice(home.path, Choice())
        write_secret(home.path, "")
        if choice.server is not None:
            servers.stop(choice.server)


def back_up(home: Home, file: Path, tell: Tell) -> None:
    """Writes a copy of the store as it is at one moment; runs may go on. Raises UserError."""
    if file.exists():
        raise UserError(f"{file} exists", hint="name another file, or remove it")
    new = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        new.touch(mode=0o600)
        choice = read_choice(home.path)
        if choice.engine == "sqlite":
            open_sqlite(home.path).close()
            whole.copy_file(home.path / STORE_NAME, new)
        else:
            create_sqlite(new)
            with whole.snapshot(home.path, choice) as source, begin_sqlite(new) as target:
                _copy(source, target, tell)
            whole.in_one_file(new)
        new.chmod(0o600)
        new.rename(file)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        new.unlink(missing_ok=True)


def restore(home: Home, file: Path, tell: Tell) -> None:
    """Puts a copy in the store's place, with all that was there lost. Raises UserError if runs are active."""
    with _moving(home) as choice:
        _refuse_active(home)
        new = home.path / f"{STORE_NAME}.restored"
        try:
            whole.copy_file(file, new)
            whole.upgrade_copy(new)
            with whole.exclusive(home.path, choice) as target:
                _refuse_active(home)
                if choice.engine == "postgres":
                    whole.clear(target)
                    with begin_sqlite(new) as source:
                        _copy(source, target, tell)
            if choice.engine == "sqlite":
                whole.put_in_place(new, home.path / STORE_NAME)
            write_choice(home.path, choice)  # anew: who has the old one open must notice
        finally:
            new.unlink(missing_ok=True)


def stop_server(home: Home) -> bool:
    """False if it was not up. Raises UserError if runs are active, which would start it again."""
    server = chosen_server(home.path)
    if not servers.running_pid(server):
        return False
    _refuse_active(home)
    with locked(home.path / LOCK_NAME):
        return servers.stop(server)


def start_server(home: Home) -> None:
    """Does nothing if it is up. Raises UserError."""
    ensure_up(home.path, chosen_server(home.path))


def view_store(home: Home) -> StoreView:
    """Starts nothing. Raises UserError if a server of one's own cannot be reached."""
    choice = read_choice(home.path)
    if choice.engine == "sqlite":
        path = home.path / STORE_NAME
        size = path.stat().st_size if path.exists() else 0
        return _counted(home, StoreView(engine="sqlite", place=str(path), size_bytes=size))
    if choice.server is None:
        return _counted(home, StoreView(engine="postgres", place=choice.url))
    server = choice.server
    size = sum(file.stat().st_size for file in Path(server.data).rglob("*") if file.is_file())
    view = StoreView(engine="postgres", place=server.data, size_bytes=size, server="down")
    if not servers.answers(server):
        return view
    tcp = f", TCP {server.listen}:{server.port}" if server.listen else ""
    told = f"up, process {servers.running_pid(server)}, socket {servers.socket_path(server)}{tcp}"
    return _counted(home, msgspec.structs.replace(view, server=told))


def _counted(home: Home, view: StoreView) -> StoreView:
    with closing(open_store(home.path)) as store:
        return msgspec.structs.replace(view, runs=len(store.runs()), active=len(active_runs(store)))


@contextmanager
def _moving(home: Home) -> Iterator[Choice]:
    """One at a time. Gives the choice as it is."""
    home.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(home.path / "store.move.lock"):
        yield read_choice(home.path)


def _refuse_active(home: Home) -> None:
    with closing(open_store(home.path)) as store:
        active = active_runs(store)
    if active:
        names = "\n".join(short_run_id(run) for run in active[:10])
        raise UserError(
            f"{len(active)} {'run is' if len(active) == 1 else 'runs are'} active",
            hint=f"{names}\nwait, or end them with `cwlbalsam kill`",
        )


def active_runs(store: Store) -> list[str]:
    """Runs that have not ended, and whose process is there, or on another host and may be."""
    return [run.id for run in store.runs(0, ["running"]) if liveness(run) != "gone"]


def _of_ones_own(home: Home, wanted: Destination) -> Choice:
    url, password = split_url(wanted.url)
    write_secret(home.path, wanted.password or password)
    return Choice(engine="postgres", url=url)


def _private(home: Home, wanted: Destination, tell: Tell, undo: ExitStack) -> Choice:
    address, port = split_address(wanted.listen)
    server = servers.plan_server(home.path, address, port)
    tell("making a PostgreSQL server")
    servers.stop(server)  # of a move that was broken off
    servers.create_data(server)
    servers.start(server)
    undo.callback(servers.stop, server)
    choice = Choice(engine="postgres", server=server)
    if server.listen:
        _give_password(home, choice)
    return choice


def _listen(home: Home, server: Server, listen: str) -> None:
    _refuse_active(home)
    address, port = split_address(listen)
    planned = servers.plan_server(home.path, address, port)
    new = msgspec.structs.replace(server, listen=planned.listen, port=planned.port)
    servers.stop(server)
    choice = Choice(engine="postgres", server=new)
    write_choice(home.path, choice)
    _give_password(home, choice)


def _give_password(home: Home, choice: Choice) -> None:
    secret = read_secret(home.path) or secrets.token_urlsafe(24)
    with closing(open_link(home.path, choice)) as link:
        set_password(link, secret)
    write_secret(home.path, secret)


def split_address(listen: str) -> tuple[str, int]:
    """ADDRESS[:PORT] or [ADDRESS]:PORT; 0 for any port. Raises UserError."""
    address, colon, port = listen.rpartition(":")
    if not colon or (":" in address and not address.endswith("]")):
        address, port = listen, "0"
    if not port.isdecimal() or int(port) > 65535:
        raise UserError(f"'{listen}' is no ADDRESS[:PORT]")
    return address.strip("[]"), int(port)


def _copy(source: Connection, target: Connection, tell: Tell) -> None:
    counted = copy_store(source, target)
    tell(", ".join(f"{counted[name]:,} {name}" for name in MOVED))
