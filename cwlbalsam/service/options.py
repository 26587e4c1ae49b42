"""What a user may ask of a run, apart from the document and its inputs."""

import math
import os
import re
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from cwlbalsam.errors import UserError
from cwlbalsam.parser.options import CompileOptions
from cwlbalsam.service.jobfile import parse_tree, read_file

AUTO = "auto"
NO_ENGINE = "none"


class RunOptions(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Paths are as the user wrote them, relative to `directory`.

    directory: where the command was called. home: empty: `$CWLBALSAM_HOME` or `~/.cwlbalsam`. engine: `auto` (the first
    usable one), `none` (a tool that requires a container is refused with exit code 33) or an engine's name.
    """

    directory: str = ""
    outdir: str = "."
    home: str = ""
    basedir: str = ""  # what paths in arguments and in a job order on standard input are relative to; empty: directory
    tmpdir_prefix: str = ""  # directory and first characters of the names of temporary directories
    log_dir: str = ""
    reuse: bool = False  # take over results of earlier runs, kept in the home directory
    cachedir: str = ""  # the same with results kept in this directory
    keep: bool = False  # job directories stay
    outputs: Literal["move", "copy", "leave"] = "move"

    site: str = ""  # where tools run; empty: where the document and the site files say, else on this machine
    step_sites: tuple[str, ...] = ()  # STEP=NAME: where the tools of a step run
    sites: tuple[str, ...] = ()  # further site files
    plan: tuple[str, ...] = ()  # sites among which a plan shares out the jobs; empty: no plan
    max_node_hours: float = math.inf  # what the plan must keep to
    min_efficiency: float = 0.0
    deadline: float = math.inf  # seconds
    sites_home: str = ""  # the home with the sites and their agents, if it is not `home`
    workers: int = 0  # worker processes; 0: as many as fit the machine
    cores: float = 0.0  # 0: all of the machine
    ram: float = 0.0  # MiB; 0: all of the machine
    parallel_max: int = 0  # jobs at once; 0: as many as fit
    on_error: Literal["stop", "continue"] = "stop"
    retries: int = 0  # attempts that a job gets beyond its first
    retry_time_factor: float = 1.0  # for the time limit of the attempt after one that reached it
    retry_memory_factor: float = 1.0  # for the RAM of the attempt after one that was killed for its memory

    engine: str = AUTO
    engine_command: str = ""  # path of udocker, if it is not found by its name
    default_container: str = ""
    pull: Literal["missing", "always", "never"] = "missing"

    overrides: str = ""  # file of cwltool:overrides
    enable_dev: bool = False
    strict: bool = True
    skip_schemas: bool = False
    relax_path_checks: bool = False
    targets: tuple[str, ...] = ()  # outputs or steps: only what they need is run
    single_step: str = ""
    single_process: str = ""

    compute_checksum: bool = True
    eval_timeout: float = 60.0  # seconds an expression may take
    environment: tuple[str, ...] = ()  # names of variables that jobs get from the caller
    entire_environment: bool = False
    mpi_config_file: str = ""

    debug: bool = False
    quiet: bool = False
    warnings: bool = True
    timestamps: bool = False


class Asked(Struct, kw_only=True):
    """What a run was asked for, kept with it (`RunRecord.options`) to resume it."""

    options: RunOptions
    compiling: CompileOptions


def preserved_environment(options: RunOptions) -> dict[str, str]:
    """The caller's variables that jobs get, by what the options name."""
    if options.entire_environment:
        return dict(os.environ)
    return {name: os.environ[name] for name in options.environment if name in os.environ}


class MpiConfig(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How MPI tools are started here: the file that cwltool's --mpi-config-file names, with cwltool's keys."""

    runner: str = "mpirun"
    nproc_flag: str = "-n"
    default_nproc: int = 1
    extra_flags: tuple[str, ...] = ()
    env_pass: tuple[str, ...] = ()
    env_pass_regex: tuple[str, ...] = ()
    env_set: dict[str, str] = {}

    @property
    def command(self) -> tuple[str, ...]:
        """What comes before the number of processes."""
        return (self.runner, *self.extra_flags, self.nproc_flag)

    def environment(self) -> dict[str, str]:
        """The variables that an MPI job gets beside the usual ones."""
        passed = {name: value for name, value in os.environ.items() if self._passes(name)}
        return passed | self.env_set

    def _passes(self, name: str) -> bool:
        return name in self.env_pass or any(re.match(pattern, name) for pattern in self.env_pass_regex)


def load_mpi_config(name: str) -> MpiConfig:
    """Reads an MPI configuration; without a name it is the default one. Raises UserError."""
    import msgspec

    if not name:
        return MpiConfig()
    source = read_file(name, Path.cwd())
    tree: Any = parse_tree(source)
    try:
        config = msgspec.convert({} if tree is None else tree, MpiConfig)
        for pattern in config.env_pass_regex:
            re.compile(pattern)
    except (msgspec.ValidationError, re.error) as error:
        hint = f"known keys: {', '.join(MpiConfig.__struct_fields__)}"
        raise UserError(f"MPI configuration: {error}", place=source.name, hint=hint) from None
    return config
