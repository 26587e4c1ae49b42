"""Commands a second through the MPI ensemble, beside the same over TCP and the local executor.

`python -m benchmarks.ensemble --commands 2000` starts a Slurm of two nodes here. The ways take turns; each is warm
(Programs are cached, the pilot of two nodes is up), and what a run of one command takes is subtracted.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.cluster import running_cluster
from tests.clusters.place import ClusterPlace

WAYS: dict[str, dict[str, Any] | None] = {
    "local": None,
    "TCP": {},
    "MPI": {"starter": "mpi", "mpi": {"launcher": "srun", "pmi": "pmi2"}},
}
DOCUMENT = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {numbers: "int[]"}
steps:
  each:
    run:
      class: CommandLineTool
      requirements: {ResourceRequirement: {coresMin: 1, ramMin: 1, tmpdirMin: 0, outdirMin: 0}}
      inputs: {number: int}
      baseCommand: "true"
      outputs: []
    scatter: number
    in: {number: numbers}
    out: []
outputs: []
"""


def seconds(place: ClusterPlace, way: str, count: int) -> float:
    document, inputs = place.folder / "each.cwl", place.folder / f"{count}.json"
    document.write_text(DOCUMENT)
    inputs.write_text(f'{{"numbers": {list(range(count))}}}')
    site = [] if WAYS[way] is None else ["--site", "cluster"]
    began = time.monotonic()
    place.call("run", "--quiet", *site, "--outdir", place.out, document, inputs, timeout=600)
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    folder = Path(tempfile.mkdtemp(prefix="cwlbalsam-ensemble-"))
    with running_cluster(folder, "--nodes", "2", "--cpus", str(max(cores // 2, 1))) as cluster:
        rates: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(given.rounds):
            for way, settings in WAYS.items():
                place = ClusterPlace(cluster.shared / way.lower(), cluster=cluster)
                pilots = {"nodes": 2, "total_nodes": 2, "max": 1, "wall": "10m", "idle": "60s"}
                place.describe(pilots=pilots, **(settings or {}))
                seconds(place, way, 64)
                assert settings is None or len(place.outer_supervisors()) == 2
                base = seconds(place, way, 1)
                rates[way].append(given.commands / (seconds(place, way, given.commands) - base))
                place.end_agents()
                cluster.cancel_all()
    local = statistics.median(rates["local"])
    for way, found in rates.items():
        middle = statistics.median(found)
        rounds = ", ".join(f"{rate:.0f}" for rate in found)
        print(f"{way}: {middle:.0f} commands/s ({rounds}), {middle / local:.0%} of the local executor's")


if __name__ == "__main__":
    main()
