"""From what a user says to `qsub` to the jobs to submit."""

import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from cwlbalsam.errors import UserError
from cwlbalsam.jobs.commands import RAM_MEGABYTES, Command, Mode
from cwlbalsam.service.directives import Directives, read_directives, slurm_seconds
from cwlbalsam.service.home import Home
from cwlbalsam.service.queue import Draft, Queue, submit

USUAL = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ")
"""Variables that a job gets; others are named, or all are asked for."""
MOST_SCRIPT_BYTES = 4 << 20
MOST_JOBS = 1_000_000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_ARRAY = ("CWLBALSAM_ARRAY_INDEX", "SLURM_ARRAY_TASK_ID", "PBS_ARRAY_INDEX")


class Wish(Struct, kw_only=True):
    """What the user has said; None: nothing, so that a script's own lines count."""

    site: str | None = None
    name: str | None = None
    mode: Mode | None = None
    nodes: int | None = None
    ranks: int | None = None
    cores: float | None = None
    ram: float | None = None
    gpus: int | None = None
    wall: str | None = None
    queue: str | None = None
    account: str | None = None
    constraint: str | None = None
    priority: float | None = None
    output: str | None = None
    error: str | None = None
    directory: str | None = None
    env: tuple[str, ...] = ()
    export_all: bool = False
    preprocess: str = ""
    postprocess: str = ""
    array: str = ""
    commands_file: str = ""


def submit_to(home: Home, site: str, drafts: Sequence[Draft], after: Sequence[int]) -> list[int]:
    """See `queue.submit`."""
    return submit(Queue(home, site), drafts, after)


def numbers_of(text: str) -> list[int]:
    """The jobs of `--after`. Raises UserError."""
    try:
        return [int(word) for word in re.split(r"[,:\s]+", text.strip()) if word]
    except ValueError:
        raise UserError(f"--after wants numbers of jobs, with commas between them: {text!r}") from None


def drafts_of(wish: Wish, words: Sequence[str]) -> tuple[str, list[Draft]]:
    """The site, and the jobs to submit there. Raises UserError."""
    if bool(words) == bool(wish.commands_file):
        raise UserError("what is to be run?", hint="cwlbalsam qsub -- COMMAND..., or --file FILE with a command a line")
    if wish.commands_file:
        drafts = [_draft(wish, ("/bin/sh", "-c", line), Directives()) for line in _lines(wish.commands_file)]
    elif wish.mode == "script" or (wish.mode is None and _is_batch_script(words[0])):
        wish.mode = "script"
        drafts = [_script(wish, words)]
    else:
        drafts = [_draft(wish, tuple(words), Directives())]
    if array := wish.array:
        drafts = [_element(draft, index) for draft in drafts for index in array_indices(array)]
    if not drafts:
        raise UserError("there is no command to submit", place=wish.commands_file)
    return wish.site or "", drafts


def _is_batch_script(name: str) -> bool:
    """Whether sbatch or qsub would be the way to run it: a script that says what it wants of a scheduler."""
    try:
        with Path(name).open("rb") as file:
            head = file.read(65_536)
    except OSError:
        return False
    return head.startswith(b"#!") and read_directives(head.decode(errors="replace")) != Directives()


def _script(wish: Wish, words: Sequence[str]) -> Draft:
    path = Path(words[0])
    try:
        body = path.read_bytes()
    except OSError as error:
        raise UserError(f"the script cannot be read: {error.strerror}", place=str(path)) from None
    if len(body) > MOST_SCRIPT_BYTES or b"\0" in body:
        raise UserError("this is no batch script", place=str(path), hint="a program is submitted with --mode serial")
    text = body.decode(errors="surrogateescape")
    if not text.startswith("#!"):
        raise UserError("a batch script begins with a line such as #!/bin/bash", place=str(path))
    said = read_directives(text)
    wish.array = wish.array or said.array or ""
    draft = _draft(wish, tuple(words[1:]), replace(said, name=said.name or path.name))
    return replace(draft, command=replace(draft.command, script=text))


def _draft(wish: Wish, argv: tuple[str, ...], said: Directives) -> Draft:
    directory = Path(wish.directory or said.directory or ".").absolute()
    if not directory.is_dir():
        raise UserError(f"there is no directory {directory}")
    mode: Mode = wish.mode or ("mpi" if wish.ranks or wish.nodes else "serial")
    if mode == "serial" and (wish.ranks or wish.nodes):
        raise UserError("a serial job has neither ranks nor nodes", hint="--mode mpi or --mode script has")
    nodes, ranks = wish.nodes or said.nodes or 0, wish.ranks or said.all_ranks or 0
    cores = wish.cores or said.cores or 1.0
    command = Command(
        argv=argv,
        directory=str(directory),
        environment=_environment(wish),
        mode=mode,
        nodes=nodes,
        ranks=ranks,
        cores=float(cores),
        ram=float(wish.ram or said.memory_megabytes or RAM_MEGABYTES),
        gpus=wish.gpus if wish.gpus is not None else (said.gpus or 0) * (nodes or 1) // (ranks or 1),
        wall_seconds=wall_seconds(wish.wall) if wish.wall else said.wall_seconds or 0.0,
        queue=wish.queue or said.queue or "",
        account=wish.account or said.account or "",
        constraint=wish.constraint or said.constraint or "",
        priority=wish.priority or 0.0,
        preprocess=tuple(shlex.split(wish.preprocess)),
        postprocess=tuple(shlex.split(wish.postprocess)),
    )
    name = wish.name or said.name or Path(argv[0]).name
    if not re.fullmatch(r"[^\x00-\x1f\x7f\[\]]{1,200}", name):
        raise UserError(f"a job cannot be named {name!r}", hint="brackets and control characters cannot stand in it")
    return Draft(name, command, _pattern(wish.output or said.output), _pattern(wish.error or said.error))


def _pattern(text: str | None) -> str:
    """%J is LSF's, %A Slurm's spelling of the number."""
    return re.sub(r"%[JA]", "%j", text or "")


def _environment(wish: Wish) -> dict[str, str]:
    chosen = dict(os.environ) if wish.export_all else {name: os.environ[name] for name in USUAL if name in os.environ}
    for entry in wish.env:
        name, equals, value = entry.partition("=")
        if not name or (not equals and name not in os.environ):
            raise UserError(f"--env: there is no variable {entry!r}")
        chosen[name] = value if equals else os.environ[name]
    return chosen


def _element(draft: Draft, index: int) -> Draft:
    environment = {**draft.command.environment, **{name: str(index) for name in _ARRAY}}
    command = replace(draft.command, environment=environment)
    return Draft(draft.name, command, draft.output.replace("%a", str(index)), draft.error.replace("%a", str(index)))


def _lines(name: str) -> Iterator[str]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the commands cannot be read: {error}", place=name) from None
    return (line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def array_indices(text: str) -> list[int]:
    """1-100, 0-8:2, 1,3,5 and what they make together; %N, which limits Slurm's, is passed over. Raises UserError."""
    found: list[int] = []
    for part in text.partition("%")[0].split(","):
        match = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?\s*", part, re.ASCII)
        if match is None or match[3] == "0":
            raise UserError(f"--array wants numbers such as 1-100, 0-8:2 or 1,3,5: {text!r}")
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if len(found) + (last - first) // step >= MOST_JOBS:
            raise UserError(f"--array {text}: more than {MOST_JOBS:,} jobs")
        found += range(first, last + 1, step)
    return found


def wall_seconds(text: str) -> float:
    """90s, 15m, 2h, 1d, or MM:SS, H:MM:SS and the others of Slurm. Raises UserError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text, re.ASCII)
    seconds = float(match[1]) * _UNITS[match[2]] if match else slurm_seconds(text)
    if not seconds:
        raise UserError(f"--time {text!r} is no length of time", hint="such as 90s, 15m, 2h, 1d or 01:30:00")
    return seconds
