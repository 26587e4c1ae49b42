"""What mpirun, srun and their kin are inside a batch script: they start programs on the job's own nodes.

It becomes the site's launch command, so that signals and exit codes are its own. What runs where is kept in a file of
the job's, with the numbers of the processes.
"""

import fcntl
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import msgspec

from cwlbalsam.errors import UserError
from cwlbalsam.executor.mpi_calls import NAMES, Call, parse_call
from cwlbalsam.executor.mpi_places import Place, ScriptNodes, Use, find_place
from cwlbalsam.executor.recovery import started_ticks
from cwlbalsam.sites.mpi import LAUNCHERS
from cwlbalsam.sites.mpi.base import MpiRun

NODES_FILE = "nodes.json"
USES_FILE = "uses.json"
BIN = "bin"
POLL_SECONDS = 0.1
TELL_SECONDS = 5.0
OURS = ("SLURM_", "PBS_", "LSB_", "BASH_FUNC_")
"""First letters of variables that tell the script of its job, and would tell a launch command of a wrong one."""


def start(folder: Path, name: str, words: Sequence[str]) -> NoReturn:
    """Become the launch command, once there is room. Raises UserError."""
    nodes = msgspec.json.decode((folder / NODES_FILE).read_bytes(), type=ScriptNodes)
    call = parse_call(name, words, os.environ)
    place = _take_place(folder, name, call, nodes)
    argv, added = _launch(call, place, nodes)
    environment = {key: text for key, text in os.environ.items() if not key.startswith(OURS)}
    parts = os.environ.get("PATH", os.defpath).split(os.pathsep)
    path = os.pathsep.join(part for part in parts if part != f"{folder}/{BIN}")
    environment |= {**nodes.environment, **call.environment, **added, "PATH": path}
    if place.hosts != (nodes.hosts[0][0],):
        environment.pop("TMPDIR", None)  # of this node alone
    if call.directory:
        os.chdir(call.directory)
    for handle, target in ((1, call.output), (2, call.error or call.output)):
        if target:
            os.dup2(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666), handle)
    os.environ["PATH"] = path  # where execvpe looks
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - that is what it is for
    except OSError as error:
        raise UserError(f"{name}: {argv[0]} cannot be started: {error.strerror}") from None


def _take_place(folder: Path, name: str, call: Call, nodes: ScriptNodes) -> Place:
    told = time.monotonic() + TELL_SECONDS
    while True:
        with (folder / USES_FILE).open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            body = file.read()
            uses = msgspec.json.decode(body, type=list[Use]) if body else []
            uses = [use for use in uses if started_ticks(use.pid) == use.ticks]
            place = find_place(name, call, nodes, uses)
            if place is not None:
                ours = Use(os.getpid(), started_ticks(os.getpid()) or 0, place.cores(), place.devices)
                file.truncate(0)
                file.write(msgspec.json.encode([*uses, ours]))
                return place
        if time.monotonic() > told:
            told = float("inf")
            print(f"{name}: waits until other programs of this job have ended", file=sys.stderr, flush=True)
        time.sleep(POLL_SECONDS)


def _launch(call: Call, place: Place, nodes: ScriptNodes) -> tuple[list[str], dict[str, str]]:
    if nodes.command:
        devices = ",".join(place.devices)
        return [*nodes.command, str(place.ranks), *call.argv], {"CUDA_VISIBLE_DEVICES": devices} if devices else {}
    run = MpiRun(
        argv=call.argv,
        ranks=place.ranks,
        hosts=place.hosts,
        ranks_per_node=place.ranks_per_node,
        threads=place.threads,
        gpus_per_rank=len(place.devices) // place.ranks_per_node,
        devices=place.devices,
        binding=nodes.binding,
        environment=call.environment,
        allocation=tuple(host for host, _ in nodes.hosts),
        here=nodes.hosts[0][0],
        pmi=nodes.pmi,
        options=nodes.options,
    )
    made = LAUNCHERS[nodes.launcher].launch_command(run)
    return list(made.argv), made.environment


# --- making them -----------------------------------------------------------------------------------------------------


def write_commands(folder: Path, nodes: ScriptNodes) -> dict[str, str]:
    """Put the commands into the job's folder; returns the variables by which a script finds them.

    Shells look at functions before PATH: so bash finds ours also where the script loads a module with an mpirun.
    """
    commands = folder / BIN
    commands.mkdir(mode=0o700, parents=True, exist_ok=True)
    hidden = folder / ".nodes"
    hidden.write_bytes(msgspec.json.encode(nodes))
    hidden.replace(folder / NODES_FILE)
    (folder / USES_FILE).unlink(missing_ok=True)
    package = Path(__file__).resolve().parents[2]
    begin = f"import sys; sys.path.insert(0, {str(package)!r}); from {__name__} import main; main()"
    variables = {"PATH": str(commands)}
    for name in NAMES:
        begin = (
            f"import sys; sys.path.insert(0, {str(package)!r}); from cwlbalsam.executor.mpi_shim import main; main()"
        )
        path = commands / name
        path.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-I", "-c", begin, str(folder), name])} "$@"\n')
        path.chmod(0o700)
        if name.isalnum():
            variables[f"BASH_FUNC_{name}%%"] = f'() {{ {shlex.quote(str(path))} "$@"\n}}'
    return variables


def main() -> None:
    """Of one of the commands: its folder and name come before its own arguments."""
    folder, name, *words = sys.argv[1:]
    try:
        start(Path(folder), name, words)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
