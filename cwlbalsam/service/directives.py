"""What a batch script says of itself: the lines for Slurm, PBS, LSF and Cobalt at its top. Foreign text: what is not
understood is passed over, never an error."""

import argparse
import re
import shlex
from collections.abc import Sequence
from typing import Any, NoReturn

from msgspec import Struct

_LINE = re.compile(r"#(SBATCH|PBS|BSUB|COBALT)\s+(.*)")
_SIZES = {"": 1.0, "b": 2.0**-20, "k": 2.0**-10, "m": 1.0, "g": 1024.0, "t": 1024.0**2}


class Directives(Struct):
    """None: not said. ranks: in all; memory_megabytes, gpus: of each node."""

    name: str | None = None
    nodes: int | None = None
    ranks: int | None = None
    ranks_per_node: int | None = None
    cores: int | None = None  # of each rank
    memory_megabytes: float | None = None
    gpus: int | None = None
    wall_seconds: float | None = None
    output: str | None = None
    error: str | None = None
    directory: str | None = None
    queue: str | None = None
    account: str | None = None
    constraint: str | None = None
    array: str | None = None

    @property
    def all_ranks(self) -> int | None:
        """However it is said."""
        if self.ranks is None and self.ranks_per_node is not None:
            return self.ranks_per_node * (self.nodes or 1)
        return self.ranks


class _Unknown(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Whatever the mistake, the line is passed over."""
        raise _Unknown(message)


def read_directives(script: str) -> Directives:
    """Of the comments before the first command, as the schedulers read them."""
    found = Directives()
    for line in script.splitlines():
        text = line.strip()
        if text and not text.startswith("#"):
            break
        if match := _LINE.match(text):
            _READERS[match[1]](found, _words(match[2]))
    return found


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return []


def _parser(options: dict[str, Sequence[str]]) -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name, flags in options.items():
        parser.add_argument(*flags, dest=name)
    return parser


def _options(parser: _Parser, words: list[str]) -> dict[str, str]:
    try:
        known, _ = parser.parse_known_args(words)
    except (_Unknown, argparse.ArgumentError):
        return {}
    return {name: value for name, value in vars(known).items() if value is not None}


_SBATCH = _parser(
    {
        "name": ["-J", "--job-name"],
        "nodes": ["-N", "--nodes"],
        "ranks": ["-n", "--ntasks"],
        "ranks_per_node": ["--ntasks-per-node"],
        "cores": ["-c", "--cpus-per-task"],
        "memory": ["--mem"],
        "gres": ["--gres"],
        "gpus": ["--gpus-per-node"],
        "time": ["-t", "--time"],
        "output": ["-o", "--output"],
        "error": ["-e", "--error"],
        "directory": ["-D", "--chdir"],
        "queue": ["-p", "--partition"],
        "account": ["-A", "--account"],
        "constraint": ["-C", "--constraint"],
        "array": ["-a", "--array"],
    }
)


def _read_sbatch(found: Directives, words: list[str]) -> None:
    said = _options(_SBATCH, words)
    _take_texts(found, said)
    for name in ("nodes", "ranks", "ranks_per_node", "cores", "gpus"):
        _set(found, name, _whole(said.get(name, "")))
    gres = re.search(r"gpu(?::[\w-]+)?:(\d+)|gpu\b", said.get("gres", ""))
    _set(found, "gpus", int(gres[1] or 1) if gres else None)
    _set(found, "memory_megabytes", _megabytes(said.get("memory", "")))
    _set(found, "wall_seconds", slurm_seconds(said.get("time", "")))


_PBS = _parser(
    {
        "name": ["-N"],
        "output": ["-o"],
        "error": ["-e"],
        "queue": ["-q"],
        "account": ["-A", "-P"],
        "array": ["-J"],
        "join": ["-j"],
        "resources": ["-l"],
    }
)


def _read_pbs(found: Directives, words: list[str]) -> None:
    said = _options(_PBS, words)
    _take_texts(found, said)
    for part in said.get("resources", "").split(","):
        name, _, value = part.partition("=")
        if name == "walltime":
            _set(found, "wall_seconds", clock_seconds(value, unit=1))
        elif name in ("select", "nodes"):
            first, *chunk = value.split("+", 1)[0].split(":")
            _set(found, "nodes", _whole(first))
            _take_chunk(found, dict(item.partition("=")[::2] for item in chunk))
        else:
            _take_chunk(found, {name: value})


def _take_chunk(found: Directives, chunk: dict[str, str]) -> None:
    _set(found, "ranks_per_node", _whole(chunk.get("mpiprocs", chunk.get("ppn", ""))))
    _set(found, "gpus", _whole(chunk.get("ngpus", chunk.get("gpus", ""))))
    _set(found, "memory_megabytes", _megabytes(chunk.get("mem", "")))
    ncpus = _whole(chunk.get("ncpus", ""))
    if ncpus:
        _set(found, "cores", max(ncpus // (found.ranks_per_node or ncpus), 1))
        if found.ranks_per_node is None:
            found.ranks_per_node = ncpus


_BSUB = _parser(
    {
        "name": ["-J"],
        "nodes": ["-nnodes"],
        "ranks": ["-n"],
        "time": ["-W"],
        "output": ["-o", "-oo"],
        "error": ["-e", "-eo"],
        "queue": ["-q"],
        "account": ["-P"],
        "directory": ["-cwd"],
    }
)


def _read_bsub(found: Directives, words: list[str]) -> None:
    said = _options(_BSUB, words)
    array = re.fullmatch(r"(.*)\[([\d,:-]+)\]", said.get("name", ""))
    if array:
        said |= {"name": array[1], "array": array[2]}
    _take_texts(found, said)
    for name in ("nodes", "ranks"):
        _set(found, name, _whole(said.get(name, "")))
    _set(found, "wall_seconds", clock_seconds(said.get("time", "").partition("/")[0], unit=60, two=3600))


_COBALT = _parser(
    {
        "name": ["--jobname"],
        "nodes": ["-n", "--nodecount"],
        "time": ["-t", "--time"],
        "output": ["-o", "--output"],
        "error": ["-e", "--error"],
        "queue": ["-q", "--queue"],
        "account": ["-A", "--project"],
        "directory": ["--cwd"],
    }
)


def _read_cobalt(found: Directives, words: list[str]) -> None:
    said = _options(_COBALT, words)
    _take_texts(found, said)
    _set(found, "nodes", _whole(said.get("nodes", "")))
    _set(found, "wall_seconds", clock_seconds(said.get("time", ""), unit=60, two=3600))


_READERS = {"SBATCH": _read_sbatch, "PBS": _read_pbs, "BSUB": _read_bsub, "COBALT": _read_cobalt}


def _take_texts(found: Directives, said: dict[str, str]) -> None:
    for name in ("name", "output", "error", "directory", "queue", "account", "constraint", "array"):
        if said.get(name):
            setattr(found, name, said[name])


def _set(found: Directives, name: str, value: Any) -> None:
    if value is not None:
        setattr(found, name, value)


def _whole(text: str) -> int | None:
    """The least of a range."""
    match = re.match(r"\d{1,9}", text, re.ASCII)
    return int(match[0]) or None if match else None


def _megabytes(text: str) -> float | None:
    match = re.fullmatch(r"(\d{1,12})([bkmgt]?)b?", text.lower(), re.ASCII)
    return max(float(match[1]) * _SIZES[match[2]], 1.0) if match and int(match[1]) else None


def slurm_seconds(text: str) -> float | None:
    """Minutes, MM:SS, H:MM:SS, D-H, D-H:MM, D-H:MM:SS. None for what is none of these, and for no time."""
    match = re.fullmatch(r"(?:(\d{1,6})-)?(\d{1,9})(?::(\d{1,9}))?(?::(\d{1,9}))?", text, re.ASCII)
    if match is None:
        return None
    days, first, second, third = (int(part) if part is not None else None for part in match.groups())
    if days is not None:
        return float(((days * 24 + (first or 0)) * 60 + (second or 0)) * 60 + (third or 0)) or None
    if third is not None:
        return float(((first or 0) * 60 + (second or 0)) * 60 + third) or None
    return float((first or 0) * 60 + (second or 0)) or None


def clock_seconds(text: str, unit: int, two: int = 60) -> float | None:
    """H:MM:SS, or a number of `unit` seconds. two: what the first of two numbers stands for: minutes or hours."""
    match = re.fullmatch(r"(\d{1,9})(?::(\d{1,9}))?(?::(\d{1,9}))?", text, re.ASCII)
    if match is None:
        return None
    first, second, third = (int(part) if part is not None else None for part in match.groups())
    if second is None:
        return float((first or 0) * unit) or None
    if third is None:
        return float((first or 0) * two + second * two // 60) or None
    return float(((first or 0) * 60 + second) * 60 + third) or None
