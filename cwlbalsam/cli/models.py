"""`cwlbalsam models`."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from cwlbalsam.cli.output import print_text
from cwlbalsam.cli.tables import plain, plain_lines, print_table, size
from cwlbalsam.service.home import find_home
from cwlbalsam.store import open_store

if TYPE_CHECKING:
    from cwlbalsam.planner.models.book import Book


@click.group("models")
def command() -> None:
    """Show what was learned from earlier jobs of how long applications take and how much memory they need.

    An application is a tool, whatever workflow calls it. Models follow from the runs in the store and from imports.

    \b
    Examples:
      cwlbalsam models ls
      cwlbalsam models show align --svg align.svg
      cwlbalsam models export -o models.json
      cwlbalsam models import models.json
    """


@command.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_models(as_json: bool) -> None:
    """List applications and how long their jobs take.

    TIME is what the usual job takes, INTERVAL what 90 of 100 lie in, MATTERS the inputs that it depends on.
    """
    from cwlbalsam.service.model_views import line_of

    lines = [line_of(page) for page in _book().pages]
    if as_json:
        click.echo(msgspec.json.encode(lines))
        return
    if not lines:
        click.echo("no application has run yet", err=True)
        return
    rows = [
        [
            line.key[:12],
            line.name,
            str(line.jobs),
            str(line.timeouts or ""),
            _time(line.median_seconds),
            f"{_time(line.low_seconds)} to {_time(line.high_seconds)}",
            size(line.memory_bytes) if line.memory_bytes else "",
            ", ".join(line.matters),
        ]
        for line in lines
    ]
    print_table(["KEY", "APPLICATION", "JOBS ", "TIMEOUTS ", "TIME ", "INTERVAL", "MEMORY ", "MATTERS"], rows)


@command.command("show")
@click.argument("application")
@click.option("--svg", default="", metavar="FILE", help="Write the drawing there, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the curve, its interval and the jobs.")
def show_model(application: str, svg: str, as_json: bool) -> None:
    """Draw the times of an application's jobs.

    APPLICATION is a name, or the first characters of a key. The curve is the fit, with its interval.
    """
    from cwlbalsam.service.model_views import curve_of, fitted, line_of, write_svg, write_text
    from cwlbalsam.service.models import find_page

    page = find_page(_book(), application)
    curve = curve_of(page)
    if svg:
        print_text(write_svg(curve), svg)
    if as_json:
        click.echo(msgspec.json.encode(curve))
        return
    line = line_of(page)
    about = {
        "application": page.name,
        "key": page.key,
        "jobs": f"{line.jobs}, {line.timeouts} of them ended by their time limit" if line.timeouts else str(line.jobs),
        "usual time": f"{_time(line.median_seconds)}, 90 of 100 between {_time(line.low_seconds)} and "
        f"{_time(line.high_seconds)}",
        "memory": size(line.memory_bytes) if line.memory_bytes else "",
        "matters": ", ".join(f"{name} {100 * share:.0f} %" for name, share in fitted(page).relevance().items()),
    }
    for name, text in about.items():
        if text:
            click.echo(f"{name + ':':<13}{plain(text)}")
    click.echo(f"\n{plain_lines(write_text(curve))}")


@command.command("export")
@click.argument("applications", nargs=-1)
@click.option("-o", "--output", default="", help="A file instead of stdout.", metavar="FILE")
def export_models(applications: tuple[str, ...], output: str) -> None:
    """Write what was observed as JSON, for another home.

    Of APPLICATIONS, or of all if none is named; `models import` reads it.
    """
    from cwlbalsam.planner.models.book import Book, encode_book
    from cwlbalsam.service.models import find_page

    book = _book()
    if applications:
        book = Book(pages=tuple(find_page(book, name) for name in dict.fromkeys(applications)))
    print_text(encode_book(book).decode(), output)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
def import_models(file: Path) -> None:
    """Learn from FILE, an export of another home. What is known already counts once."""
    from cwlbalsam.service.models import import_book, read_export

    book = read_export(file)
    import_book(find_home(), book)
    jobs = sum(len(page.observations) for page in book.pages)
    click.echo(f"{len(book.pages)} applications, {jobs} jobs", err=True)


def _time(value: float) -> str:
    from cwlbalsam.service.report.units import seconds

    return seconds(value)


def _book() -> "Book":
    from cwlbalsam.service.models import read_book

    home = find_home()
    with closing(open_store(home.path)) as store:
        return read_book(store, home)
