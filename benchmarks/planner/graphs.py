"""Schedule quality without data: task graphs on equal processors, whose optimum is known."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from benchmarks.peers import default_cache
from benchmarks.planner.data import Graph, data_option, read_graphs, read_optima
from benchmarks.planner.results import Table, keep, results_option
from cwlbalsam.planner.check import faults
from cwlbalsam.planner.improve import Effort
from cwlbalsam.planner.problem import Duration, Job, Option, Problem, Site, Window, Work
from cwlbalsam.planner.schedule import make_plan

PROCESSORS = (2, 4, 8, 16)
COLUMNS = (
    "processors",
    "graphs",
    "mean to recorded",
    "worst",
    "recorded too low",
    "mean to optimum",
    "worst",
    "by list: mean",
    "worst",
    "optimal",
    "longest s",
)


class Sample(Struct, kw_only=True):
    """recorded: the optimum that comes with the data. proven: by CP-SAT, 0 where it was not asked."""

    graph: str
    processors: int
    planned: float
    listed: float
    recorded: float
    bound: float
    seconds: float
    evaluations: int
    proven: float = 0.0

    @property
    def least(self) -> float:
        """The best bound that is known: where a proof is above the recorded optimum, that cannot be one."""
        return max(self.recorded, self.bound, self.proven)


@click.command()
@data_option
@results_option
@click.option("--seconds", default=0.8, show_default=True, help="For the search, a graph.")
@click.option("--every", default=1, show_default=True, help="Take each N-th graph only.")
@click.option("--prove", default=2.0, show_default=True, help="Seconds for CP-SAT, a graph; 0: do not ask it.")
def main(data: Path, results: Path, seconds: float, every: int, prove: float) -> None:
    """The Standard Task Graphs of 50 tasks on 2, 4, 8 and 16 processors."""
    graphs = read_graphs(data)[::every]
    samples: list[Sample] = []
    for processors in PROCESSORS:
        optima = read_optima(data, processors)
        samples += [_measure(graph, processors, optima[graph.name], seconds) for graph in graphs]
        click.echo(f"{processors} processors done", err=True)
    if prove:
        _prove([one for one in samples if one.planned > one.recorded], {one.name: one for one in graphs}, prove)
    rows = [_row([one for one in samples if one.processors == count], str(count)) for count in PROCESSORS]
    keep(
        Table(
            experiment="graphs",
            title="Task graphs of 50 tasks on equal processors, against their optimum",
            columns=COLUMNS,
            rows=[*rows, _row(samples, "all")],
            remarks=(
                "recorded: the optima that come with the data; some are *too low*: CP-SAT proves that none is as short",
                "optimum: the recorded one, or the bound that CP-SAT has proven where that is higher",
                "by list: bottom-level list scheduling alone, to the same optimum; optimal: plans that reach it",
                "seconds: of the processor, which limits the search, too: wall time where nothing else runs",
                "every plan has passed the checker",
            ),
            samples=[msgspec.to_builtins(one) for one in samples],
        ),
        results,
    )


def graph_problem(graph: Graph, processors: int) -> Problem:
    """One site of one node, a processor a core."""
    works = tuple(Work(str(length), (Option(0, Duration(length), cores=1),)) for length in graph.seconds)
    jobs = tuple(Job(str(task), task, after=after) for task, after in enumerate(graph.parents))
    return Problem(jobs=jobs, works=works, sites=(Site("here", (Window(1),), cores=processors),))


def _measure(graph: Graph, processors: int, recorded: float, seconds: float) -> Sample:
    problem = graph_problem(graph, processors)
    started = time.process_time()
    plan = make_plan(problem, Effort(evaluations=sys.maxsize, seconds=seconds), time.process_time)
    spent = time.process_time() - started
    listed = make_plan(problem, Effort(evaluations=0))
    for one in (plan, listed):
        wrong = faults(problem, one)
        if wrong:
            raise click.ClickException(f"{graph.name}: {wrong[0]}")
    return Sample(
        graph=graph.name,
        processors=processors,
        planned=plan.makespan,
        listed=listed.makespan,
        recorded=recorded,
        bound=plan.bound,
        seconds=spent,
        evaluations=plan.evaluations,
    )


def _prove(samples: Sequence[Sample], graphs: dict[str, Graph], limit: float) -> None:
    python = _solver()
    asked = [
        {
            "seconds": graphs[one.graph].seconds,
            "parents": graphs[one.graph].parents,
            "processors": one.processors,
        }
        for one in samples
    ]
    text = json.dumps({"seconds": limit, "graphs": asked})
    script = Path(__file__).with_name("prove.py")
    done = subprocess.run([python, script], input=text, capture_output=True, text=True, check=True)
    for one, (_, bound) in zip(samples, json.loads(done.stdout), strict=True):
        if bound > one.planned + 1e-6:
            raise click.ClickException(
                f"{one.graph}: CP-SAT's bound {bound} is above a valid schedule of {one.planned}"
            )
        one.proven = bound


def _solver() -> Path:
    """A Python that has ortools, in an environment of its own."""
    folder = default_cache() / "ortools"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "ortools"], check=True)
        (folder / "installed").touch()
    return python


def _row(samples: Sequence[Sample], name: str) -> list[str]:
    recorded = [one.planned / one.recorded for one in samples]
    least = [one.planned / one.least for one in samples]
    listed = [one.listed / one.least for one in samples]
    return [
        name,
        str(len(samples)),
        f"{statistics.fmean(recorded):.4f}",
        f"{max(recorded):.3f}",
        str(sum(one.proven > one.recorded + 1e-6 or one.bound > one.recorded + 1e-6 for one in samples)),
        f"{statistics.fmean(least):.4f}",
        f"{max(least):.3f}",
        f"{statistics.fmean(listed):.4f}",
        f"{max(listed):.3f}",
        str(sum(one.planned <= one.least + 1e-6 for one in samples)),
        f"{max(one.seconds for one in samples):.2f}",
    ]
