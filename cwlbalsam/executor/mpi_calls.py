"""How a batch script asks for MPI programs: arguments of mpirun, mpiexec, srun, aprun and jsrun, understood alike."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from cwlbalsam.errors import UserError
from cwlbalsam.sites.schedulers.hostlist import expand

NAMES = ("mpirun", "mpiexec", "mpiexec.hydra", "orterun", "srun", "aprun", "jsrun")


class Call(Struct, kw_only=True):
    """0: not said. threads: cores of each rank. hosts: the only ones that it may have. shares: it does not wait until
    others have left their cores. environment: what its ranks get beside what the script has."""

    argv: tuple[str, ...] = ()
    ranks: int = 0
    nodes: int = 0
    ranks_per_node: int = 0
    threads: int = 0
    gpus_per_rank: int = 0
    hosts: tuple[str, ...] = ()
    shares: bool = False
    directory: str = ""
    output: str = ""
    error: str = ""
    environment: dict[str, str] = {}


def _valued(options: str) -> dict[str, str]:
    """They have a value, which is passed over."""
    return dict.fromkeys(options.split(), "")


# What an option sets, with ! where it has no value.
_SRUN = {
    **dict.fromkeys(("-n", "--ntasks"), "ranks"),
    **dict.fromkeys(("-N", "--nodes"), "nodes"),
    "--ntasks-per-node": "ranks_per_node",
    **dict.fromkeys(("-c", "--cpus-per-task"), "threads"),
    "--gpus-per-task": "gpus_per_rank",
    **dict.fromkeys(("-w", "--nodelist"), "hosts"),
    **dict.fromkeys(("-D", "--chdir"), "directory"),
    **dict.fromkeys(("-o", "--output"), "output"),
    **dict.fromkeys(("-e", "--error"), "error"),
    **dict.fromkeys(("-s", "--oversubscribe", "-O", "--overcommit", "--overlap"), "shares!"),
    **_valued("-m -t -p -A -J -i -C -x -q -d -G -r -W -T -F -a -b"),
}
_MPIRUN = {
    **dict.fromkeys(("-n", "-np", "--n", "--np", "-c"), "ranks"),
    **dict.fromkeys(("-ppn", "--ppn", "-perhost", "-N", "-npernode", "--npernode"), "ranks_per_node"),
    **dict.fromkeys(("-host", "--host", "-hosts", "--hosts", "-H"), "hosts"),
    **dict.fromkeys(("-f", "-hostfile", "--hostfile", "-machinefile", "--machinefile"), "hostfile"),
    **dict.fromkeys(("-map-by", "--map-by"), "map"),
    **dict.fromkeys(("-cpus-per-proc", "--cpus-per-proc", "-cpus-per-rank", "--cpus-per-rank"), "threads"),
    **dict.fromkeys(("-wdir", "--wdir", "-wd", "--wd"), "directory"),
    **dict.fromkeys(("-genv", "-env"), "variable2"),
    "-x": "variable",
    **dict.fromkeys(("-mca", "--mca", "-gmca", "--gmca", "--prtemca"), "pair"),
    **dict.fromkeys(("-oversubscribe", "--oversubscribe"), "shares!"),
    **_valued("-bind-to --bind-to -rank-by --rank-by -genvlist -envlist -launcher -bootstrap -rmk"),
    **_valued("-outfile-pattern -errfile-pattern -output-filename --output-filename -iface"),
    **_valued("-launcher-exec -bootstrap-exec -prefix --prefix -path --path -timeout --timeout"),
}
_APRUN = {
    "-n": "ranks",
    "-N": "ranks_per_node",
    "-d": "threads",
    "-L": "hosts",
    "-e": "variable",
    **_valued("-cc -cp -j -S -sn -sl -m -p -r -t"),
}
_JSRUN = {
    **dict.fromkeys(("-n", "--nrs"), "sets"),
    **dict.fromkeys(("-a", "--tasks_per_rs"), "ranks_per_set"),
    **dict.fromkeys(("-c", "--cpu_per_rs"), "cores_per_set"),
    **dict.fromkeys(("-g", "--gpu_per_rs"), "gpus_per_set"),
    **dict.fromkeys(("-r", "--rs_per_host"), "sets_per_node"),
    **dict.fromkeys(("-p", "--np"), "ranks"),
    **dict.fromkeys(("-h", "--chdir"), "directory"),
    **dict.fromkeys(("-E", "--env"), "variable"),
    **dict.fromkeys(("-o", "--stdio_stdout"), "output"),
    **dict.fromkeys(("-k", "--stdio_stderr"), "error"),
    **_valued("-b --bind -d --launch_distribution -l --latency_priority -m -K -M --smpiargs -i -t -U"),
}
_TABLES = {"srun": _SRUN, "aprun": _APRUN, "jsrun": _JSRUN}


def parse_call(name: str, words: Sequence[str], environ: Mapping[str, str]) -> Call:
    """Options that are not known are passed over. Raises UserError for what cannot be understood or done."""
    table = _TABLES.get(name, _MPIRUN)
    said: dict[str, list[str]] = {}
    left = list(words)
    while left and left[0].startswith("-") and left[0] != "-":
        word = left.pop(0)
        if word == "--":
            break
        option, what, attached = _option(table, word, attaches=name != "mpirun" and table is not _MPIRUN)
        if what is None or what.endswith("!"):
            said.setdefault((what or "").rstrip("!"), []).append("")
            continue
        count = 2 if what in ("variable2", "pair") else 1
        values = [attached] if attached is not None else []
        while len(values) < count:
            if not left:
                raise UserError(f"{name}: option {option} has no value")
            values.append(left.pop(0))
        said.setdefault(what, []).append("=".join(values) if what == "variable2" else values[0])
    if ":" in left and table is _MPIRUN:
        raise UserError(f"{name}: several programs in one call, with ':' between them, cannot be started here")
    call = Call(argv=tuple(left))
    for what, found in said.items():
        _take(name, call, what, found, environ)
    if not call.argv:
        raise UserError(f"{name}: which program is to be started?")
    _take_sets(name, call, said)
    return call


def _option(table: Mapping[str, str], word: str, *, attaches: bool) -> tuple[str, str | None, str | None]:
    """The option, what it sets, and its value if that is part of the word: `--x=1`, `-n4`."""
    if word in table:
        return word, table[word], None
    option, equals, value = word.partition("=")
    if equals:
        return option, table.get(option, ""), value
    if attaches and word[:2] in table and not word.startswith("--"):
        return word[:2], table[word[:2]], word[2:]
    return word, None, None


def _take(name: str, call: Call, what: str, found: list[str], environ: Mapping[str, str]) -> None:
    value = found[-1]
    match what:
        case "ranks" | "nodes" | "ranks_per_node" | "threads" | "gpus_per_rank":
            setattr(call, what, _number(name, value))
        case "hosts":
            call.hosts = tuple(expand(re.sub(r":\d+", "", value)))
        case "hostfile":
            call.hosts = _hosts_of(name, value)
        case "shares":
            call.shares = True
        case "directory" | "output" | "error":
            setattr(call, what, value)
        case "map":
            if match := re.match(r"ppr:(\d+):node", value):
                call.ranks_per_node = int(match[1])
            if match := re.search(r"\bPE=(\d+)", value, re.IGNORECASE):
                call.threads = int(match[1])
        case "variable" | "variable2":
            for entry in found:
                variable, equals, text = entry.partition("=")
                call.environment[variable] = text if equals else environ.get(variable, "")


def _take_sets(name: str, call: Call, said: Mapping[str, list[str]]) -> None:
    """jsrun's resource sets."""
    if not said.keys() & {"sets", "ranks_per_set", "cores_per_set", "gpus_per_set", "sets_per_node"}:
        return

    def number(what: str) -> int:
        return _number(name, said[what][-1], least=0) if what in said else 1

    ranks = max(number("ranks_per_set"), 1)
    call.ranks = call.ranks or number("sets") * ranks
    call.threads = max(number("cores_per_set") // ranks, 1)
    call.gpus_per_rank = -(-number("gpus_per_set") // ranks) if "gpus_per_set" in said else 0
    call.ranks_per_node = number("sets_per_node") * ranks if "sets_per_node" in said else 0


def _number(name: str, text: str, least: int = 1) -> int:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) < least:
        raise UserError(f"{name}: {text!r} is no number of ranks, nodes or cores")
    return int(text)


def _hosts_of(name: str, path: str) -> tuple[str, ...]:
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"{name}: the list of hosts {path}: {error.strerror}") from None
    words = [line.partition("#")[0].split() for line in lines]
    return tuple(dict.fromkeys(word[0].partition(":")[0] for word in words if word))
