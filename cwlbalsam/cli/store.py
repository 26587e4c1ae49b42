"""`cwlbalsam store`."""

import time
from pathlib import Path

import click

from cwlbalsam.cli.tables import size
from cwlbalsam.service.home import find_home

# `service.stores` imports SQLAlchemy and the driver of PostgreSQL: only when a subcommand is called.


def _tell(line: str) -> None:
    click.echo(line, err=True)


@click.group("store")
def command() -> None:
    """Say where runs are kept: in SQLite, or on a PostgreSQL server for several hosts and heavy load.

    \b
    Examples:
      cwlbalsam store use postgres
      cwlbalsam store backup runs.db
      cwlbalsam store use sqlite
    """


@command.command("use")
@click.argument("engine", type=click.Choice(["sqlite", "postgres"]))
@click.argument("url", required=False, default="")
@click.option("--listen", default="", metavar="ADDRESS[:PORT]", help="Let other hosts reach the private server by TCP.")
def use(engine: str, url: str, listen: str) -> None:
    """Move all that is kept to another engine.

    No run may be active meanwhile. Without a URL, `postgres` makes a server of your own: no root is needed, it listens
    on a private socket, and it is started whenever it is needed. With a URL (postgresql://USER@HOST/DATABASE), the
    tables go into the schema 'cwlbalsam' there. `-` asks for the URL, or reads it from standard input: other users of
    this host can see command lines, so a URL with a password belongs there, or its password into ~/.pgpass.

    \b
    Examples:
      cwlbalsam store use postgres
      cwlbalsam store use postgres --listen login1.cluster
      cwlbalsam store use postgres - < url.txt
      cwlbalsam store use sqlite
    """
    if engine == "sqlite" and (url or listen):
        raise click.UsageError("SQLite takes neither a URL nor --listen.")
    if url and listen:
        raise click.UsageError("--listen is for the private server, which has no URL.")
    from cwlbalsam.service import stores

    if url == "-":
        url = click.prompt("URL", hide_input=True, prompt_suffix=": ", err=True).strip()
    home = find_home()
    if engine == "sqlite":
        stores.use_sqlite(home, _tell)
    else:
        stores.use_postgres(home, stores.Destination(url=url, listen=listen), _tell)


@command.command("status")
def status() -> None:
    """Show where runs are kept, and how many."""
    from cwlbalsam.service.stores import view_store

    view = view_store(find_home())
    lines = {"engine": view.engine, "place": view.place, "server": view.server}
    lines["size"] = size(view.size_bytes) if view.size_bytes else ""
    lines["runs"] = "" if view.runs is None else f"{view.runs:,}, {view.active} active"
    for name, value in lines.items():
        if value:
            click.echo(f"{name:8}{value}")


@command.command("stop")
def stop() -> None:
    """Stop the private server. Whatever needs it starts it again."""
    from cwlbalsam.service.stores import stop_server

    _tell("stopped" if stop_server(find_home()) else "it was not up")


@command.command("start")
def start() -> None:
    """Start the private server, if it is not up."""
    from cwlbalsam.service.stores import start_server

    start_server(find_home())


@command.command("backup")
@click.argument("file", type=click.Path(path_type=Path), required=False)
def backup(file: Path | None) -> None:
    """Write a copy of the store to FILE.

    Runs may go on meanwhile. Without FILE it is cwlbalsam-DATE.db here. The copy is a SQLite file, also if the store is
    on PostgreSQL. Job directories are not in it.
    """
    from cwlbalsam.service.stores import back_up

    file = file or Path(time.strftime("cwlbalsam-%Y%m%d-%H%M%S.db"))
    back_up(find_home(), file, _tell)
    click.echo(file)


@command.command("restore")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask.")
def restore(file: Path, yes: bool) -> None:
    """Replace all that is kept by a backup."""
    from cwlbalsam.service import stores

    if not yes:
        click.confirm("All runs that are in the store now will be forgotten. Go on?", abort=True, err=True)
    stores.restore(find_home(), file, _tell)
