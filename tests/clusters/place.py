"""A place whose runs go to a site: what of it runs on the cluster, and how it is killed."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cwlbalsam.executor.journal import read_journals
from cwlbalsam.jobs.model import State
from tests.cluster import Cluster
from tests.durability.place import ROOT, Place, command_of, is_of, processes

PILOTS = {"nodes": 4, "total_nodes": 4, "max": 4, "wall": "5m", "idle": "10s"}


@dataclass
class ClusterPlace(Place):
    """A home with one site, `cluster`. folder: seen by the nodes."""

    cluster: Cluster | None = None
    site: str = "cluster"

    def describe(self, **site: Any) -> None:
        """Write the site's description."""
        described = {"scheduler": "slurm", "work": str(self.folder / "work"), "pilots": PILOTS, "lease": "8s"}
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

    def recorded(self, run: str) -> set[int]:
        jobs = self.jobs(run)
        found = {number for number, job in jobs.items() if job[2] is State.JOB_FINISHED}
        found |= {outcome.job for outcome in read_journals(self.run_folder(run) / "journals") if is_of(outcome, jobs)}
        return found

    # --- who can be killed ---

    def agents(self) -> list[int]:
        return self._of(lambda line: f"cwlbalsam.service.site_agent {self.home} " in line)

    def launchers(self) -> list[int]:
        return self._of(lambda line: f"cwlbalsam.executor.launcher {self.folder}/work/pilots" in line)

    def supervisors(self) -> list[int]:
        """All of a node's processes: the outer and the inner supervisor, its fork server, its workers."""
        return self._of(lambda line: f"cwlbalsam.executor.supervisor {self.folder}/work/pilots" in line)

    def _of(self, matches: Any) -> list[int]:
        return [pid for pid in processes() if matches(_whole_command_of(pid)) and "srun" not in command_of(pid)]

    def batch_ids(self) -> list[str]:
        found = []
        for file in (self.folder / "work" / "pilots").glob("*/batch_id"):
            with suppress(OSError):
                found.append(file.read_text())
        return found

    def end_agents(self) -> None:
        for pid in self.agents():
            with suppress(ProcessLookupError):
                os.kill(pid, 15)


def _whole_command_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""
