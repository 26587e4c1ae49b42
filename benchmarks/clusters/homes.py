"""Homes with sites, whose pilots run on this machine or in a Slurm, and whose agents end with the measurement."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.documents import Files, write_scatter
from cwlbalsam.service.agents import stop_agent
from cwlbalsam.service.home import Home
from tests.cluster import running_cluster

CORES = len(os.sched_getaffinity(0))
SITE = "pilots"
NO_PILOT = "local"
"""In place of a transport: workers of the run's own."""
TRANSPORTS: dict[str, dict[str, Any]] = {
    "tcp": {"transport": "tcp"},
    "spool": {"transport": "spool"},
    "mpi": {"transport": "tcp", "starter": "mpi", "mpi": {"launcher": "srun", "pmi": "pmi2"}},
}
"""What a site says of them. mpi: between the launcher and the nodes."""
ONE_PILOT = {"nodes": 1, "total_nodes": 1, "max": 1, "wall": "30m", "idle": "5m"}
HERE: dict[str, Any] = {"scheduler": "local", "pilots": ONE_PILOT}
"""One pilot on this machine, which stays."""
PARTS = ("agent", "launcher", "node")
"""node: a supervisor with its workers, and all the commands that have ended there."""
PARTS_OF = {
    "cwlbalsam.service.site_agent": "agent",
    "cwlbalsam.executor.launcher": "launcher",
    "cwlbalsam.executor.supervisor": "node",
    "cwlbalsam.executor.ensemble": "node",
}
WARM_JOBS = 256
"""Enough to start all workers of a pilot."""
ROOT = Path(__file__).resolve().parents[2]
WITHOUT_PROCESSES = {"PYTHONPATH": f"{Path(__file__).parent / 'without_processes'}:{ROOT}"}
"""For a run and, from it, for its agent and pilots: jobs end as soon as a worker takes them."""


@contextmanager
def describe_sites(home: Path, sites: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """sites: what their descriptions say other than that of one pilot on this machine."""
    (home / "sites.yml").write_text(json.dumps({name: {**HERE, **told} for name, told in sites.items()}))
    try:
        yield
    finally:
        for name in sites:
            stop_agent(Home(home), name)


@contextmanager
def room_for(folder: Path, scheduler: str, nodes: int = 1) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """A folder that a scheduler's nodes see, and the environment in which it is asked: Slurm's nodes are here, and
    share the cores of this machine."""
    if scheduler != "slurm":
        yield folder, {}
        return
    with running_cluster(folder / "slurm", "--nodes", str(nodes), "--cpus", str(CORES // nodes)) as cluster:
        yield cluster.shared, cluster.environment


@contextmanager
def site_home(folder: Path, transport: str, scheduler: str = "local", nodes: int = 1) -> Iterator[Path]:
    """A new home with the site SITE, with one pilot of so many nodes."""
    home = folder / "home"
    home.mkdir()
    pilots = {**ONE_PILOT, "nodes": nodes, "total_nodes": nodes}
    site = {"work": str(folder / "work"), "scheduler": scheduler, "pilots": pilots, **TRANSPORTS.get(transport, {})}
    with describe_sites(home, {SITE: site} if transport != NO_PILOT else {}):
        yield home


def site_of(transport: str) -> str:
    return SITE if transport != NO_PILOT else ""


def run(
    home: Path, outdir: Path, *arguments: str | Path, site: str = SITE, environment: Mapping[str, str] | None = None
) -> Any:
    """The output object of a run. site: "" for this machine. Raises RuntimeError if it does not end well."""
    options = ["--quiet", "--outdir", str(outdir), *(["--site", site] if site else [])]
    return json.loads(_call(home, "run", *options, *arguments, environment=environment))


def validate(home: Path, document: Path) -> None:
    """What is kept of a document from run to run is there then."""
    _call(home, "validate", document)


def _call(home: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "cwlbalsam", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {}), "CWLBALSAM_HOME": str(home)},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"a run ended with {done.returncode}: {done.stderr.decode()[-1000:]}")
    return done.stdout


def cpu_seconds(folder: Path) -> dict[str, float]:
    """User and system time so far of the processes that serve sites in this folder, and of their children."""
    found = dict.fromkeys(PARTS, 0.0)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            command = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            part = PARTS_OF.get(command[2])
            if part and command[3].startswith(str(folder)):
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                found[part] += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return found


def warm_up(
    home: Path,
    folder: Path,
    transport: str,
    environment: Mapping[str, str] | None = None,
    write: Callable[[Path, int], Files] = write_scatter,
) -> None:
    """Have the pilot up, and what is kept from run to run."""
    documents = folder / "warm"
    documents.mkdir()
    files = write(documents, WARM_JOBS)
    run(home, folder / "warm-out", *files.arguments, site=site_of(transport), environment=environment)
