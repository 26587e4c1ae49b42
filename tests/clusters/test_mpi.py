"""MPI jobs on the nodes of a real Slurm."""

import sys
from pathlib import Path

import pytest

from tests.clusters.place import ClusterPlace

pytestmark = pytest.mark.slurm
HELLO = Path(__file__).resolve().parent / "hello.cwl"


@pytest.mark.parametrize("launcher", ["srun", "mpich"])
@pytest.mark.parametrize(("ranks", "threads", "nodes"), [(1, 1, 1), (3, 1, 1), (6, 1, 2), (5, 2, 3), (16, 1, 4)])
def test_ranks_spread_over_as_few_nodes_as_they_need(
    place: ClusterPlace, launcher: str, ranks: int, threads: int, nodes: int
) -> None:
    place.describe(mpi={"launcher": launcher, "pmi": "pmi2"})
    options = ["--ranks", str(ranks), "--threads", str(threads), "--python", sys.executable]
    place.call("run", "--site", "cluster", "--outdir", place.out, HELLO, *options)
    size, *hosts = (place.out / "told.txt").read_text().split()
    assert int(size) == ranks
    assert len(set(hosts)) == nodes
    assert max(map(hosts.count, hosts)) * threads <= 4


def test_mpi_jobs_run_side_by_side_and_beside_serial_ones(place: ClusterPlace) -> None:
    place.describe(mpi={"pmi": "pmi2"})
    mixed = place.folder / "mixed.cwl"
    mixed.write_text(f"""
cwlVersion: v1.2
class: Workflow
requirements: {{ScatterFeatureRequirement: {{}}}}
inputs: {{python: string, ranks: "int[]", numbers: "int[]"}}
steps:
  parallel: {{run: {HELLO}, scatter: ranks, in: {{ranks: ranks, python: python}}, out: [told]}}
  serial:
    run:
      class: CommandLineTool
      inputs: {{number: {{type: int, inputBinding: {{}}}}}}
      baseCommand: echo
      stdout: number.txt
      outputs: {{told: stdout}}
    scatter: number
    in: {{number: numbers}}
    out: [told]
outputs:
  hosts: {{type: "File[]", outputSource: parallel/told}}
  echoes: {{type: "File[]", outputSource: serial/told}}
""")
    inputs = place.folder / "inputs.json"
    inputs.write_text(f'{{"python": "{sys.executable}", "ranks": [8, 2, 5, 16, 3, 8], "numbers": {list(range(60))}}}')
    place.call("run", "--quiet", "--site", "cluster", "--outdir", place.out, mixed, inputs)
    told = [path.read_text().split() for path in place.out.glob("told*")]
    assert sorted(int(line[0]) for line in told) == [2, 3, 5, 8, 8, 16]
    assert all(len(line) == 1 + int(line[0]) for line in told)
    assert len(list(place.out.glob("number*"))) == 60
