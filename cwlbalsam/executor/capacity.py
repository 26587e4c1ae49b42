"""What this machine has to give to jobs, and how much of it is taken."""

import math
import os
import shutil
from pathlib import Path

from msgspec import Struct

from cwlbalsam.cwl.tasks import Grant
from cwlbalsam.errors import JobError

_MIB = 1 << 20
_CGROUP = Path("/sys/fs/cgroup")
_UNITS = (
    ("cores", ""),
    ("ram", " MiB of memory"),
    ("tmpdir", " MiB of temporary and output space"),
    ("gpus", ""),
    ("jobs", ""),
)


class Machine(Struct, frozen=True):
    """cores may be a fraction (a quota); sizes in MiB; tmpdir serves temporary and output space. jobs: at once.
    devices: names of the GPUs, where they are not counted from 0."""

    cores: float
    ram: float
    tmpdir: float
    gpus: int = 0
    jobs: float = math.inf
    devices: tuple[str, ...] = ()

    @property
    def gpu_names(self) -> tuple[str, ...]:
        """By which jobs are told which GPUs they have."""
        return self.devices if len(self.devices) == self.gpus else tuple(map(str, range(self.gpus)))


NOT_SAID = (Grant().tmpdir, Grant().outdir)
"""What CWL has a tool ask for that does not ask: a small disk gives all it has instead of refusing every tool."""


class Capacity:
    """Books of what is taken; never more than the machine has. Fractions of cores are counted in 1/1024."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._total = (
            math.floor(machine.cores * 1024),
            int(machine.ram),
            int(machine.tmpdir),
            machine.gpus,
            machine.jobs,
        )
        self._free: tuple[float, ...] = self._total
        self._devices = list(machine.gpu_names)  # that nobody has, of those counted in `_free`

    def fits(self, grant: Grant) -> bool:
        """Whether the empty machine could run it."""
        return all(asked <= total for asked, total in zip(self._units(grant), self._total, strict=True))

    def check(self, grant: Grant) -> None:
        """Raises JobError if the machine can never run it."""
        asked = (grant.cores, grant.ram, grant.tmpdir + grant.outdir, grant.gpus, 1)
        has = (self.machine.cores, self.machine.ram, self.machine.tmpdir, self.machine.gpus, self.machine.jobs)
        units = zip(self._units(grant), self._total, _UNITS, asked, has, strict=True)
        lacks = [
            f"{wish:g}{unit or ' ' + name} (there {'is' if there == 1 else 'are'} {there:g})"
            for needs, total, (name, unit), wish, there in units
            if needs > total
        ]
        if lacks:
            raise JobError(f"the job asks for more than this machine has: {', '.join(lacks)}")

    def take(self, grant: Grant) -> bool:
        left = tuple(free - asked for free, asked in zip(self._free, self._units(grant), strict=True))
        if min(left) < 0:
            return False
        self._free = left
        return True

    def give_back(self, grant: Grant) -> None:
        free = tuple(free + asked for free, asked in zip(self._free, self._units(grant), strict=True))
        if any(now > total for now, total in zip(free, self._total, strict=True)):
            raise ValueError(f"given back twice: {grant}")
        self._free = free

    def take_devices(self, count: int) -> tuple[str, ...]:
        """Which of the GPUs that were taken: the same are never somebody else's at the same time."""
        taken, self._devices = self._devices[:count], self._devices[count:]
        return tuple(taken)

    def give_back_devices(self, devices: tuple[str, ...]) -> None:
        order = {name: number for number, name in enumerate(self.machine.gpu_names)}
        self._devices = sorted(order.keys() & {*self._devices, *devices}, key=order.__getitem__)

    @property
    def is_idle(self) -> bool:
        return self._free == self._total

    def take_all(self) -> None:
        """For a job that has the machine to itself. Raises ValueError if it is not idle."""
        if not self.is_idle:
            raise ValueError("something runs there")
        self._free = tuple(0 for _ in self._total)

    def give_back_all(self) -> None:
        if any(self._free):
            raise ValueError("not all was taken")
        self._free = self._total

    def _units(self, grant: Grant) -> tuple[int, int, int, int, int]:
        """Whole units, so that taking and giving back never drifts."""
        space = math.ceil(grant.tmpdir) + math.ceil(grant.outdir)
        if (grant.tmpdir, grant.outdir) == NOT_SAID:
            space = min(space, self._total[2])
        is_job = grant.cores > 0 or grant.ram > 0
        return math.ceil(grant.cores * 1024), math.ceil(grant.ram), space, grant.gpus, is_job

    @property
    def free(self) -> Machine:
        cores, ram, tmpdir, gpus, jobs = self._free
        return Machine(cores / 1024, ram, tmpdir, int(gpus), jobs)


def detect_machine(folder: Path) -> Machine:
    """What this process may use: CPU affinity, cgroup limits, memory, GPUs, free space in `folder`."""
    cores: float = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        cores=min(cores, *map(_cgroup_cores, _cgroups(_CGROUP, _read(Path("/proc/self/cgroup"))))),
        ram=min(ram, *map(_cgroup_memory, _cgroups(_CGROUP, _read(Path("/proc/self/cgroup"))))) // _MIB,
        tmpdir=shutil.disk_usage(folder).free // _MIB,
        gpus=len(gpus := _gpus()),
        devices=gpus,
    )


def _cgroups(root: Path, membership: str) -> list[Path]:
    """The root and, with cgroup v2, the process's own group and all between: each may limit it."""
    own = next((line[3:] for line in membership.splitlines() if line.startswith("0::")), "/")
    names = [name for name in own.split("/") if name not in ("", "..")]
    return [root.joinpath(*names[:depth]) for depth in range(len(names) + 1)]


def _cgroup_cores(root: Path) -> float:
    """CPU quota in cores, infinity if there is none; cgroup v2's cpu.max, else v1's cfs files."""
    fields = _read(root / "cpu.max").split()
    if len(fields) != 2:
        fields = [_read(root / "cpu" / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    try:
        quota, period = (int(field) for field in fields)
    except ValueError:  # "max", or no such file
        return math.inf
    return quota / period if quota > 0 and period > 0 else math.inf


def _cgroup_memory(root: Path) -> float:
    """Memory limit in bytes, infinity if there is none. cgroup v1 writes a huge number for none: harmless."""
    for path in (root / "memory.max", root / "memory" / "memory.limit_in_bytes"):
        text = _read(path).strip()
        if text.isdigit():
            return int(text)
    return math.inf


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _gpus() -> tuple[str, ...]:
    """Their names: what this process was given, else the numbers of all."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return visible_devices(visible)
    numbers = [int(path.name[6:]) for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()]
    return tuple(map(str, sorted(numbers)))


def visible_devices(text: str) -> tuple[str, ...]:
    """The value of CUDA_VISIBLE_DEVICES."""
    names = (name.strip() for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name and name not in ("-1", "NoDevFiles")))
