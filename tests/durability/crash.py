"""Kills runs of a dynamic workflow at random moments, resumes them, and checks that nothing was lost or done twice.

`python -m tests.durability.crash --kills 200 --seed 1`
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.durability.place import Place, children, descendants, fork_server, kill

MOST_KILLS_A_RUN = 6
MOMENTS = ("early", "any", "any", "any", "relocation")
WHATS = ("coordinator", "worker", "server", "server and worker", "engine", "all", "all after a pause")
"""engine: all but the commands, which live on; all: those, too. After a pause: of the coordinator, in which workers
journal what it does not hear of."""
PAUSE_SECONDS = 0.15
RESUME_LIMIT_SECONDS = 120


@dataclass
class Summary:
    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    restarts: int = 0  # resumes, and runs begun anew because nothing was in the store yet
    adopted: int = 0  # jobs with a recorded outcome at a kill
    from_journals: int = 0  # of them those that the store had not heard of
    longest_resume: float = 0.0

    def __str__(self) -> str:
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills ({kinds}) in {self.runs} runs, {self.restarts} resumed or begun anew: "
            f"all outputs equal, {self.adopted} recorded outcomes kept ({self.from_journals} from journals"
            f" alone), none ran again, no overlap, no survivor; longest way back to the end {self.longest_resume:.1f} s"
        )


class Trial:
    """One run, killed up to `kills` times. Every check raises AssertionError."""

    def __init__(self, place: Place, seed: str, kills: int, seconds: float, summary: Summary) -> None:
        self.place, self.kills, self.seconds, self.summary = place, kills, seconds, summary
        self.random = random.Random(seed)
        self.recorded: dict[tuple[str, int], int] = {}  # (run, job) -> lines of the log when it was known
        self.done: list[str] = []

    def run(self) -> str:
        """The output object as it was printed."""
        self.summary.runs += 1
        process = self.place.begin(*self.place.run_arguments())
        for _ in range(self.kills):
            if not self._wait(process):
                break
            what = self.random.choice(WHATS)
            if self._kill(process, what):
                process = self._go_on(process)
        began = time.monotonic()
        told, _ = process.communicate(timeout=RESUME_LIMIT_SECONDS)
        self.summary.longest_resume = max(self.summary.longest_resume, time.monotonic() - began)
        assert process.returncode == 0, f"exit code {process.returncode}: {self.place.said.read_text()[-3000:]}"
        self._check()
        return told

    def _wait(self, process: subprocess.Popen[str]) -> bool:
        """Until the moment has come; False if the run has ended before."""
        moment = self.random.choice(MOMENTS)
        until = time.monotonic() + self.random.uniform(0, self.seconds * (0.3 if moment == "early" else 0.8))
        while process.poll() is None:
            if moment == "relocation" and any(self.place.home.glob("runs/*/moves*")):
                time.sleep(self.random.uniform(0, 0.01))
                return process.poll() is None
            if moment != "relocation" and time.monotonic() >= until:
                return True
            time.sleep(0.0005)
        return False

    def _kill(self, process: subprocess.Popen[str], what: str) -> bool:
        """Whether the coordinator is gone."""
        server = fork_server(process.pid)
        workers = children(server[0]) if server else []
        everybody = descendants(process.pid)
        match what:
            case "worker" if workers:
                kill(self.random.choice(workers))
            case "server" if server:
                kill(*server)
            case "server and worker" if workers:
                kill(*server, self.random.choice(workers))
            case "worker" | "server" | "server and worker":  # not there yet
                return False
            case "coordinator":
                kill(process.pid)
            case "engine":
                kill(process.pid, *server, *workers)
            case "all":
                kill(process.pid, *everybody)
            case "all after a pause":
                process.send_signal(signal.SIGSTOP)
                time.sleep(PAUSE_SECONDS)
                kill(process.pid, *descendants(process.pid))
        self.summary.kills[what] += 1
        self.done.append(what)
        return what in ("coordinator", "engine") or what.startswith("all")

    def _go_on(self, process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        process.communicate()
        run = self.place.run_id()
        self.summary.restarts += 1
        if not run:
            return self.place.begin(*self.place.run_arguments())
        finished = sum(job[2].name == "JOB_FINISHED" for job in self.place.jobs(run).values())
        recorded = self.place.recorded(run)
        self.summary.adopted += len(recorded)
        self.summary.from_journals += len(recorded) - finished
        lines = len(self.place.log)
        for job in recorded:
            self.recorded.setdefault((run, job), lines)
        if self.random.random() < 0.3 and self.done[-1] == "coordinator":
            self.place.wait_until_alone()
        return self.place.begin("resume", "--quiet", run)

    def _check(self) -> None:
        place = self.place
        overlaps = [line for line in place.log if line.startswith("OVERLAP")]
        assert not overlaps, overlaps
        for key, lines in self.recorded.items():
            assert not place.starts(lines)[key], f"{key} was recorded, and ran again: {place.jobs(key[0])[key[1]]}"
        place.wait_until_alone()
        place.check_store(place.run_id())
        strays = [path for path in place.out.rglob("*") if ".part" in path.name]
        assert not strays, strays


def undisturbed(folder: Path) -> tuple[Any, set[str], float]:
    """Output object and files of a run that nobody disturbs, and how long it took."""
    place = Place(folder)
    place.call(*place.run_arguments())  # fills the cache of Programs
    shutil.rmtree(place.out)
    began = time.monotonic()
    told = place.call(*place.run_arguments())
    return place.plain(told), files(place), time.monotonic() - began


def files(place: Place) -> set[str]:
    return {str(path.relative_to(place.out)) for path in place.out.rglob("*")}


def crash(kills: int, seed: int, folder: Path, *, tell: bool = False) -> Summary:
    """Kill so often, over as many runs as it takes. Raises AssertionError, and leaves the place, at what went wrong."""
    summary = Summary()
    expected, names, seconds = undisturbed(folder / "undisturbed")
    number = 0
    while summary.kills.total() < kills:
        number += 1
        label = f"{seed}-{number}"
        chance = random.Random(label)
        wanted = min(chance.randint(1, MOST_KILLS_A_RUN), kills - summary.kills.total())
        place = Place(folder / label)
        if chance.random() < 0.8:  # a first start, with an empty cache of Programs, the rest of the time
            shutil.copytree(folder / "undisturbed/home/programs", place.home / "programs")
        trial = Trial(place, label, wanted, seconds, summary)
        try:
            told = trial.run()
            assert place.plain(told) == expected, "the output object differs"
            assert files(place) == names, f"files differ: {files(place) ^ names}"
        except AssertionError as error:
            raise AssertionError(f"run {label}, after {trial.done}, in {place.folder}: {error}") from error
        if tell:
            print(f"{label}: {', '.join(trial.done) or 'undisturbed'}", flush=True)
        shutil.rmtree(place.folder)
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="Where to work; default: a new temporary folder.")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="cwlbalsam-crash-"))
    began = time.monotonic()
    try:
        summary = crash(given.kills, given.seed, folder, tell=True)
    except AssertionError as error:
        sys.exit(f"failed: {error}")
    print(f"seed {given.seed}: {summary}; {time.monotonic() - began:.0f} s in all")
    if not given.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
