"""What travels between the coordinator and a worker: a task goes out, one outcome comes back. Sent as msgpack.

Values are `Raw`: the coordinator passes them on without ever decoding them.
"""

from typing import Literal

from msgspec import Raw, Struct

TaskMode = Literal["run", "bind", "prologue", "size"]
"""run: the whole job. bind: a subworkflow's boundary: prologue, defaults, checks; its outputs are the bound inputs.
prologue: the step alone, for a loop: its outputs are the step inputs after value_from, undeclared ones too.
size: evaluate the job's resource expressions only; its outputs are a `Grant`'s fields."""


class PilotKind(Struct, frozen=True, omit_defaults=True):
    """Of which batch jobs a job wants to be part; "": as its site has it."""

    queue: str = ""
    account: str = ""
    constraint: str = ""


ANY_PILOT = PilotKind()


class Grant(Struct, frozen=True, omit_defaults=True):
    """Resources given to a job; sizes in MiB. ranks: of an MPI job: cores and GPUs are those of each, the rest is what
    it takes on each node. nodes: it gets so many whole nodes, for as many ranks as it likes if it does not say. pilot:
    where it runs, at a site."""

    cores: float = 1.0
    ram: float = 256.0
    tmpdir: float = 1024.0
    outdir: float = 1024.0
    gpus: int = 0
    ranks: int = 0
    nodes: int = 0
    pilot: PilotKind = ANY_PILOT

    @property
    def is_wide(self) -> bool:
        """Whether it may get several nodes."""
        return self.ranks > 0 or self.nodes > 0


class ScriptLaunch(Struct, frozen=True, omit_defaults=True):
    """How programs are started inside of a batch script: the site's launch command."""

    launcher: str = ""
    pmi: str = ""
    binding: Literal["", "core", "socket", "none"] = ""
    options: tuple[str, ...] = ()


class Launch(Struct, frozen=True, omit_defaults=True):
    """How an MPI job is started on its nodes: what comes before its command, and what the launcher needs to be told."""

    argv: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    inherit: tuple[str, ...] = ()  # first letters of the variables of the allocation that it gets
    script: ScriptLaunch = ScriptLaunch()


class Task(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """step: (process index of the workflow, index of the step) whose value_from and when come first, if any.

    directory: the job's own directory, absolute; the worker makes it. workdir_from: the directory of the iteration or
    attempt whose inputs `previous` names (loops: value_from sees the iteration before).
    """

    job: int
    attempt: int = 1
    mode: TaskMode = "run"
    program: str
    process: int
    step: tuple[int, int] | None = None
    loop: bool = False  # the step's loop links, not its own, are the prologue; `previous` holds the inputs before
    inputs: dict[str, Raw]
    previous: dict[str, Raw] = {}
    directory: str
    name: str = ""
    grant: Grant = Grant()
    fingerprint: bytes = b""  # of process, step and inputs; the outcome has it, too
    wall_seconds: float = 0.0  # it takes so long at most; 0: nobody knows
    time_factor: float = 1.0  # for its time limit: more than 1 after a timeout
    priority: float = 0.0  # the higher, the earlier
    hosts: tuple[tuple[str, int], ...] = ()  # of an MPI job on a cluster: nodes and the ranks on each
    launch: "Launch | None" = None
    devices: tuple[str, ...] = ()  # the GPUs that it has, of several nodes on each of them
    top: bool = False  # inputs come from the user: discover secondary files, check that files exist


class Invocation(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A command as it was started, to try again by hand; secrets are hidden. Paths are the host's.

    inherits: `environment` comes on top of the caller's own (the client of a container engine); else it is all there
    is. tmpdir: the folder lent to the job, which is gone. stdin, stdout, stderr: "" where nothing was redirected.
    """

    argv: list[str]
    environment: dict[str, str] = {}
    inherits: bool = False
    cwd: str = ""
    tmpdir: str = ""
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""


Ending = Literal["done", "skipped", "failed", "temporary", "timeout", "cancelled"]
"""skipped: `when` was false. failed: for good. temporary: worth a retry."""


class Outcome(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What a task has come to.

    Times are seconds since the epoch; sizes bytes; bytes count what the process tree passed to read and write calls.
    """

    job: int
    attempt: int = 1
    ending: Ending
    outputs: dict[str, Raw] = {}
    error: str = ""
    exit_code: int | None = None
    started: float = 0.0
    ended: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    fingerprint: bytes = b""
    log: str = ""  # file with what the command printed and nobody captured, if anything
    reused: bool = False  # an earlier run's result was taken over: nothing ran, exit_code and log are of then
    bug: bool = False  # our own mistake, not the job's: `error` has the traceback and the run exits with 3
    command: Invocation | None = None  # of an attempt that did not end well
    missing: tuple[str, ...] = ()  # locations of inputs that were gone, of an attempt that did not end well
    site: str = ""  # where it ran; empty: this machine, or none


class Report(Struct, frozen=True, kw_only=True, gc=False):
    """What whoever hands an Outcome on has to know of it; some of its fields, so an Outcome is decoded as one."""

    job: int
    started: float = 0.0
    ended: float = 0.0


class Settings(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What holds for all jobs of a run; each worker gets it once.

    engine: the container engine to use ("docker", "podman", ...; empty: run without containers, and a required
    container fails the job). environment: variables of the caller that jobs get beside PATH, HOME and TMPDIR.
    """

    engine: str = ""
    run: str = ""  # its id: part of the names of its containers
    engine_binary: str = ""  # path of the engine's client, if it is not found by its name
    pull: Literal["missing", "always", "never"] = "missing"
    default_container: str = ""
    compute_checksum: bool = True
    relax_path_checks: bool = False
    javascript_seconds: float = 60.0
    javascript_megabytes: int = 512
    environment: dict[str, str] = {}
    path: str = "/usr/local/bin:/usr/bin:/bin"
    mpi_command: tuple[str, ...] = ("mpirun", "-n")
    mpi_environment: dict[str, str] = {}
    reuse_folder: str = ""  # absolute; where results are kept and found again; empty: nowhere
