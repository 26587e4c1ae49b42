"""Which source and protocol a file takes, how files are batched, when one is tried again: no I/O, no clock."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from cwlbalsam.jobs.links import Figures
from cwlbalsam.sites.transfers.base import Trouble

PATIENCE_SECONDS = 3600.0
"""So long a site may be down before its files count as lost."""
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
SPENT_AFTER: dict[Trouble, int] = {
    Trouble.UNFIT: 1,
    Trouble.LOGIN: 1,
    Trouble.DENIED: 1,
    Trouble.MISSING: 1,
    Trouble.CORRUPT: 2,
    Trouble.CHANGED: 3,
    Trouble.CUT: 4,
    Trouble.SLOW: 2,
    Trouble.OTHER: 2,
}
"""So many failures of a kind make a way useless; the others, UNREACHABLE, only take time."""
LATENCY_SHARE = 0.05
"""Of a batch's time, which latency may take."""
LEAST_BATCH_SECONDS = 5.0
MOST_FILES = 10_000
GUILTY_SHARE = 8
"""A batch that failed as a whole is tried again in so many parts, until the file is alone that it failed by."""

File = TypeVar("File")


class Option(Struct, frozen=True):
    """One way: from where (a site), by which protocol, and how long it should take. rank: the lowest is preferred."""

    source: str
    protocol: str
    seconds: float
    rank: int = 0

    @property
    def way(self) -> tuple[str, str]:
        return self.source, self.protocol


class Failures(Struct):
    """What has gone wrong with one way."""

    troubles: list[Trouble] = []
    message: str = ""
    first: float = 0.0
    not_before: float = 0.0

    def spent(self, now: float) -> bool:
        """Whether it is of no use any more."""
        if self.troubles and now - self.first > PATIENCE_SECONDS:
            return True
        return any(self.troubles.count(trouble) >= most for trouble, most in SPENT_AFTER.items())


class History(Struct):
    """Of one file's way to one site. full: why the target cannot take it, whatever way it comes."""

    ways: dict[tuple[str, str], Failures] = msgspec.field(default_factory=dict)
    full: str = ""
    most_files: int = MOST_FILES

    @property
    def failures(self) -> int:
        return sum(len(way.troubles) for way in self.ways.values())


class Go(Struct, frozen=True):
    option: Option


class Wait(Struct, frozen=True):
    seconds: float


class GiveUp(Struct, frozen=True):
    """trouble: of the way that went furthest; MISSING if there is no source at all."""

    trouble: Trouble
    message: str


def choose(options: Sequence[Option], history: History, now: float) -> Go | Wait | GiveUp:
    """Of the ways that are preferred the one that should end first; while one has to wait, it is like the least
    preferred ones."""
    if history.full:
        return GiveUp(Trouble.FULL, history.full)
    nothing = Failures()
    open_ways = [option for option in options if not history.ways.get(option.way, nothing).spent(now)]
    if not open_ways:
        return _give_up(options, history)

    def wait(option: Option) -> float:
        return max(history.ways.get(option.way, nothing).not_before - now, 0.0)

    last = max(option.rank for option in open_ways)

    def cost(option: Option) -> tuple[int, float, tuple[str, str]]:
        return last if wait(option) else option.rank, option.seconds + wait(option), option.way

    best = min(open_ways, key=cost)
    return Wait(wait(best)) if wait(best) > 0 else Go(best)


def _give_up(options: Sequence[Option], history: History) -> GiveUp:
    failed = [(way, failures) for way, failures in history.ways.items() if failures.troubles]
    if not failed:
        return GiveUp(
            Trouble.MISSING if not options else Trouble.UNFIT, "no site that has it can be reached from there"
        )
    causes = [trouble for _, failures in failed for trouble in failures.troubles if trouble is not Trouble.UNFIT]
    told = "; ".join(f"from {source} by {protocol}: {failures.message}" for (source, protocol), failures in failed)
    return GiveUp(causes[-1] if causes else Trouble.UNFIT, told)


def record(
    history: History, option: Option, trouble: Trouble, message: str, now: float, batched: int, share: float
) -> None:
    """A failure. batched: files of the batch, if all failed together, else 1. share: 0 to 1, by chance: it spreads
    what has failed together."""
    if trouble is Trouble.FULL:
        history.full = message
        return
    if batched > 1 and trouble in (Trouble.OTHER, Trouble.SLOW):
        history.most_files = max(batched // GUILTY_SHARE, 1)
        return
    failures = history.ways.setdefault(option.way, Failures(troubles=[], first=now))
    failures.troubles.append(trouble)
    failures.message = message
    wait = min(FIRST_WAIT_SECONDS * 2.0 ** (len(failures.troubles) - 1), LONGEST_WAIT_SECONDS)
    failures.not_before = now + wait * (0.5 + share / 2)


def batches(files: Iterable[File], sizes: Iterable[int], figures: Figures, most_files: int) -> Iterator[list[File]]:
    """Cut where latency has become a small part of the time: large enough to be efficient, and no larger."""
    enough = max(figures.latency_seconds / LATENCY_SHARE, LEAST_BATCH_SECONDS)
    batch: list[File] = []
    size_bytes = 0
    for file, size in zip(files, sizes, strict=True):
        batch.append(file)
        size_bytes += size
        if len(batch) >= most_files or figures.seconds(len(batch), size_bytes) >= enough:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch
