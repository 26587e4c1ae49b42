"""runjob, of Blue Gene/Q: it runs on blocks of nodes, which the batch job boots itself, or on parts of a block.

Source: ALCF, "Running Jobs on BG/Q Systems": script mode, ensemble and sub-block jobs.
"""

import re

from cwlbalsam.errors import UserError
from cwlbalsam.sites.mpi.base import Launch, MpiRun, ranks_per_node

PROGRAM = "runjob"
CHOOSES_HOSTS = False
BLOCK_SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 12288, 16384, 24576, 32768, 49152)
"""Nodes of the blocks that can be booted."""
RANKS_PER_NODE = (1, 2, 4, 8, 16, 32, 64)
SHAPES = {
    1: "1x1x1x1x1",
    2: "1x1x1x1x2",
    4: "1x1x1x2x2",
    8: "1x1x2x2x2",
    16: "1x2x2x2x2",
    32: "2x2x2x2x2",
    64: "2x2x2x4x2",
    128: "2x2x4x4x2",
    256: "2x4x4x4x2",
    512: "4x4x4x4x2",
}
"""Parts of a block for sub-block jobs, by their nodes: within a midplane, which is 4x4x4x4x2."""


def block_size(nodes: int) -> int:
    """Nodes of the smallest block that has so many. Raises UserError if there is none."""
    size = next((size for size in BLOCK_SIZES if size >= nodes), 0)
    if not size:
        raise UserError(f"no Blue Gene block has {nodes} nodes", hint=f"the largest has {BLOCK_SIZES[-1]}")
    return size


def part_size(nodes: int) -> int:
    """Nodes of the smallest part of a block that has so many. Raises UserError beyond a midplane."""
    size = next((size for size in SHAPES if size >= nodes), 0)
    if not size:
        raise UserError(
            f"no part of a block has {nodes} nodes", hint="a midplane has 512; larger jobs take whole blocks"
        )
    return size


def blocks_command(partition: str, nodes: int) -> list[str]:
    """The blocks of that size within the batch job's partition ($COBALT_PARTNAME)."""
    return ["get-bootable-blocks", "--size", str(block_size(nodes)), partition]


def parse_blocks(output: str) -> list[str]:
    """Also of `corners_command`."""
    return [word for word in output.split() if re.fullmatch(r"[\w-]+", word, re.ASCII)]


def boot_command(block: str) -> list[str]:
    return ["boot-block", "--block", block]


def free_command(block: str) -> list[str]:
    return ["boot-block", "--block", block, "--free"]


def corners_command(block: str, nodes: int) -> list[str]:
    """The corners at which parts of so many nodes begin."""
    return ["get-corners.py", block, SHAPES[part_size(nodes)]]


def launch_command(run: MpiRun) -> Launch:
    most = ranks_per_node(run)
    width = next((width for width in RANKS_PER_NODE if width >= most), 0)
    if not width:
        raise UserError(f"Blue Gene/Q runs at most {RANKS_PER_NODE[-1]} ranks a node, not {most}")
    if run.gpus_per_rank:
        raise UserError("Blue Gene/Q has no GPUs")
    block, _, part = run.block.partition("/")
    if not block:
        raise UserError("runjob needs the name of a booted block")
    argv = [PROGRAM, "--block", block]
    if part:
        corner, _, shape = part.partition("/")
        argv += ["--corner", corner, "--shape", shape]
    argv += ["--np", str(run.ranks), "--ranks-per-node", str(width)]
    for name in sorted(run.environment):
        argv += ["--exp-env", name]
    if run.threads > 1:
        argv += ["--envs", f"OMP_NUM_THREADS={run.threads}"]
    return Launch([*argv, *run.options, ":", *run.argv], dict(run.environment))
