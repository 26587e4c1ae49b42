"""Nodes that are not alike: n3 sees no home, so no store either, and n4 reaches this machine by Slurm alone."""

import json
import socket

import pytest

from tests.clusters.place import HOMES, ClusterPlace

pytestmark = pytest.mark.slurm
NODES = ["n1", "n2", "n3", "n4"]
MEETING = """
cwlVersion: v1.2
class: Workflow
doc: Jobs that each fill a node, and end only when all have begun.
requirements: {ScatterFeatureRequirement: {}}
inputs: {numbers: {type: "int[]", default: [0, 1, 2, 3]}, table: string}
steps:
  meet:
    scatter: number
    run:
      class: CommandLineTool
      requirements: {ResourceRequirement: {coresMin: 4}}
      inputs: {number: int, table: {type: string, inputBinding: {position: 1}}}
      baseCommand: [bash, -c]
      arguments: ['hostname | tee "$0/`hostname`"; until [ `ls "$0" | wc -l` = 4 ]; do sleep 0.1; done']
      stdout: where.txt
      outputs: {where: stdout}
    in: {number: numbers, table: table}
    out: [where]
  count:
    run:
      class: CommandLineTool
      inputs: {files: {type: "File[]", inputBinding: {}}}
      baseCommand: [sort]
      stdout: all.txt
      outputs: {all: stdout}
    in: {files: meet/where}
    out: [all]
outputs: {all: {type: File, outputSource: count/all}}
"""


def test_the_nodes_are_what_the_tests_here_take_them_for(place: ClusterPlace) -> None:
    cluster = place.cluster
    assert cluster is not None
    seen = cluster.call("srun", "--nodes=4", "bash", "-c", f"echo $(hostname) $(ls {cluster.folder / HOMES})")
    homes = {line.split()[0]: place.home.name in line for line in seen.splitlines()}
    assert homes == {"n1": True, "n2": True, "n3": False, "n4": True}
    with socket.create_server(("", 0)) as door:
        call = f"timeout 2 bash -c '</dev/tcp/{socket.gethostname()}/{door.getsockname()[1]}' 2> /dev/null && hostname"
        reached = cluster.call("srun", "--nodes=4", "bash", "-c", f"{call} || true").split()
    assert sorted(reached) == ["n1", "n2", "n3"]


@pytest.mark.parametrize("size", [1, 4])
def test_a_run_goes_to_all_nodes_by_the_way_that_each_allows(place: ClusterPlace, size: int) -> None:
    """n4 comes last, by 10 s: so long, longer than idle pilots stay, the jobs of the others wait in silence."""
    place.describe(transport="auto", pilots={"nodes": size, "total_nodes": 4, "max": 4, "wall": "5m", "idle": "2s"})
    (place.folder / "meeting.cwl").write_text(MEETING)
    (place.folder / "table").mkdir()
    inputs = place.folder / "inputs.json"
    inputs.write_text(json.dumps({"table": str(place.folder / "table")}))
    told = place.call("run", "--site", "cluster", "--outdir", place.out, place.folder / "meeting.cwl", inputs)
    assert json.loads(told)["all"]["size"] == 12
    assert (place.out / "all.txt").read_text().split() == NODES
    by_files = place.said.read_text().count("speaks by files")
    assert by_files == (size == 1)  # a pilot speaks from its first node
