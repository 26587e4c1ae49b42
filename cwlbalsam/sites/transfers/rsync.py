"""rsync: one process for any number of files; what an interrupted one has left is gone on with."""

from collections.abc import Sequence
from functools import partial

from cwlbalsam.jobs.links import Figures
from cwlbalsam.sites.transfers.base import Endpoint, Load, Transfer, TransferError, Trouble
from cwlbalsam.sites.transfers.hand import measure
from cwlbalsam.sites.transfers.process import Running, Stage, start_commands
from cwlbalsam.sites.transfers.scp import can as can_scp
from cwlbalsam.sites.transfers.ssh import options

NAME = "rsync"
ALIASED = True
OWN = True
RESUMES = True
TIMEOUT_SECONDS = 120


def can(source: Endpoint, target: Endpoint) -> str:
    return can_scp(source, target)


def refuses(source: Endpoint, path: str) -> str:
    """Nothing: it sees plain names only."""
    return ""


def guess(source: Endpoint, target: Endpoint) -> Figures:
    return Figures(latency_seconds=0.4, file_seconds=2e-4, bytes_per_second=9.5e7)


def command(load: Load) -> list[str]:
    """Names come on stdin, each with a NUL at its end."""
    remote = load.target.ssh if load.source.local else load.source.ssh
    assert remote is not None
    host = f"[{remote.host}]" if ":" in remote.host else remote.host
    source, target = f"{load.aliases}/", f"{load.stage}/"
    if load.source.local:
        target = f"{host}:{target}"
    else:
        source = f"{host}:{source}"
    sparse = ["--sparse"] if any(parcel.holes for parcel in load.parcels) else []  # which takes twice the time
    return [
        *("rsync", "--copy-links", "--times", "--partial", "--protect-args", "--no-motd", *sparse),
        *(f"--timeout={TIMEOUT_SECONDS}", f"--rsh={quoted(['ssh', *options(remote)])}"),
        *("--from0", "--files-from=-", "--", source, target),
    ]


def quoted(words: Sequence[str]) -> str:
    """As rsync takes --rsh apart: at blanks, but for what stands in quotes, where a doubled quote is one."""
    if any('"' in word and "'" in word for word in words):
        raise TransferError(Trouble.UNFIT, "rsync cannot take a path with quotes of both kinds")
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    if not any(sign in word for sign in " '\""):
        return word
    return f"'{word}'" if "'" not in word else f'"{word}"'


async def start(load: Load) -> Transfer:
    stage = Stage(argv=command(load))
    names = "".join(f"{parcel.name}\0" for parcel in load.parcels)
    processes = await start_commands(stage, stdin=names.encode())
    whole = len(load.parcels), sum(parcel.size or 0 for parcel in load.parcels)
    return Running(processes, [stage], whole=whole, measure=partial(measure, load))
