"""A real Slurm for tests, by scripts/cluster: one for all tests of a session, or one of a test's own."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "cluster"
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "qsub", "ip", "iptables")


@dataclass(frozen=True)
class Cluster:
    """folder: what the nodes see of /tmp, so work in `shared`. environment: for processes that talk to this Slurm."""

    folder: Path
    environment: dict[str, str]

    @property
    def shared(self) -> Path:
        """The file system that all nodes and this machine share."""
        path = self.folder / "shared"
        path.mkdir(exist_ok=True)
        return path

    def call(self, *command: str | Path, cwd: Path | None = None, check: bool = True) -> str:
        """What a command prints, run where a user would sit: outside the nodes."""
        done = subprocess.run(
            list(map(str, command)),
            cwd=cwd or self.shared,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command} ended with {done.returncode}: {done.stderr}{done.stdout}"
        return done.stdout

    def fail(self, node: str, *, daemon: bool = False) -> None:
        """A node, or its slurmd alone, dies at once; Slurm sees it after some 20 s (SlurmdTimeout)."""
        _run_script("fail", self.folder, node, *(["--daemon"] if daemon else []))

    def repair(self, node: str) -> None:
        _run_script("repair", self.folder, node)

    def cancel_all(self, seconds: float = 30) -> None:
        """Cancel every batch job, and wait until the nodes are free."""
        self.call("scancel", "--user", "root", check=False)
        wait_until(lambda: not self.call("squeue", "-h").strip(), seconds)


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Fails if the condition does not hold in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} seconds"
        time.sleep(0.05)


def _run_script(*arguments: str | Path) -> str:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def running_cluster(folder: Path, *options: str) -> Iterator[Cluster]:
    """A cluster of one's own. options: of scripts/cluster. Skips the test where there cannot be one; fails in CI."""
    why = _why_not()
    if why:
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing in CI: {why}")
        pytest.skip(why)
    try:
        told = _run_script("start", folder, *options)
        variables = dict(line.removeprefix("export ").split("=", 1) for line in told.splitlines())
        given = {name: shlex.split(value)[0] for name, value in variables.items()}
        yield Cluster(folder.resolve(), {**os.environ, **given})
    finally:
        _run_script("stop", folder)


def _why_not() -> str:
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        return f"no Slurm: {', '.join(missing)} not installed (see PACKAGES in scripts/cluster)"
    return "Slurm's nodes need root" if os.geteuid() else ""


@pytest.fixture(scope="session")
def slurm_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Four nodes of four CPUs, for all tests of this process; leave no batch jobs in it."""
    with running_cluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster
