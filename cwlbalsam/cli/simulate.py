"""`cwlbalsam simulate`: a batch machine under a recorded load."""

from pathlib import Path

import click

from cwlbalsam.cli.output import print_object
from cwlbalsam.cli.tables import duration, plain, print_table
from cwlbalsam.service.simulate import Simulation, simulate_log

BARS = " ▁▂▃▄▅▆▇█"
ROWS = 5
COLUMNS = 72


@click.command("simulate")
@click.option("--log", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Standard Workload Format.")
@click.option("--nodes", type=click.IntRange(min=1), metavar="N", help="Of the machine.  [default: what the log says]")
@click.option("--policy", type=click.Choice(["easy", "conservative"]), default="easy", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(log: Path, nodes: int | None, policy: str, as_json: bool) -> None:
    """Simulate a batch machine: how long the jobs of a log would wait, and how well its nodes would be used.

    \b
    cwlbalsam simulate --log KTH-SP2-1996.swf.gz --policy conservative
    """
    simulation = simulate_log(log, nodes, policy, COLUMNS)
    if as_json:
        print_object(simulation)
    else:
        _show(simulation)


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
