"""One experiment: every runner in turn, round after round, on the same documents."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from benchmarks import peers
from benchmarks.experiments import EXPERIMENTS, TELLING, Case
from benchmarks.measure import Sample, run_timed
from benchmarks.outputs import contents, folder_contents, normalise

ERROR_BYTES = 2000
MANY_JOBS = 10_000
"""From so many on, what is kept from run to run is made by validating: a run's remains would be removed meanwhile."""


class Plan(Struct, frozen=True, kw_only=True):
    """What the command line asked for. jobs: several sizes are measured one after the other. against: None: those
    that the experiment names."""

    jobs: tuple[int, ...]
    against: tuple[str, ...] | None
    repeat: int
    timeout_seconds: float
    cache: Path
    work: Path | None


class Row(Struct, kw_only=True):
    """What one runner did with one case. trouble: why there is no time, or why it is not to be believed.

    figures: what else a runner that tells its own time has to tell, by its name, once a round.
    """

    case: str
    jobs: int
    runner: str
    samples: list[Sample] = []
    trouble: str = ""
    figures: dict[str, list[float]] = {}


class _Told(Struct):
    """What a runner says that tells its own time."""

    seconds: float
    peak_bytes: int
    figures: dict[str, float] = {}


class Failed(Exception):
    """A run that gives no time."""


def compare(name: str, plan: Plan, tell: Callable[[str], None]) -> list[Row]:
    """Measure one experiment. Its files are made under `plan.work`, and removed."""
    rows: list[Row] = []
    hopeless: set[tuple[str, str]] = set()
    against = EXPERIMENTS[name].against if plan.against is None else plan.against
    runners = ("cwlbalsam", *(runner for runner in against if runner != "cwlbalsam"))
    programs = {runner: peers.install(runner, plan.cache) for runner in runners}
    for jobs in plan.jobs or (EXPERIMENTS[name].jobs,):
        with tempfile.TemporaryDirectory(prefix="cwlbalsam-benchmark-", dir=plan.work) as folder:
            for case in EXPERIMENTS[name].make(_made(Path(folder, "documents")), jobs):
                trial = _Trial(case, plan, Path(folder), programs, tell)
                for runner in runners:
                    if (runner, case.name) in hopeless:
                        trial.rows[runner].trouble = "not tried: a smaller one was unfinished"
                found = trial.run()
                hopeless |= {(row.runner, case.name) for row in found if row.trouble.startswith("unfinished")}
                rows += found
    return rows


class _Trial:
    """One case."""

    def __init__(
        self, case: Case, plan: Plan, folder: Path, programs: Mapping[str, Path], tell: Callable[[str], None]
    ) -> None:
        self.case, self.plan, self.folder, self.programs, self.tell = case, plan, folder, programs, tell
        self.rows = {runner: Row(case=case.name, jobs=case.jobs, runner=runner) for runner in programs}
        self._expected: Any = None

    def run(self) -> list[Row]:
        """All rounds; runners that cannot do the case have no row."""
        homes = {runner: _made(self.folder / f"home-{runner}") for runner in self.rows}
        if self.case.verb == "run" and not self.case.cold:  # what is kept from run to run is there, for everyone
            self._once("cwlbalsam", homes["cwlbalsam"], timed=False)
        for number in range(self.plan.repeat):
            for runner, row in list(self.rows.items()):
                if row.trouble:
                    continue
                home = _made(self.folder / f"cold-{runner}-{number}") if self.case.cold else homes[runner]
                self._once(runner, home, timed=True)
        return list(self.rows.values())

    def _once(self, runner: str, home: Path, *, timed: bool) -> None:
        outdir, row = _made(self.folder / "out"), self.rows[runner]
        place = peers.Place(outdir=outdir, home=home, bin=self.programs[runner])
        case = self.case
        if not timed and case.jobs >= MANY_JOBS:
            case = msgspec.structs.replace(case, verb="validate")
        command = peers.PEERS[runner].command(case, place)
        if command is None:
            del self.rows[runner]
            return
        try:
            sample = self._measured(case, command, place, runner)
        except Failed as failure:
            row.trouble = str(failure)
            self.tell(f"{self.case.name}, {self.case.jobs} jobs, {runner}: {failure}")
        else:
            if timed:
                row.samples.append(sample)
                self.tell(f"{self.case.name}, {self.case.jobs} jobs, {runner}: {sample.wall_seconds:.3f} s")
        finally:
            shutil.rmtree(outdir, ignore_errors=True)

    def _measured(self, case: Case, command: Sequence[str], place: peers.Place, runner: str) -> Sample:
        """One run whose output is the same as everyone's. Raises Failed."""
        output = self.folder / "stdout"
        sample = run_timed(
            command,
            environment=peers.environment(place),
            folder=self.folder,
            timeout_seconds=self.plan.timeout_seconds,
            output=output,
        )
        if sample.exit_code is None:
            raise Failed(f"unfinished after {self.plan.timeout_seconds:g} s")
        if sample.exit_code:
            raise Failed(f"exit code {sample.exit_code}: {_last_line(output.with_suffix('.err'))}")
        if case.verb == "run":
            self._check(runner, place, output)
        if case.verb == "words":
            self._check_files(place)
        if case.verb in TELLING and runner != "floor":
            try:
                told = msgspec.json.decode(output.read_bytes(), type=_Told)
            except msgspec.DecodeError as error:
                raise Failed(f"it does not tell its time: {error}") from None
            for figure, number in told.figures.items():
                self.rows[runner].figures.setdefault(figure, []).append(number)
            return msgspec.structs.replace(sample, wall_seconds=told.seconds, peak_bytes=told.peak_bytes)
        return sample

    def _check_files(self, place: peers.Place) -> None:
        found = folder_contents(place.outdir)
        if self._expected is None:
            self._expected = found
        elif found != self._expected:
            raise Failed("it makes other files")

    def _check(self, runner: str, place: peers.Place, output: Path) -> None:
        """What cwlbalsam makes first is what all others must make."""
        if runner == "floor":
            if self._expected is not None and folder_contents(place.outdir) != contents(self._expected):
                raise Failed("it makes other files")
            return
        try:
            found = normalise(json.loads(output.read_text()))
        except (ValueError, KeyError, OSError) as error:
            raise Failed(f"no output object: {error}") from None
        if self._expected is None:
            self._expected = found
        elif found != self._expected:
            raise Failed("its outputs are not those of cwlbalsam")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace")[-ERROR_BYTES:].split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
