"""The experiments, by name: what is run, and what the bare machine would do for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from benchmarks import documents
from benchmarks.documents import Files

Verb = Literal["run", "validate", "advance", "worker", "measure", "words", "nothing"]
TELLING: tuple[Verb, ...] = ("advance", "worker", "measure", "words", "nothing")
"""Of these all runners but the floor tell their own time."""


class Case(Struct, frozen=True, kw_only=True):
    """One row group of a table: the same work for every runner.

    floor: shell commands that do the same work in an empty folder, {cores} at a time; "" where that says nothing.
    cold: cwlbalsam starts with an empty home each time. batch: runners may run jobs side by side.
    words: `echo wN > wN.txt`, for runners that know no CWL, too. nothing: jobs without processes.
    nodes: of the pilot. module: for the verb "measure": a module that tells its own time, with its arguments.
    """

    name: str
    jobs: int
    files: Files | None = None
    verb: Verb = "run"
    floor: str = ""
    cold: bool = False
    batch: bool = False
    checksums: bool = True
    nodes: int = 1
    module: tuple[str, ...] = ()


class Experiment(Struct, frozen=True):
    """make: writes the documents into a folder, for so many jobs, and says what to run. notes: what is counted."""

    title: str
    jobs: int
    make: Callable[[Path, int], list[Case]]
    against: tuple[str, ...] = ("cwltool", "floor")
    notes: tuple[str, ...] = ()


def _start(folder: Path, _: int) -> list[Case]:
    files = documents.write_echo(folder)
    floor = "echo hello > out.txt"
    return [
        Case(name="first run", jobs=1, files=files, floor=floor, cold=True),
        Case(name="second run", jobs=1, files=files, floor=floor),
    ]


def _scatter(folder: Path, jobs: int) -> list[Case]:
    return [
        Case(name="scatter", jobs=jobs, files=documents.write_scatter(folder, jobs), floor=_echoes(jobs), batch=True)
    ]


def _nested(folder: Path, jobs: int) -> list[Case]:
    files = documents.write_nested(folder, jobs)
    return [Case(name="scatters in a scatter", jobs=jobs, files=files, floor=_echoes(jobs), batch=True)]


def _expressions(folder: Path, jobs: int) -> list[Case]:
    return [Case(name="JavaScript", jobs=jobs, files=documents.write_expressions(folder, jobs), batch=True)]


def _crossing(folder: Path, jobs: int) -> list[Case]:
    return [Case(name="all to all", jobs=2 * jobs, files=documents.write_crossing(folder, jobs), batch=True)]


def _chain(folder: Path, jobs: int) -> list[Case]:
    loop = f"d={{inputs}}/first.txt; mkdir s; for i in $(seq {jobs}); do cat $d > s/$i; d=s/$i; done"
    floor = f"{loop}; mv $d out.txt; rm -r s"
    return [Case(name="chain", jobs=jobs, files=documents.write_chain(folder, jobs), floor=floor)]


def _passthrough(folder: Path, mebibytes: int) -> list[Case]:
    files = documents.write_passthrough(folder, 3, mebibytes)
    return [
        Case(name="with checksums", jobs=3, files=files),
        Case(name="without checksums", jobs=3, files=files, checksums=False),
    ]


def _validate(folder: Path, jobs: int) -> list[Case]:
    plain, packed = folder / "plain", folder / "packed"
    plain.mkdir()
    packed.mkdir()
    return [
        Case(name="steps", jobs=jobs, files=documents.write_chain(plain, jobs), verb="validate", cold=True),
        Case(name="packed", jobs=jobs, files=documents.write_packed_chain(packed, jobs), verb="validate", cold=True),
    ]


def _advance(folder: Path, jobs: int) -> list[Case]:
    return [Case(name="scatter", jobs=jobs, files=documents.write_scatter(folder, jobs), verb="advance")]


def _measured(name: str, jobs: int, module: str, *arguments: str) -> Case:
    return Case(name=name, jobs=jobs, verb="measure", module=(f"benchmarks.{module}", "--jobs", str(jobs), *arguments))


def _leases(_: Path, jobs: int) -> list[Case]:
    return [
        _measured("SQLite, one agent", jobs, "leases", "--engine", "sqlite"),
        _measured("PostgreSQL, one agent", jobs, "leases", "--engine", "postgres"),
        _measured("PostgreSQL, two agents", jobs, "leases", "--engine", "postgres", "--agents", "2"),
    ]


def _applies(_: Path, jobs: int) -> list[Case]:
    return [
        _measured(f"{name}, {count} writer{'s' * (count > 1)}", jobs, "applies", *engine, "--writers", str(count))
        for count in (1, 4)
        for name, engine in (("SQLite", ("--engine", "sqlite")), ("PostgreSQL", ("--engine", "postgres")))
    ]


def _worker(folder: Path, jobs: int) -> list[Case]:
    return [Case(name="scatter", jobs=jobs, files=documents.write_scatter(folder, jobs), verb="worker")]


def _pilot(folder: Path, jobs: int) -> list[Case]:
    files = documents.write_scatter(folder, jobs)
    return [Case(name="commands", jobs=jobs, files=files, verb="words", floor=_echoes(jobs))]


def _ensemble(folder: Path, jobs: int) -> list[Case]:
    files = documents.write_scatter(folder, jobs)
    return [Case(name="two nodes", jobs=jobs, files=files, verb="words", nodes=2)]


def _noop(folder: Path, jobs: int) -> list[Case]:
    return [Case(name="no process", jobs=jobs, files=documents.write_nothing(folder, jobs), verb="nothing")]


def _latency(_: Path, jobs: int) -> list[Case]:
    return [
        _measured(name, jobs, "clusters.latency", "--transport", transport)
        for name, transport in (("TCP", "tcp"), ("spool", "spool"), ("no pilot", "local"))
    ]


def _launchers(_: Path, jobs: int) -> list[Case]:
    return [
        _measured("SQLite, one agent", jobs, "clusters.launchers", "--engine", "sqlite"),
        _measured("PostgreSQL, two agents", jobs, "clusters.launchers", "--engine", "postgres", "--agents", "2"),
    ]


def _mixed(_: Path, jobs: int) -> list[Case]:
    return [_measured(f"{order} first", jobs, "clusters.mixed", "--order", order) for order in ("widest", "oldest")]


def _reduce(folder: Path, jobs: int) -> list[Case]:
    return [Case(name="reduce", jobs=jobs + 1, files=documents.write_reduce(folder, jobs), batch=True)]


def _directory(folder: Path, jobs: int) -> list[Case]:
    floor = f"mkdir parts && seq 1 {jobs} | split -l 1 -a 6 - parts/"
    return [Case(name="directory", jobs=jobs, files=documents.write_directory(folder, jobs), floor=floor)]


def _echoes(jobs: int) -> str:
    return f"""seq 0 {jobs - 1} | xargs -P {{cores}} -n 1 sh -c 'exec echo "w$0" > "$0.txt"'"""


PILOT_PEERS = ("pilot-tcp", "pilot-spool", "hyperqueue", "parsl", "floor")
ENSEMBLE_PEERS = ("pilot-tcp", "pilot-mpi")
NO_PEERS = ("pilot-tcp", "pilot-spool", "parsl")
COUNTED = (
    "wall s and jobs/s: from submission to the last output; of cwlbalsam and its pilots a whole `cwlbalsam run`, from "
    "the start of its process to its end, of the others from the first call of a client that is connected already",
    "before: server, pilot and workers are up and have run something; cwlbalsam has validated the document",
    "busy/s: from the first job's being handed out to the last outcome; *run µs* and so on: CPU time a job, of the run "
    "(without a pilot: with its workers and commands), agent, launcher and nodes (with their commands)",
)
SLURM_COUNTED = (
    *COUNTED,
    "pilot-*: one batch job of a real Slurm on this machine; all have as many workers as there are cores",
    "hyperqueue: by its Python package, whose server and worker run within the client's process",
)
MIXED = (
    "wall s: from the first start to the last end; the wait for the pilot is not counted",
    "bound s: all work spread evenly; ideal s: what the order takes when nothing costs time but the jobs",
)

EXPERIMENTS = {
    "start": Experiment("A tool of one command", 1, _start),
    "scatter": Experiment("A command for each of JOBS words", 1000, _scatter),
    "expressions": Experiment("A JavaScript ExpressionTool for each of JOBS numbers", 1000, _expressions),
    "chain": Experiment("JOBS commands, each reading what the one before made", 200, _chain),
    "passthrough": Experiment("A file of JOBS MiB through 3 steps that hand it on", 2048, _passthrough),
    "validate": Experiment("Validate JOBS steps of one tool", 1000, _validate),
    "advance": Experiment("The coordinator and its store alone, with workers that answer at once", 20000, _advance),
    "leases": Experiment("8 clients contend for JOBS jobs, 16 a time; each is leased exactly once", 20000, _leases),
    "applies": Experiment("The store alone: JOBS jobs start and finish, 64 a transaction", 20000, _applies),
    "worker": Experiment("CPU time of one worker itself, without its commands, for JOBS commands", 2000, _worker),
    "pilot": Experiment("JOBS commands through a pilot that is up", 10000, _pilot, PILOT_PEERS, SLURM_COUNTED),
    "ensemble": Experiment(
        "JOBS commands on two nodes that MPI reaches", 5000, _ensemble, ENSEMBLE_PEERS, SLURM_COUNTED
    ),
    "noop": Experiment(
        "JOBS jobs without processes, from the run's store to a worker and back", 10000, _noop, NO_PEERS, COUNTED
    ),
    "latency": Experiment("JOBS commands in a chain: from the end of one to the start of the next", 200, _latency),
    "launchers": Experiment("8 launchers run JOBS jobs without processes; each runs exactly once", 20000, _launchers),
    "mixed": Experiment("JOBS jobs, serial and of MPI on 1 to 4 nodes, on a Slurm of 4 nodes", 72, _mixed, notes=MIXED),
    "nested": Experiment("Scatters of 1,000 commands in a scatter, JOBS in all", 100000, _nested),
    "crossing": Experiment("JOBS expressions, each reading the whole output of JOBS others", 1000, _crossing),
    "reduce": Experiment("A command that takes the files of JOBS others", 1000, _reduce),
    "directory": Experiment("A command that makes a directory of JOBS files", 1000, _directory),
}
"""name -> experiment; JOBS is the option --jobs."""
