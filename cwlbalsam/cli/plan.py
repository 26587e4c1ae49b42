"""`cwlbalsam plan`: where and when the jobs of a workflow would run."""

import math
import shutil
from pathlib import Path
from typing import Any

import click

from cwlbalsam.cli.document_options import document_options, read_options
from cwlbalsam.cli.output import print_object, print_text
from cwlbalsam.cli.tables import Number, Span, duration, plain, print_table, size
from cwlbalsam.planner.gantt import chart
from cwlbalsam.planner.improve import Effort
from cwlbalsam.planner.problem import HOUR
from cwlbalsam.service.inputs import split_arguments, swap_tool
from cwlbalsam.service.plan_chart import write_chart
from cwlbalsam.service.planning import Planned, Wishes, bytes_moved, jobs_that_run, plan_document, summary, why

SHOWN = 20


@click.command("plan", context_settings={"allow_interspersed_args": True})
@click.argument("document")
@click.argument("arguments", nargs=-1, metavar="[INPUTS]")
@click.option(
    "--sites", "--plan", default="local", show_default=True, metavar="NAME[,NAME...]", help="Where jobs may run."
)
@click.option("--site", "rules", multiple=True, metavar="STEP=NAME", help="Where the tools of a step run. Repeatable.")
@click.option("--sites-file", "site_files", multiple=True, metavar="FILE", help="A further file with sites.")
@click.option("--max-node-hours", type=Number(min=0), default=math.inf, metavar="N", help="Of all jobs together.")
@click.option(
    "--min-efficiency",
    type=Number(0, 1),
    default=0.0,
    metavar="F",
    help="Least parallel efficiency of a job.",
)
@click.option("--deadline", type=Span(), default=math.inf, help="When all must have ended, from now: 90m, 2h.")
@click.option("--least-node-hours", is_flag=True, help="Spend as little as the deadline allows.")
@click.option("--effort", type=Span(), default=1.0, metavar="TIME", help="How long to look for a better plan. [1s]")
@click.option("--seed", default=0, metavar="N", help="Of the search.")
@click.option("--svg", default="", metavar="FILE", help="Write a Gantt chart.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option("--all", "all_jobs", is_flag=True, help=f"List all jobs, not the first {SHOWN} only.")
@document_options
def command(document: str, arguments: tuple[str, ...], svg: str, as_json: bool, all_jobs: bool, **given: Any) -> None:
    """Show where and when each job of DOCUMENT would run, how long all takes and what it costs.

    Times are learned from earlier runs (`cwlbalsam models`); what is not known yet is assumed, and the assumptions are
    listed. `cwlbalsam run --plan NAME[,NAME...]` follows such a plan.

    \b
    cwlbalsam plan workflow.cwl inputs.yml
    cwlbalsam plan workflow.cwl inputs.yml --sites local,cluster --max-node-hours 10 --svg plan.svg
    cwlbalsam plan --deadline 2h workflow.cwl -- --reads a.fastq --depth 3      (inputs as arguments come after --)
    """
    names = tuple(name for name in given.pop("sites").split(",") if name)
    rules = given.pop("rules")
    if unfit := [rule for rule in rules if "=" not in rule]:
        raise click.UsageError(f"--site {unfit[0]}: give STEP=NAME, or --sites {unfit[0]} for all steps")
    given |= {"step_sites": rules, "sites": given.pop("site_files"), "directory": str(Path.cwd())}
    wishes = Wishes(
        sites=names,
        max_node_hours=given.pop("max_node_hours"),
        min_efficiency=given.pop("min_efficiency"),
        deadline_seconds=given.pop("deadline"),
        least_node_hours=given.pop("least_node_hours"),
        effort=Effort(seconds=given.pop("effort"), seed=given.pop("seed")),
    )
    document, source = swap_tool(document, split_arguments(arguments), base=Path.cwd())
    planned = plan_document(document, source, read_options(given), wishes)
    if svg:
        print_text(write_chart(planned), svg)
    if as_json:
        print_object(summary(planned))
    else:
        print_plan(planned, all_jobs)


def print_plan(planned: Planned, all_jobs: bool = False) -> None:
    """The assignment, the Gantt chart, and the sums."""
    problem, plan, interval = planned.problem, planned.plan, planned.interval
    jobs = jobs_that_run(planned)
    shown = jobs if all_jobs else jobs[:SHOWN]
    rows = [
        [
            name,
            problem.sites[placed.site].name,
            f"{len(placed.nodes)} x {placed.cores}",
            duration(placed.start),
            duration(placed.end),
            why(planned, placed),
        ]
        for name, placed in shown
    ]
    print_table(["JOB", "SITE", "NODES X CORES ", "START ", "END ", "WHY THEN"], rows)
    if len(jobs) > len(shown):
        click.echo(f"... and {len(jobs) - len(shown):,} more (--all)")
    click.echo()
    for line in chart(problem, plan, shutil.get_terminal_size((100, 24)).columns):
        click.echo(plain(line))
    click.echo()
    likely = f"{duration(interval.low)} to {_long(interval.high)} with a probability of {interval.probability:.0%}"
    click.echo(f"time         {_long(interval.median)} ({likely})")
    if any(option.seconds.spread for work in problem.works for option in work.options):
        click.echo(
            f"             {duration(plan.makespan)} if every job takes its median, as drawn; not below ", nl=False
        )
        click.echo(duration(plan.bound))
    click.echo(f"node-hours   {plan.node_seconds / HOUR:.4g}")
    click.echo(f"bytes moved  {size(bytes_moved(planned))}")
    for note in planned.notes:
        click.echo(f"note: {plain(note)}", err=True)


def _long(seconds: float) -> str:
    return duration(seconds) if seconds < math.inf else "longer than its nodes are there"
