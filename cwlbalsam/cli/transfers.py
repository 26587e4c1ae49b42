"""`cwlbalsam transfers ls`."""

from contextlib import closing

import click
import msgspec

from cwlbalsam.cli.tables import duration, print_table, size, when
from cwlbalsam.service.home import find_home
from cwlbalsam.store import open_store
from cwlbalsam.store.transfers import TransferStore


@click.group("transfers")
def command() -> None:
    """What was moved between sites."""


@command.command("ls")
@click.option("-n", "limit", default=20, show_default=True, type=click.IntRange(0), help="At most N; 0: all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_transfers(limit: int, as_json: bool) -> None:
    """List transfers between sites, the newest first: batches of files, each by one protocol.

    TRY is 1 for the first attempt. What has failed is tried again, by another protocol or from another site.

    \b
    Examples:
      cwlbalsam transfers ls
      cwlbalsam transfers ls -n 0 --json
    """
    home = find_home().path
    open_store(home).close()  # made, or brought up to date
    with closing(TransferStore(home / "store.db")) as store:
        records = store.transfers(limit)
    if as_json:
        click.echo(msgspec.json.encode(records))
        return
    if not records:
        click.echo("no transfers", err=True)
        return
    rows = [
        [
            when(record.started),
            record.source,
            record.target,
            record.protocol,
            str(record.files),
            size(record.size_bytes),
            duration(record.seconds),
            f"{size(record.size_bytes / max(record.seconds, 1e-3))}/s",
            str(record.attempt + 1),
            f"{record.failed} failed: {record.message}" if record.trouble else "",
        ]
        for record in records
    ]
    header = ["STARTED", "FROM", "TO", "PROTOCOL", "FILES ", "SIZE ", "TIME ", "RATE ", "TRY ", "TROUBLE"]
    print_table(header, rows)
