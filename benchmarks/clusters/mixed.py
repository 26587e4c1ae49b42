"""How full MPI jobs and serial ones keep four nodes: `python -m benchmarks.clusters.mixed --order widest`.

They sleep for times that are drawn once for all, on a real Slurm of 4 nodes of 4 CPUs. What they are measured against
is a bound that no schedule beats: all the work spread evenly, or the longest job if that takes longer. Ideal is what
the order itself would take, by the same dispatcher with jobs that start and are told of without delay. Counted is from
the first start to the last end: the wait for the pilot is not. JSON on stdout.
"""

import argparse
import heapq
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
from cwlbalsam.cwl.tasks import Grant, Task
from cwlbalsam.executor.capacity import Capacity, Machine
from cwlbalsam.executor.dispatch import Dispatcher
from cwlbalsam.executor.journal import read_journals
from cwlbalsam.executor.placement import Node
from cwlbalsam.executor.site_limits import ENOUGH
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


def ideal_seconds(loads: list[Load], order: str) -> float:
    now = 0.0
    dispatcher = Dispatcher(ORDERS[order], clock=lambda: now)
    for number in range(NODES):
        dispatcher.add_worker(number, Node(Capacity(Machine(cores=CORES, ram=ENOUGH, tmpdir=ENOUGH)), f"n{number}"))
    grants = [Grant(cores=CORES if load.nodes else 1, ranks=load.nodes) for load in loads]
    dispatcher.add(
        [
            Task(job=job, program="", process=0, inputs={}, directory="", grant=grant, wall_seconds=10 * load.seconds)
            for job, (load, grant) in enumerate(zip(loads, grants, strict=True))
        ]
    )
    running: list[tuple[float, int]] = []
    while len(dispatcher):
        started = [task.job for batch in dispatcher.assign().values() for task in batch.tasks]
        for job in started:
            heapq.heappush(running, (now + loads[job].seconds, job))
        now, job = heapq.heappop(running)
        dispatcher.finished(job, loads[job].seconds)
    return now


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


def measure(loads: list[Load], order: str) -> float:
    """Seconds from the first start to the last end."""
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
    check(len(ran) == len(loads), f"{len(ran)} of {len(loads)} jobs are journalled")
    return max(each.ended for each in ran) - min(each.started for each in ran)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=72)
    parser.add_argument("--order", choices=tuple(ORDERS), default="widest")
    options = parser.parse_args()
    loads = draw(options.jobs)
    seconds, bound = measure(loads, options.order), least_seconds(loads)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    figures = {
        "bound s": bound,
        "ideal s": ideal_seconds(loads, options.order),
        "utilisation %": 100 * bound / seconds,
    }
    json.dump({"seconds": seconds, "peak_bytes": peak, "figures": figures}, sys.stdout)


if __name__ == "__main__":
    main()
