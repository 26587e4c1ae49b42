"""The folder of one pilot: what its launcher and its supervisors have to know. The agent and the nodes see it.

pilot.json   by the agent, before the batch job is submitted
agent.json   by the agent: where it listens now
node.json    by the launcher: its nodes, and where it listens
token        the secret of the session
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from cwlbalsam.executor.allocation import granted_machine
from cwlbalsam.executor.capacity import Machine
from cwlbalsam.sites.site import MpiSettings

Transport = Literal["auto", "tcp", "spool"]
Starter = Literal["srun", "mpiexec", "ssh", "local", "mpi"]


class PilotFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """session: fresh for each pilot. wall_seconds: that it asks for. machine: what the site's file says of a node.

    lease_seconds: without a word from the agent for so long, the launcher ends all. python: to start supervisors by.
    mpi: how the ensemble starts.
    """

    session: str
    site: str
    scheduler: str
    starter: Starter
    python: str
    wall_seconds: float
    lease_seconds: float = 60.0
    margin_seconds: float = 10.0
    transport: Transport = "auto"
    scratch: str = ""
    machine: dict[str, float] = {}
    mpi: MpiSettings = MpiSettings()


class AgentFile(Struct, frozen=True):
    addresses: list[tuple[str, int]]


class NodeFile(Struct, frozen=True):
    """ends: seconds since the epoch."""

    nodes: list[str]
    addresses: list[tuple[str, int]]
    ends: float


class SupervisorCall(Struct, frozen=True, array_like=True):
    """What a supervisor says first to its launcher."""

    node: int
    nonce: bytes
    proof: bytes


class Pilot(Struct, frozen=True):
    """What a supervisor knows."""

    session: str
    scratch: str
    nodes: list[str]
    launcher: list[tuple[str, int]]
    ends: float
    machine: dict[str, float]

    def seconds_left(self) -> float:
        return max(0.0, self.ends - time.time())

    def machine_of(self, seen: Machine, environ: Mapping[str, str]) -> Machine:
        granted = granted_machine(seen, environ)
        return Machine(
            cores=self.machine.get("cores", granted.cores),
            ram=self.machine.get("ram", granted.ram),
            tmpdir=granted.tmpdir,
            gpus=int(self.machine.get("gpus", granted.gpus)),
            devices=granted.devices,
        )


def read_pilot(folder: Path) -> Pilot:
    file, node = read_record(folder / "pilot.json", PilotFile), read_record(folder / "node.json", NodeFile)
    return Pilot(file.session, file.scratch, node.nodes, node.addresses, node.ends, file.machine)


T = TypeVar("T", bound=Struct)


def read_record(path: Path, kind: type[T]) -> T:
    return msgspec.json.decode(path.read_bytes(), type=kind)


def write_record(path: Path, record: Struct) -> None:
    """Whole or not at all, for its owner alone."""
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(record))
        os.fsync(file.fileno())
    hidden.replace(path)
