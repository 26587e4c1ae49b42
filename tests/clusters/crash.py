"""Lets a dynamic workflow run through pilots of a real Slurm while faults happen at random moments, and checks that
nothing was lost, done twice or left over, and that every run came to its end by itself.

`python -m tests.clusters.crash --kills 30 --seed 1`
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster, running_cluster, wait_until
from tests.clusters.faults import FAULTS, Scene
from tests.clusters.place import ClusterPlace
from tests.durability.crash import Summary, files

MOST_KILLS_A_RUN = 4
END_SECONDS = 240.0
"""A lost node costs a minute; the rest of the run, some seconds."""
QUIET_SECONDS = 40.0
"""After the end of a run, with its agent told to end: nothing lives any more."""
RUNS_ON_POSTGRES = 0.3
RUNS_BY_SPOOL = 0.25
RUNS_BY_MPI = 0.25
MPI = {"starter": "mpi", "mpi": {"launcher": "srun", "pmi": "pmi2"}}


class Trial:
    """One run with up to `kills` faults. Every check raises AssertionError."""

    def __init__(self, place: ClusterPlace, seed: str, kills: int, seconds: float, summary: Summary) -> None:
        self.place, self.kills, self.seconds, self.summary = place, kills, seconds, summary
        self.random = random.Random(seed)
        self.recorded: dict[tuple[str, int], int] = {}  # (run, job) -> lines of the log when it was known
        self.done: list[str] = []

    def run(self) -> str:
        """The output object as it was printed."""
        assert self.place.cluster is not None
        self.summary.runs += 1
        process = self.place.begin(*self.place.run_arguments())
        scene = Scene(self.place, self.place.cluster, process, self.random)
        try:
            self._disturb(scene)
            began = time.monotonic()
            self._wait(scene, began + END_SECONDS)
            assert scene.coordinator.poll() is not None, f"no end within {END_SECONDS:.0f} s"
        finally:
            scene.catch_up(all_of_it=True)
            if scene.coordinator.poll() is None:
                scene.coordinator.kill()
        told, _ = scene.coordinator.communicate()
        self.summary.longest_resume = max(self.summary.longest_resume, time.monotonic() - began)
        code = scene.coordinator.returncode
        assert code == 0, f"exit code {code}: {self.place.said.read_text()[-3000:]}"
        self._check()
        return told

    def _disturb(self, scene: Scene) -> None:
        possible = [name for name in FAULTS if name != "database" or self.place.on_postgres]
        while len(self.done) < self.kills:
            self._wait(scene, time.monotonic() + self.random.uniform(0, self.seconds * 0.6))
            if scene.coordinator.poll() is not None:
                return
            what = self.random.choice(possible)
            self._note_recorded()
            if not FAULTS[what](scene):  # not there yet
                continue
            self.summary.kills[what] += 1
            self.done.append(what)
            if what.startswith("coordinator"):
                self._go_on(scene)

    def _wait(self, scene: Scene, until: float) -> None:
        while time.monotonic() < until and scene.coordinator.poll() is None:
            scene.catch_up()
            time.sleep(0.005)

    def _note_recorded(self) -> tuple[str, set[int]]:
        """What has ended well by now must not run again, whatever happens."""
        run = self.place.run_id()
        recorded = self.place.recorded(run) if run else set()
        lines = len(self.place.log)
        for job in recorded:
            self.recorded.setdefault((run, job), lines)
        return run, recorded

    def _go_on(self, scene: Scene) -> None:
        scene.coordinator.communicate()
        run, recorded = self._note_recorded()
        self.summary.restarts += 1
        self.summary.adopted += len(recorded)
        if run:
            finished = sum(job[2].name == "JOB_FINISHED" for job in self.place.jobs(run).values())
            self.summary.from_journals += len(recorded) - finished
        arguments = ["resume", "--quiet", run] if run else self.place.run_arguments()
        scene.coordinator = self.place.begin(*arguments)

    def _check(self) -> None:
        place = self.place
        overlaps = [line for line in place.log if line.startswith("OVERLAP")]
        assert not overlaps, overlaps
        for key, lines in self.recorded.items():
            assert not place.starts(lines)[key], f"{key} was recorded, and ran again: {place.jobs(key[0])[key[1]]}"
        place.check_store(place.run_id())
        place.end_agents()
        place.wait_until_alone(QUIET_SECONDS)
        cluster = place.cluster
        assert cluster is not None
        wait_until(lambda: not cluster.call("squeue", "-h").strip(), QUIET_SECONDS)


def undisturbed(folder: Path, cluster: Cluster) -> tuple[Any, set[str], float]:
    """Output object and files of a run that nobody disturbs, and how long it took."""
    place = ClusterPlace(folder, cluster=cluster)
    place.describe()
    began = time.monotonic()
    told = place.call(*place.run_arguments())
    seconds = time.monotonic() - began
    place.end_agents()
    place.wait_until_alone(QUIET_SECONDS)
    return place.plain(told), files(place), seconds


def crash(kills: int, seed: int, cluster: Cluster, *, tell: bool = False) -> Summary:
    """As many faults, in as many runs as it takes. Raises AssertionError, and leaves the place, at what went wrong."""
    summary = Summary()
    folder = cluster.shared / f"crash-{seed}"
    expected, names, seconds = undisturbed(folder / "undisturbed", cluster)
    number = 0
    while summary.kills.total() < kills:
        number += 1
        label = f"{seed}-{number}"
        chance = random.Random(label)
        wanted = min(chance.randint(1, MOST_KILLS_A_RUN), kills - summary.kills.total())
        place = ClusterPlace(folder / label, cluster=cluster)
        transport = "spool" if chance.random() < RUNS_BY_SPOOL else "auto"
        place.describe(transport=transport, **(MPI if chance.random() < RUNS_BY_MPI else {}))
        if chance.random() < RUNS_ON_POSTGRES:
            place.use_postgres()
        trial = Trial(place, label, wanted, seconds, summary)
        began = time.monotonic()
        try:
            told = trial.run()
            assert place.plain(told) == expected, "the output object differs"
            assert files(place) == names, f"files differ: {files(place) ^ names}"
        except AssertionError as error:
            raise AssertionError(f"run {label}, after {trial.done}, in {place.folder}: {error}") from error
        finally:
            place.end_agents()
            place.end_database()
        if tell:
            print(f"{label}: {', '.join(trial.done) or 'undisturbed'}: {time.monotonic() - began:.0f} s", flush=True)
        shutil.rmtree(place.folder)
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="Where the cluster is made; default: a new temporary folder.")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="cwlbalsam-crash-"))
    began = time.monotonic()
    try:
        with running_cluster(folder) as cluster:
            summary = crash(given.kills, given.seed, cluster, tell=True)
    except (AssertionError, pytest.skip.Exception) as error:
        sys.exit(f"failed: {error}")
    print(f"seed {given.seed}: {summary}; {time.monotonic() - began:.0f} s in all")
    if not given.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
