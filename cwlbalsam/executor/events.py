"""What happens during a run, told to whoever watches: progress bars, logs, web pages."""

from typing import Protocol

from msgspec import Struct

from cwlbalsam.errors import Problem
from cwlbalsam.jobs.links import TransferRecord


class RunStarted(Struct, frozen=True):
    run: str
    name: str


class JobsAdded(Struct, frozen=True):
    """Jobs that run something; nodes that only structure the DAG do not count. steps: how many of each step."""

    count: int
    steps: dict[str, int] = {}


class JobStarted(Struct, frozen=True):
    """The machine has given the job what it asked for; once more if its worker was lost."""

    name: str
    job: int


class JobEnded(Struct, frozen=True):
    """ending: of `cwl.tasks.Outcome`, or "killed" when a parent failed. log: file with what the command printed.
    reused: an earlier run's result was taken over."""

    name: str
    job: int
    ending: str
    error: str = ""
    log: str = ""
    seconds: float = 0.0
    reused: bool = False


class LogsFetched(Struct, frozen=True):
    """What jobs at sites have printed is here now. logs: file by what the ends of its jobs called it."""

    logs: dict[str, str]


class JobKept(Struct, frozen=True):
    """A resumed run has what this job ended with from before."""

    name: str
    job: int


class TransferStarted(Struct, frozen=True):
    """A batch of files is on its way. size_bytes: as far as sizes are known."""

    batch: str
    source: str
    target: str
    protocol: str
    files: int
    size_bytes: int


class TransferProgress(Struct, frozen=True):
    """message: why it is paused, or what troubles it."""

    batch: str
    files: int
    size_bytes: int
    bytes_per_second: float
    message: str = ""


class TransferEnded(Struct, frozen=True):
    """Well or not. arrived: path at the source and at the target."""

    record: TransferRecord
    arrived: tuple[tuple[str, str], ...] = ()


class Warned(Struct, frozen=True):
    """note: it tells what happens, and nothing has to be mended."""

    problem: Problem
    note: bool = False


class Interrupted(Struct, frozen=True):
    """Nothing more is started. draining: what runs may run to its end."""

    draining: bool


class PlanMade(Struct, frozen=True):
    """How long a run is expected to take, and how many jobs go to each site. why: it was made anew, "" the first."""

    seconds: float
    jobs: dict[str, int]
    why: str = ""


class PlanEnded(Struct, frozen=True):
    """What the first plan of a run said, and what came. low, high: the time lies between with this probability."""

    seconds: float
    low: float
    high: float
    probability: float
    taken: float


class RunEnded(Struct, frozen=True):
    run: str
    status: str
    seconds: float


TransferEvent = TransferStarted | TransferProgress | TransferEnded
JobEvent = JobsAdded | JobStarted | JobEnded | JobKept
PlanEvent = PlanMade | PlanEnded
Event = RunStarted | JobEvent | LogsFetched | TransferEvent | Warned | Interrupted | PlanEvent | RunEnded


class Reporter(Protocol):
    """Reads events; must be quick, since the run waits for it."""

    def report(self, event: Event) -> None: ...


class Silent:
    """Nobody watches."""

    def report(self, event: Event) -> None:
        """Do nothing."""
