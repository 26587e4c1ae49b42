"""What planning costs: workflows of 1,000 to 100,000 jobs on four sites."""

import random
import subprocess
import sys
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from benchmarks.planner.results import Table, keep, results_option
from cwlbalsam.planner.problem import Data, Duration, Job, Link, Option, Problem, Site, Window, Work

SHAPES = ("scatter", "layers")
SITES = ((64, 1.0), (32, 1.4), (128, 0.7), (16, 2.0))
"""Nodes and speed."""


class Sample(Struct, frozen=True):
    """seconds: of the plan alone, checking and making up the problem left out. peak_bytes: of the whole process."""

    shape: str
    jobs: int
    seconds: float
    check_seconds: float
    problem_bytes: int
    peak_bytes: int
    makespan: float
    bound: float


def make_problem(shape: str, jobs: int) -> Problem:
    """scatter: chains of three alike jobs, and one that gathers; layers: all unlike, each with three random parents."""
    draw = random.Random(1)  # noqa: S311 - no secret
    sites = tuple(Site(f"site{number}", (Window(nodes),)) for number, (nodes, _) in enumerate(SITES))
    links = tuple(Link(a, b, 1e8, 0.1, shared=False) for a in range(4) for b in range(4) if a != b)
    made: list[Job] = []
    data = [Data(1e9, sites=(0,))]
    works: list[Work] = []

    def work(seconds: float) -> int:
        works.append(
            Work(f"work{len(works)}", tuple(Option(s, Duration(seconds / v)) for s, (_, v) in enumerate(SITES)))
        )
        return len(works) - 1

    def add(kind: int, inputs: tuple[int, ...]) -> int:
        made.append(Job(f"job{len(made)}", kind, inputs))
        data.append(Data(draw.uniform(1e6, 1e8), len(made) - 1))
        return len(data) - 1

    if shape == "scatter":
        kinds = [work(60.0), work(300.0), work(20.0)]
        ends = []
        for _ in range((jobs - 1) // 3):
            datum = 0
            for kind in kinds:
                datum = add(kind, (datum,))
            ends.append(datum)
        add(work(100.0), tuple(ends))
    else:
        width = max(jobs // 50, 10)
        for number in range(jobs):
            layer = number // width
            before = range(1 + (layer - 1) * width, 1 + layer * width)
            inputs = tuple(draw.sample(before, 3)) if layer else (0,)
            add(work(draw.lognormvariate(4, 1)), inputs)
    return Problem(jobs=tuple(made), works=tuple(works), sites=sites, data=tuple(data), links=links)


@click.command()
@results_option
@click.option("--jobs", default="1000,10000,100000", show_default=True, help="Sizes, separated by commas.")
def main(results: Path, jobs: str) -> None:
    """Seconds and memory of a plan, each in a process of its own."""
    samples = []
    for shape in SHAPES:
        for count in jobs.split(","):
            command = [sys.executable, "-m", "benchmarks.planner.cost_once", shape, count]
            done = subprocess.run(command, check=True, capture_output=True)
            samples.append(msgspec.json.decode(done.stdout, type=Sample))
            click.echo(f"{shape} {count}: {samples[-1].seconds:.2f} s", err=True)
    rows = [
        [
            f"{one.shape}, {one.jobs:,} jobs",
            f"{one.seconds:.2f}",
            f"{one.seconds / one.jobs * 1e6:.0f}",
            f"{(one.peak_bytes - one.problem_bytes) / 2**20:.0f}",
            f"{(one.peak_bytes - one.problem_bytes) / one.jobs:.0f}",
            f"{one.makespan / one.bound:.3f}",
            f"{one.check_seconds:.2f}",
        ]
        for one in samples
    ]
    keep(
        Table(
            experiment="cost",
            title="Planning on four sites, first plan",
            columns=("case", "seconds", "µs a job", "MiB", "bytes a job", "to bound", "check s"),
            rows=rows,
            remarks=(
                "scatter: chains of three alike jobs, and one that gathers",
                "layers: all unlike, with three random parents each",
                "seconds: of the processor; MiB: what planning added to the process",
                "to bound: makespan to a bound that no plan can undercut",
                "no local search; every plan has passed the checker",
            ),
            samples=[msgspec.to_builtins(one) for one in samples],
        ),
        results,
    )
