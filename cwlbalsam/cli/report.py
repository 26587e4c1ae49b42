"""`cwlbalsam report`."""

from contextlib import closing
from pathlib import Path

import click

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.ids import short_run_id
from cwlbalsam.service.home import find_home
from cwlbalsam.store import open_store


@click.command("report")
@click.argument("run")
@click.option("-o", "--output", default="", help="The page; - for stdout. [default: report-RUN.html]", metavar="FILE")
def command(run: str, output: str) -> None:
    """Write a page about RUN: its timeline, what each step took, what failed, and the workflow's drawing.

    The page is one file that needs no network: it can be kept, mailed and printed.

    \b
    Examples:
      cwlbalsam report 0199e6a2-4c1f
      cwlbalsam report 0199e6a2-4c1f -o report.html
    """
    from cwlbalsam.service.report import gather, write_page

    with closing(open_store(find_home().path)) as store:
        record = store.run(run)
        page = write_page(gather(store, record))
    if output == "-":
        click.echo(page, nl=False)
        return
    path = Path(output or f"report-{short_run_id(record.id)}.html")
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    click.echo(f"{path}", err=True)
