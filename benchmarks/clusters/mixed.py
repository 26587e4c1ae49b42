"""How full MPI jobs and serial ones keep four nodes: `python -m benchmarks.clusters.mixed --order widest`.

They sleep for times that are drawn once for all, on a real Slurm of 4 nodes of 4 CPUs. What they are measured against
is a bound that no schedule beats: all the work spread evenly, or the longest job if that takes longer. JSON on stdout.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
from pathlib import Path

from msgspec import Struct

from benchmarks.clusters.homes import SITE, describe_sites, run
from benchmarks.documents import Document, Files, keep_workflow
from benchmarks.stores import check, closing_store
from cwlbalsam.executor.journal import read_journals
from cwlbalsam.planner.start_order import ORDERS
from tests.cluster import running_cluster

NODES, CORES = 4, 4
PILOTS = {"nodes": NODES, "total_nodes": NODES, "max": 1, "wall": "20m", "idle": "5m"}
SEED = 4
MPI_SHARE = 6
"""Of so many jobs one is an MPI job."""


class Load(Struct, frozen=True):
    """A job. nodes: of an MPI job, which takes all of each; 0: one core."""

    seconds: int
    nodes: int = 0

    @property
    def cores(self) -> int:
        return self.nodes * CORES or 1


def draw(jobs: int) -> list[Load]:
    """MPI jobs of 1 to 4 nodes in turn, the others serial, in an order by chance."""
    chance = random.Random(SEED)  # noqa: S311 (not for secrets)
    wide = [Load(chance.randint(4, 12), 1 + number % NODES) for number in range(jobs // MPI_SHARE)]
    loads = wide + [Load(chance.randint(2, 10)) for _ in range(jobs - len(wide))]
    chance.shuffle(loads)
    return loads


def least_seconds(loads: list[Load]) -> float:
    area = sum(load.seconds * load.cores for load in loads) / (NODES * CORES)
    return max(area, *(load.seconds for load in loads))


def write(folder: Path, loads: list[Load]) -> Files:
    """A workflow with a step for each; what it may take at most, which schedules go by, is in proportion."""
    steps: Document = {}
    for number, load in enumerate(loads):
        hints: Document = {
            "ResourceRequirement": {"coresMin": CORES if load.nodes else 1, "ramMin": 100},
            "ToolTimeLimit": {"timelimit": 10 * load.seconds},
        }
        if load.nodes:
            hints["cwltool:MPIRequirement"] = {"processes": load.nodes}
        tool = {"class": "CommandLineTool", "baseCommand": ["sleep", str(load.seconds)], "inputs": {}, "outputs": {}}
        steps[f"step{number}"] = {"run": tool | {"requirements": hints}, "in": {}, "out": []}
    return keep_workflow(folder, steps)


def measure(jobs: int, order: str) -> tuple[float, float]:
    """Seconds from the first start to the last end, and the bound."""
    loads = draw(jobs)
    with tempfile.TemporaryDirectory(prefix="cwlbalsam-mixed-") as top, running_cluster(Path(top, "slurm")) as cluster:
        home = cluster.shared / "home"
        home.mkdir()
        site = {"scheduler": "slurm", "work": str(cluster.shared / "work"), "pilots": PILOTS, "order": order}
        with describe_sites(home, {SITE: site | {"mpi": {"launcher": "srun", "pmi": "pmi2"}}}):
            for name, some in (("warm", [Load(1, NODES)]), ("load", loads)):
                folder = cluster.shared / name
                folder.mkdir()
                run(home, folder / "out", "--keep", *write(folder, some).arguments, environment=cluster.environment)
            with closing_store(home) as store:
                record = store.runs(1)[0]
            ran = [each for each in read_journals(Path(record.directory, "journals")) if each.exit_code == 0]
    check(len(ran) == jobs, f"{len(ran)} of {jobs} jobs are journalled")
    return max(each.ended for each in ran) - min(each.started for each in ran), least_seconds(loads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=72)
    parser.add_argument("--order", choices=tuple(ORDERS), default="widest")
    options = parser.parse_args()
    seconds, bound = measure(options.jobs, options.order)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    figures = {"bound s": bound, "utilisation %": 100 * bound / seconds}
    json.dump({"seconds": seconds, "peak_bytes": peak, "figures": figures}, sys.stdout)


if __name__ == "__main__":
    main()
