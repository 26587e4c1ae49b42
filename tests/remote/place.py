"""Hosts that ssh reaches, each with a home and a work folder of its own, and a place whose runs go to them."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cwlbalsam.executor.recovery import started_ticks
from tests.durability.place import ROOT, Place, processes
from tests.servers import Sshd

BIN = Path(sys.executable).parent
PILOTS = {"nodes": 1, "max": 1, "wall": "10m", "idle": "30s"}


class Host:
    """As another machine: of this one's files it is told nothing. environment: of logins, beside the usual."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.name, self.folder = name, folder
        self.home, self.work = folder / "home", folder / "work"
        self.home.mkdir(parents=True)
        usual = {
            "HOME": str(self.home),
            "CWLBALSAM_HOME": str(self.home / ".cwlbalsam"),
            "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin",
        }
        self.sshd = Sshd(folder / "sshd", environment={**(environment or {}), **usual})
        self.config = folder / "ssh_config"
        login = self.sshd.ssh
        self.config.write_text(
            f"Host {name}\nHostName 127.0.0.1\nPort {login.port}\nUser {login.user}\nIdentityFile {login.identity}\n"
            f"HostKeyAlias [127.0.0.1]:{login.port}\nUserKnownHostsFile {folder}/sshd/known_hosts\n"
            "StrictHostKeyChecking yes\n"
        )

    def describe(self, **site: Any) -> dict[str, Any]:
        """As a site file has it."""
        described = {"host": self.name, "ssh_config": str(self.config), "work": str(self.work), "scheduler": "local"}
        return described | {"pilots": PILOTS} | site

    def run_folder(self, run: str) -> Path:
        return self.work / "runs" / run

    def agents(self) -> list[int]:
        return _with(f"cwlbalsam.service.site_agent {self.home}/.cwlbalsam ")

    def bridges(self) -> list[int]:
        """Of sessions that carry a run's line."""
        told = f"CWLBALSAM_HOME={self.home}/.cwlbalsam"
        return [pid for pid in _with(f"cwlbalsam agent {self.name} ") if told in _environment_of(pid)]

    def end(self) -> None:
        """End the host's agents, and wait for that."""
        for number, seconds in ((signal.SIGTERM, 30.0), (signal.SIGKILL, 5.0)):
            until = time.monotonic() + seconds
            for pid in self.agents():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            while self.agents() and time.monotonic() < until:
                time.sleep(0.1)


def _with(words: str) -> list[int]:
    return [pid for pid in processes() if words in _line_of(pid) and started_ticks(pid) is not None]


def _line_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _environment_of(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    return []


@dataclass
class RemotePlace(Place):
    """A home whose site file describes hosts."""

    hosts: dict[str, Host] = field(default_factory=dict)
    sites: dict[str, Any] = field(default_factory=dict)

    def describe(self, **sites: Any) -> None:
        self.sites = {name: host.describe() for name, host in self.hosts.items()} | sites
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "sites.yml").write_text(json.dumps(self.sites))

    def begin(self, *arguments: str | Path, before: str = "") -> subprocess.Popen[str]:
        start = f"{before}\nfrom cwlbalsam.cli.main import main\nmain()"
        with self.said.open("a") as said:
            return subprocess.Popen(
                [sys.executable, "-c", start, *map(str, arguments)],
                cwd=self.folder,
                env={
                    **os.environ,
                    "PATH": f"{BIN}:{os.environ['PATH']}",
                    "PYTHONPATH": str(ROOT),
                    "CWLBALSAM_HOME": str(self.home),
                    "XDG_RUNTIME_DIR": str(self.folder),
                },
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
