"""A place whose runs go to a site: what of it runs on the cluster, and how it is killed."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cwlbalsam.store import server as servers
from cwlbalsam.store.choice import Server, read_choice
from tests.cluster import Cluster
from tests.durability.place import ROOT, Place, children, command_of, parent, processes

PILOTS = {"nodes": 4, "total_nodes": 4, "max": 4, "wall": "5m", "idle": "10s"}
LEASE_SECONDS = 8
HOMES = "homes"
"""In a cluster's folder: where the homes of places are, so that it can be hidden from a node when it boots."""


@dataclass
class ClusterPlace(Place):
    """A home with one site, `cluster`. folder: seen by all nodes; home: not by all."""

    cluster: Cluster | None = None
    site: str = "cluster"

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.cluster is not None
        self.home = self.cluster.folder / HOMES / str(self.folder.relative_to(self.cluster.shared)).replace("/", "-")

    def describe(self, **site: Any) -> None:
        """Write the site's description."""
        described = {
            "scheduler": "slurm",
            "work": str(self.folder / "work"),
            "pilots": PILOTS,
            "lease": f"{LEASE_SECONDS}s",
        }
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "sites.yml").write_text(json.dumps({self.site: described | site}))

    def begin(self, *arguments: str | Path, before: str = "") -> subprocess.Popen[str]:
        assert self.cluster is not None
        path = f"{Path(sys.executable).parent}:{self.cluster.environment['PATH']}"  # mpiexec of the wheel comes first
        start = f"{before}\nfrom cwlbalsam.cli.main import main\nmain()"
        with self.said.open("a") as said:
            return subprocess.Popen(
                [sys.executable, "-c", start, *map(str, arguments)],
                cwd=self.folder,
                env={
                    **self.cluster.environment,
                    "PATH": path,
                    "PYTHONPATH": str(ROOT),
                    "CWLBALSAM_HOME": str(self.home),
                },
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )

    def run_arguments(self) -> list[str]:
        command, *rest = super().run_arguments()
        return [command, "--site", self.site, *rest]

    def run_folder(self, run: str) -> Path:
        return self.folder / "work" / "runs" / run

    # --- who can be killed ---

    def agents(self) -> list[int]:
        return self._of(lambda line: f"cwlbalsam.service.site_agent {self.home} " in line)

    def launchers(self) -> list[int]:
        return self._of(lambda line: f"cwlbalsam.executor.launcher {self.folder}/work/pilots" in line)

    def supervisors(self) -> list[int]:
        """All of a node's processes: the outer and the inner supervisor, its fork server, its workers."""
        names = [f"cwlbalsam.executor.{module} {self.folder}/work/pilots" for module in ("supervisor", "ensemble")]
        return self._of(lambda line: any(name in line for name in names))

    def outer_supervisors(self) -> list[int]:
        """One a node; its end means that nothing lives there."""
        found = self.supervisors()
        return [pid for pid in found if parent(pid) not in found]

    def inner_supervisors(self) -> list[int]:
        return self._below(self.outer_supervisors())

    def workers(self) -> list[int]:
        return self._below(self._below(self.inner_supervisors()))

    def _below(self, parents: list[int]) -> list[int]:
        return [pid for pid in self.supervisors() if parent(pid) in parents]

    def survivors(self) -> list[str]:
        """All but the server of the store: whoever needs that lets it run on."""
        database = self.database()
        kept = {*database, *(child for pid in database for child in children(pid))}
        found = {pid for pid in processes() if self._is_ours(pid) or str(self.folder) in _whole_command_of(pid)}
        return [f"{pid} {command_of(pid)}" for pid in found - kept]

    def _of(self, matches: Any) -> list[int]:
        return [pid for pid in processes() if matches(_whole_command_of(pid)) and _is_python(pid)]

    def batch_ids(self) -> list[str]:
        found = []
        for file in (self.folder / "work" / "pilots").glob("*/batch_id"):
            with suppress(OSError):
                found.append(file.read_text())
        return found

    # --- the store on PostgreSQL ---

    @property
    def on_postgres(self) -> bool:
        return self._server is not None

    @property
    def _server(self) -> Server | None:
        return read_choice(self.home).server

    def use_postgres(self) -> None:
        self.call("store", "use", "postgres")

    def database(self) -> list[int]:
        """The server's process, if it is up."""
        server = self._server
        pid = servers.running_pid(server) if server is not None else 0
        return [pid] if pid else []

    def end_database(self) -> None:
        server = self._server
        if server is not None:
            servers.stop(server)
            shutil.rmtree(server.data, ignore_errors=True)

    def rows(self, query: str, *values: Any) -> list[Any]:
        if not self.on_postgres:
            return super().rows(query, *values)
        from cwlbalsam.store.postgres_home import open_link  # needs psycopg

        with closing(open_link(self.home, read_choice(self.home))) as link:
            read = link.read(lambda link: link.exec_driver_sql(query.replace("?", "%s"), values).all())
        return [tuple(row) for row in read]

    def check_integrity(self) -> None:
        if not self.on_postgres:
            super().check_integrity()

    def end_agents(self) -> None:
        for pid in self.agents():
            with suppress(ProcessLookupError):
                os.kill(pid, 15)


def _is_python(pid: int) -> bool:
    """A launch command names in its arguments what it launches."""
    return Path(command_of(pid).partition(" ")[0]).name.startswith("python")


def _whole_command_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""
