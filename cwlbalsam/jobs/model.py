"""BalsamJob and the changes that are made to a DAG of them."""

from enum import IntEnum
from typing import Literal

from msgspec import Struct

JobKind = Literal["job", "bind", "scatter", "gather", "loop"]
"""job: runs a tool or evaluates an expression tool. The others structure the DAG and never leave the coordinator's
books, except that `bind` (a subworkflow's boundary) is evaluated by a worker: scatter and loop are expansion points,
gather collects the outputs of a scatter, a subworkflow or the whole run."""


class State(IntEnum):
    """Balsam's job states; the numbers are what the store keeps."""

    CREATED = 0
    AWAITING_PARENTS = 1
    READY = 2
    STAGED_IN = 3
    PREPROCESSED = 4
    RUNNING = 5
    RUN_DONE = 6
    POSTPROCESSED = 7
    STAGED_OUT = 8
    JOB_FINISHED = 9
    RUN_ERROR = 10
    RUN_TIMEOUT = 11
    RESTART_READY = 12
    FAILED = 13
    USER_KILLED = 14
    PARENT_KILLED = 15


class BalsamJob(Struct, kw_only=True, gc=False):
    """One node of a run's DAG. (run, id) is its key; ids are given by the client, dense from 0, parents before children
    of one expansion. inputs: msgpack of a map port -> reference tree."""

    id: int
    name: str  # "align/sort[3]": scoped step path with scatter indices; the empty string is the run itself
    kind: JobKind
    process: int  # index in the run's Program
    step: tuple[int, int] | None = None  # (workflow process, step) that called for it
    inputs: bytes = b""
    state: State = State.AWAITING_PARENTS
    attempt: int = 0
    waiting_for: int = 0  # unfinished parents


class Move(Struct, kw_only=True, gc=False):
    """A job's change of state, to be written with its history in one transaction. time: seconds since the epoch.

    outcome: msgpack of what the job ended with (a `cwl.tasks.Outcome`), for final states.
    """

    job: int
    state: State
    time: float
    attempt: int = 0
    message: str = ""
    outcome: bytes | None = None


class Changes(Struct):
    """One transaction on a run's DAG: all of it or nothing.

    restarts: jobs of a resumed run that are taken up again, and jobs whose files are gone and that make them again, as
    they are now; only so does a job leave a final state.
    """

    jobs: list[BalsamJob] = []
    edges: list[tuple[int, int]] = []  # (parent, child)
    moves: list[Move] = []
    restarts: list[BalsamJob] = []


class RunRecord(Struct, kw_only=True):
    """A run. id: time-ordered UUID as text; its first characters are enough where they are unique."""

    id: str
    name: str
    document: str
    program: str  # digest
    created: float
    claimed: float = 0.0  # when `pid` took the run over, if it was not the process that created it
    directory: str
    outdir: str = ""
    inputs: bytes = b""  # msgpack of the input object
    options: bytes = b""  # msgpack of what the command line asked for, to resume with
    pid: int = 0
    host: str = ""
    status: Literal["running", "finished", "failed", "interrupted", "killed"] = "running"
    ended: float = 0.0
    outputs: bytes | None = None  # msgpack of the output object
    message: str = ""
