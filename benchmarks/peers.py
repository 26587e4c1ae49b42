"""The runners that are compared, each in a virtual environment of its own, and the command lines they want."""

import compileall
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from benchmarks.experiments import TELLING, Case

ROOT = Path(__file__).resolve().parent.parent
PYTHON_VARIABLES = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPATH")
"""They would slow one or the other down."""
CORES = len(os.sched_getaffinity(0))


class Place(Struct, frozen=True):
    """Where one run happens. home: what cwlbalsam keeps from run to run; bin: of the runner's environment."""

    outdir: Path
    home: Path
    bin: Path


class Peer(Struct, frozen=True):
    """command: the arguments for a case, None if the runner cannot do that. packages: of PyPI, for pip."""

    command: Callable[[Case, Place], list[str] | None]
    packages: tuple[str, ...] = ()


def _cwlbalsam(case: Case, place: Place) -> list[str] | None:
    python = [sys.executable, "-m"]
    if case.module:
        return [*python, *case.module]
    if case.verb in ("advance", "worker"):
        return [*python, f"benchmarks.{case.verb}", *_files(case)]
    if case.verb in ("words", "nothing"):
        return _commands(case, place, "local")
    if case.verb == "validate":
        return [*python, "cwlbalsam", "validate", *_files(case)[:1]]
    checksums = [] if case.checksums else ["--no-compute-checksum"]
    return [*python, "cwlbalsam", "run", "--quiet", "--outdir", str(place.outdir), *checksums, *_files(case)]


def _cwltool(case: Case, place: Place) -> list[str] | None:
    program = [f"{place.bin}/cwltool", "--quiet"]
    if case.verb in TELLING:
        return None
    if case.verb == "validate":
        return [*program, "--validate", *_files(case)[:1]]
    parallel = ["--parallel"] if case.batch else []
    checksums = [] if case.checksums else ["--no-compute-checksum"]
    return [*program, *parallel, *checksums, "--outdir", str(place.outdir), *_files(case)]


def _streamflow(case: Case, place: Place) -> list[str] | None:
    if case.verb != "run" or not case.checksums:
        return None
    return [f"{place.bin}/cwl-runner", "--quiet", "--outdir", str(place.outdir), *_files(case)]


def _toil(case: Case, place: Place) -> list[str] | None:
    if case.verb != "run" or not case.checksums:
        return None
    program = [f"{place.bin}/toil-cwl-runner", "--logCritical", "--disableProgress"]
    return [*program, "--outdir", str(place.outdir), *_files(case)]


def _commands(case: Case, place: Place, transport: str) -> list[str]:
    """A run that tells its own time; what comes before, such as a pilot's start, does not count."""
    program = [sys.executable, "-m", "benchmarks.clusters.commands", "--transport", transport]
    kind = ["--no-processes"] if case.verb == "nothing" else ["--scheduler", "slurm", "--nodes", str(case.nodes)]
    return [*program, "--jobs", str(case.jobs), *kind, *_files(case), str(place.outdir)]


def _pilot(transport: str) -> Callable[[Case, Place], list[str] | None]:
    def command(case: Case, place: Place) -> list[str] | None:
        return _commands(case, place, transport) if case.verb in ("words", "nothing") else None

    return command


def _hyperqueue(case: Case, place: Place) -> list[str] | None:
    if case.verb != "words":
        return None
    return [f"{place.bin}/python", f"{ROOT}/benchmarks/clusters/with_hyperqueue.py", str(case.jobs), str(place.outdir)]


def _parsl(case: Case, place: Place) -> list[str] | None:
    if case.verb not in ("words", "nothing"):
        return None
    outdir = [str(place.outdir)] if case.verb == "words" else []
    path = f"PATH={place.bin}:{os.environ.get('PATH', os.defpath)}"  # where it looks for its own programs
    program = ["env", path, f"{place.bin}/python", f"{ROOT}/benchmarks/clusters/with_parsl.py"]
    return [*program, str(case.jobs), *outdir]


def _floor(case: Case, place: Place) -> list[str] | None:
    if not case.floor or case.files is None:
        return None
    script = case.floor.replace("{cores}", str(CORES)).replace("{inputs}", str(case.files.document.parent))
    return ["sh", "-c", f"cd '{place.outdir}' && {script}"]


PEERS = {
    "cwlbalsam": Peer(_cwlbalsam),
    "cwltool": Peer(_cwltool, ("cwltool",)),
    "streamflow": Peer(_streamflow, ("--pre", "streamflow")),
    "toil": Peer(_toil, ("toil[cwl]",)),
    "pilot-tcp": Peer(_pilot("tcp")),
    "pilot-spool": Peer(_pilot("spool")),
    "pilot-mpi": Peer(_pilot("mpi")),
    "hyperqueue": Peer(_hyperqueue, ("hyperqueue",)),
    "parsl": Peer(_parsl, ("parsl",)),
    "floor": Peer(_floor),
}
"""cwlbalsam is this checkout, in the environment of this process; so are pilot-*, its runs through a
pilot. floor is the same commands by xargs or a shell."""


def default_cache() -> Path:
    """Folder of the peers' environments."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cwlbalsam-benchmarks"


def install(name: str, cache: Path) -> Path:
    """Have the peer ready; returns the folder of its programs."""
    if name == "cwlbalsam":  # as pip would leave it
        compileall.compile_dir(ROOT / "cwlbalsam", quiet=2)
    folder, packages = cache / name, PEERS[name].packages
    mark = folder / "installed"
    if packages and not mark.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", *packages], check=True)
        mark.write_text(" ".join(packages))
    return folder / "bin"


def version(name: str, cache: Path) -> str:
    """What was installed, "" where there is no package."""
    packages = PEERS[name].packages
    if not packages:
        return ""
    package = packages[-1].partition("[")[0]
    script = f"import importlib.metadata as m; print(m.version('{package}'))"
    python = cache / name / "bin" / "python"
    return subprocess.run([python, "-c", script], check=True, capture_output=True, text=True).stdout.strip()


def environment(place: Place) -> dict[str, str]:
    """For every runner the same one."""
    inherited = {name: value for name, value in os.environ.items() if name not in PYTHON_VARIABLES}
    return {**inherited, "CWLBALSAM_HOME": str(place.home), "PYTHONPATH": str(ROOT)}


def _files(case: Case) -> list[str]:
    if case.files is None:
        return []
    return [str(path) for path in case.files.arguments]
