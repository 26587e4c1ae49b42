"""Runs on three real sites: what a plan predicts and what comes, against each site alone and steps dealt out in turn.

A Slurm cluster of four nodes and a plain machine, both behind ssh, and this machine. All jobs sleep: their cost is
known, and two processors are enough for all of them. Every run begins with sites where nothing of cwlbalsam runs.
"""

import itertools
import json
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from benchmarks.planner.page import RESULTS, Cell, Page
from cwlbalsam.cwl.tasks import Outcome
from cwlbalsam.service.kept_plan import read_plan
from cwlbalsam.store import open_store
from tests.cluster import running_cluster
from tests.remote.place import Host, RemotePlace
from tests.servers import serving

DOCUMENT = f"{Path(__file__).with_name('real.cwl')}#main"
COSTS = {"a": 2.0, "b": 3.0, "c": 4.0, "d": 5.0, "e": 6.0}
STEPS = ("table", *COSTS, "w", "join")
JOBS, WIDE_JOBS, WIDE_SECONDS, RANKS = 8, 3, 5.0, 4
INPUTS = {name: [cost + number / 4 for number in range(JOBS)] for name, cost in COSTS.items()}
CORES = {"cluster": 4 * 2, "plain": 4, "local": 4}
PILOTS = {"wall": "10m", "idle": "30s"}
TIMEOUT = 300.0


class Ran(Struct, frozen=True):
    """predicted: None without a plan. jobs: at each site."""

    how: str
    seconds: float
    predicted: float | None
    interval: tuple[float | None, float | None] | None
    jobs: dict[str, int]


def core_seconds() -> float:
    """What all jobs sleep."""
    return sum(map(sum, INPUTS.values())) + WIDE_JOBS * WIDE_SECONDS * RANKS + 2.0


def dealt() -> list[str]:
    """`--site STEP=NAME` for each step: the sites in turn."""
    turns = zip(STEPS, itertools.cycle(CORES), strict=False)
    return [word for step, site in turns for word in ("--site", f"{step}={site}")]


MODES = {
    "first plan, without any history": ["--plan", ",".join(CORES)],
    "plan after one training run": ["--plan", ",".join(CORES)],
    "cluster alone": ["--site", "cluster"],
    "plain machine alone": ["--site", "plain"],
    "this machine alone": [],
    "steps dealt out in turn": dealt(),
}


def measure() -> list[Ran]:
    """Each mode once, the first two in a home of their own."""
    with tempfile.TemporaryDirectory(prefix="cwlbalsam-real-") as name:
        folder = Path(name)
        with running_cluster(folder / "slurm") as cluster:
            environment = {"SLURM_CONF": cluster.environment["SLURM_CONF"]}
            there, plain = Host("cluster", cluster.shared / "login", environment), Host("plain", folder / "plain")
            with serving(there.sshd), serving(plain.sshd):
                place = RemotePlace(folder / "me", hosts={"cluster": there, "plain": plain})
                place.describe(
                    cluster=there.describe(
                        scheduler="slurm", pilots={**PILOTS, "nodes": 4, "total_nodes": 4, "max": 4}, nodes={"cores": 2}
                    ),
                    plain=plain.describe(pilots={**PILOTS, "nodes": 1, "max": 1}, nodes={"cores": 4}),
                )
                found = []
                for how, options in MODES.items():
                    found.append(_run(place, how, options))
                    told = f", {found[-1].predicted:.1f} s predicted" if found[-1].predicted else ""
                    click.echo(f"{how}: {found[-1].seconds:.1f} s{told}", err=True)
                    there.end()
                    plain.end()
                    cluster.cancel_all()
    return found


def _run(place: RemotePlace, how: str, options: list[str]) -> Ran:
    job = place.folder / "job.json"
    job.write_text(json.dumps({**INPUTS, "megabytes": 20, "w": [WIDE_SECONDS] * WIDE_JOBS}))
    limits = ["--cores", str(CORES["local"]), "--workers", "4"]
    place.call("run", "--outdir", place.out, *limits, *options, DOCUMENT, job, timeout=TIMEOUT)
    with closing(open_store(place.home)) as store:
        run = store.runs(1)[0]
        outcomes = [msgspec.msgpack.decode(one.outcome, type=Outcome) for one in store.jobs(run.id) if one.outcome]
    plan = read_plan(Path(run.directory)) if "--plan" in options else None
    commands = [outcome for outcome in outcomes if outcome.exit_code is not None]
    return Ran(
        how=how,
        seconds=run.ended - run.claimed,
        predicted=plan.seconds if plan else None,
        interval=(plan.interval["low"], plan.interval["high"]) if plan else None,
        jobs=dict(Counter(outcome.site or "local" for outcome in commands)),
    )


def page_of(found: list[Ran]) -> Page:
    """The table."""
    ideal = core_seconds() / sum(CORES.values())
    rows: list[list[Cell]] = [
        [
            one.how,
            f"{one.seconds:.1f}",
            f"{one.predicted:.1f}" if one.predicted is not None else "",
            f"{one.interval[0]:.1f} to {one.interval[1]:.1f}" if one.interval and None not in one.interval else "",
            f"{100 * (one.seconds / one.predicted - 1):+.1f}" if one.predicted else "",
            *(str(one.jobs.get(site, 0)) for site in CORES),
        ]
        for one in found
    ]
    return Page(
        title="Three real sites: a plan's prediction, and other ways to choose sites",
        columns=["run", "seconds", "predicted", "90 % interval", "off by %", *(f"jobs at {site}" for site in CORES)],
        rows=rows,
        notes=[
            f"{JOBS * len(COSTS)} serial jobs of 2 to 8 s, {WIDE_JOBS} MPI jobs of {RANKS} ranks and 5 s,"
            " one job before and one after all",
            f"cores: {', '.join(f'{site} {count}' for site, count in CORES.items())}; all work spread evenly would take"
            f" {ideal:.1f} s",
            "cluster: Slurm with 4 nodes, behind ssh; plain: a machine behind ssh; local: this one",
            "seconds: from the start of the run to its end, with agents and pilots that have to be started first",
        ],
        details=[msgspec.to_builtins(one) for one in found],
    )


@click.command("real", help=__doc__)
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="For the tables.")
def main(results: Path) -> None:
    page = page_of(measure())
    page.write("real", results)
    click.echo("\n".join(page.table()))
