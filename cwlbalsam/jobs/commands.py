"""Jobs of a run that are no step of its document: a command, and what it asks for."""

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from cwlbalsam.jobs.references import Const, Tree

Mode = Literal["serial", "mpi", "script"]
COMMAND = -1
"""The process of such a job, where jobs of a document have an index in their run's Program."""
PORT = "command"
RAM_MEGABYTES = 256.0


class Command(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """script: text of a program that argv are the arguments of. directory: where it runs; stdout, stderr: files,
    absolute; "": with what else the job prints.

    nodes: so many whole nodes; 0: what its ranks need. ranks: of an MPI program, or those that a script may start at
    once. cores, gpus: of each rank; ram (MiB): on each node. wall_seconds: 0: no limit. The higher its priority, the
    earlier a job comes. preprocess, postprocess: commands that run outside of the allocation.
    """

    argv: tuple[str, ...]
    directory: str
    script: str = ""
    environment: dict[str, str] = {}
    mode: Mode = "serial"
    stdout: str = ""
    stderr: str = ""
    nodes: int = 0
    ranks: int = 0
    cores: float = 1.0
    ram: float = RAM_MEGABYTES
    gpus: int = 0
    wall_seconds: float = 0.0
    queue: str = ""
    account: str = ""
    constraint: str = ""
    priority: float = 0.0
    preprocess: tuple[str, ...] = ()
    postprocess: tuple[str, ...] = ()


_decoder = msgspec.msgpack.Decoder(Command)


def command_inputs(command: Command) -> dict[str, Tree]:
    """What a job reads that runs it."""
    return {PORT: Const(Raw(msgspec.msgpack.encode(command)))}


def decode_command(value: Raw) -> Command:
    """Raises msgspec.ValidationError."""
    return _decoder.decode(value)
