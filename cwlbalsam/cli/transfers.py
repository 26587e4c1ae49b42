"""`cwlbalsam transfers`: what was brought from site to site."""

import time
from contextlib import closing

import click

from cwlbalsam.cli.output import print_object
from cwlbalsam.cli.tables import duration, plain, print_table, size
from cwlbalsam.jobs.ids import short_run_id

RUNS = 20


@click.group("transfers")
def command() -> None:
    """Show what was brought from site to site.

    \b
    Examples:
      cwlbalsam transfers ls
      cwlbalsam transfers ls 0199e6a2-4c1f --files
    """


@command.command("ls")
@click.argument("run", default="")
@click.option("--files", is_flag=True, help="List the files, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_transfers(run: str, files: bool, as_json: bool) -> None:
    """List the transfers of RUN, or of the latest runs.

    Each line is a batch of files: their size, the time taken, the protocol and what went wrong.
    """
    from cwlbalsam.service.home import find_home
    from cwlbalsam.service.transfer_log import transfers_of
    from cwlbalsam.store import open_store

    with closing(open_store(find_home().path)) as store:
        runs = [store.run(run)] if run else store.runs(RUNS)
    found = [transfers_of(each) for each in runs]
    if as_json:
        return print_object([each for each in found if each.transfers or run])
    rows = []
    for each in found:
        for ended in each.transfers:
            record = ended.record
            rate = f"{size(int(record.size_bytes / record.seconds))}/s" if record.seconds else ""
            rows.append(
                [
                    short_run_id(each.run),
                    time.strftime("%H:%M:%S", time.localtime(record.started)),
                    f"{record.source} -> {record.target}",
                    record.protocol,
                    str(record.files),
                    size(record.size_bytes),
                    duration(record.seconds),
                    rate,
                    str(record.attempt + 1),
                    plain(record.message) or "-",
                ]
            )
            if files:
                rows += [["", "", plain(target), *[""] * 7] for _, target in ended.arrived]
    if not rows:
        return click.echo("nothing was transferred", err=True)
    header = ["RUN", "STARTED", "WAY", "PROTOCOL", "FILES ", "SIZE ", "TIME ", "RATE ", "ATTEMPT ", "TROUBLE"]
    return print_table(header, rows)
