"""`cwlbalsam simulate`: a batch machine under a recorded load, alone or with a document's jobs."""

import sys
from pathlib import Path
from typing import Any

import click

from cwlbalsam.cli.document_options import document_options, read_options
from cwlbalsam.cli.output import print_object
from cwlbalsam.cli.tables import Number, Span, duration, plain, print_table
from cwlbalsam.errors import UserError
from cwlbalsam.service.inputs import split_arguments, swap_tool
from cwlbalsam.service.simulate import Simulation, simulate_log
from cwlbalsam.service.simulate_document import (
    DocumentSimulation,
    MachineWish,
    Wishes,
    parse_machine,
    simulate_document,
)

BARS = " ▁▂▃▄▅▆▇█"
ROWS = 5
COLUMNS = 72


@click.command("simulate", context_settings={"allow_interspersed_args": True})
@click.argument("document", required=False)
@click.argument("arguments", nargs=-1, metavar="[INPUTS]")
@click.option("--log", default="", metavar="FILE", help="In the Standard Workload Format, maybe compressed.")
@click.option("--nodes", type=click.IntRange(min=1), metavar="N", help="Of the machine.  [default: what the log says]")
@click.option(
    "--machine",
    "machines",
    multiple=True,
    metavar="NAME=[LOG][:NODES]",
    help="One of several machines; without a log its load is made up.",
)
@click.option("--policy", type=click.Choice(["easy", "conservative"]), default="easy", show_default=True)
@click.option(
    "--instants",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="How many, drawn at random.",
)
@click.option("--at", type=Span(), metavar="TIME", help="One instant, so long after the begin of the logs: 12h, 30d.")
@click.option("--cores", type=click.IntRange(min=1), metavar="N", help="Of a node.  [default: as this machine has]")
@click.option("--load", "share", type=Number(0.05, 1), default=0.8, show_default=True, metavar="F", help="If made up.")
@click.option("--seed", default=0, metavar="N", help="Of all that is drawn.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@document_options
def command(
    document: str | None,
    arguments: tuple[str, ...],
    log: str,
    nodes: int | None,
    machines: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Simulate batch machines under load.

    Without DOCUMENT: how long the jobs of a log would wait, and how well the machine would be used. With it: when its
    jobs would be done that come at some instant of the log, in pilots or by what people do without them.

    \b
    cwlbalsam simulate --log KTH-SP2-1996.swf.gz --policy conservative
    cwlbalsam simulate workflow.cwl inputs.yml --log KTH-SP2-1996.swf.gz
    cwlbalsam simulate workflow.cwl inputs.yml --machine theta=theta.swf.gz --machine other=:512
    """
    names = ("policy", "instants", "at", "cores", "share", "seed")
    asked = {name: given.pop(name) for name in names}
    if document is None:
        if not log or machines:
            raise UserError("without a document there is one log to replay", hint="cwlbalsam simulate --log FILE")
        simulation = simulate_log(Path(log), nodes, asked["policy"], COLUMNS)
        print_object(simulation) if as_json else _show(simulation)
        return
    wishes = Wishes(machines=_machines(log, nodes, machines), **{**asked, "cores": asked["cores"] or 0})
    document, source = swap_tool(document, split_arguments(arguments), base=Path.cwd())
    found = simulate_document(document, source, read_options(given), wishes, _tell)
    print_object(found) if as_json else _show_document(found)


def _machines(log: str, nodes: int | None, machines: tuple[str, ...]) -> tuple[MachineWish, ...]:
    found = [*([MachineWish("batch", log, nodes or 0)] if log else []), *map(parse_machine, machines)]
    if not found:
        raise UserError(
            "no machine is given", hint="--log FILE, or --machine NAME=LOG; --machine NAME=:NODES needs none"
        )
    names = [wish.name for wish in found]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two machines are called {name!r}")
    return tuple(found)


def _tell(done: int, of: int) -> None:
    """How far it is, where somebody looks."""
    if sys.stderr.isatty():
        click.echo(f"\rinstant {done} of {of}\033[K" if done < of else "\r\033[K", err=True, nl=False)


def _show_document(found: DocumentSimulation) -> None:
    machines = ", ".join(f"{name} ({nodes:,} nodes)" for name, nodes in found.machines.items())
    count = len(found.instants)
    work = f"{found.tasks:,} tasks of a node or more, {found.node_hours:,.3g} node-hours"
    click.echo(f"{plain(found.document)}: {work}, on {machines}")
    click.echo(f"{count} instant{'s' * (count > 1)}; times are medians, and within which 9 of 10 lie\n")
    rows = [
        (
            one.policy,
            _time(one.median),
            f"{_time(one.low)} - {_time(one.high)}",
            _time(one.first_start),
            _time(one.mean_wait),
            f"{one.node_hours:,.3g}",
            f"{one.wasted:.0%}",
            f"{one.batch_jobs:,.3g}",
            f"{one.others_wait:+.2%}",
        )
        for one in found.results
    ]
    header = ["", "DONE AFTER ", "9 OF 10 ", "FIRST START ", "MEAN WAIT ", "NODE-HOURS ", "WASTED ", "BATCH JOBS "]
    print_table([*header, "OTHERS' WAIT "], rows)
    for note in found.notes:
        click.echo(f"note: {plain(note)}", err=True)


def _time(seconds: float | None) -> str:
    return "never" if seconds is None else duration(seconds)


def _show(simulation: Simulation) -> None:
    found = simulation.statistics
    dropped = f", {simulation.dropped:,} that used nothing left out" if simulation.dropped else ""
    click.echo(
        f"{plain(simulation.log)}: {found.jobs:,} jobs on {simulation.nodes:,} nodes, {simulation.policy}{dropped}"
    )
    rows = [
        ("mean wait", duration(found.mean_wait_seconds)),
        ("median wait", duration(found.median_wait_seconds)),
        ("mean bounded slowdown", f"{found.mean_bounded_slowdown:.3f}"),
        ("utilisation", f"{found.utilisation:.1%}"),
        ("node-hours", f"{found.node_hours:,.0f}"),
        ("time", duration(found.end - found.begin)),
    ]
    print_table(["", " "], rows)
    click.echo("\n".join(["", *plot(simulation.utilisation)]))


def plot(shares: list[float]) -> list[str]:
    """Lines of a bar chart of numbers from 0 to 1, ROWS high."""
    lines = []
    for row in reversed(range(ROWS)):
        levels = (min(max(round((share * ROWS - row) * 8), 0), 8) for share in shares)
        label = {ROWS - 1: "100% ", 0: "  0% "}.get(row, "     ")
        lines.append(f"{label}|{''.join(BARS[level] for level in levels)}".rstrip())
    return lines
