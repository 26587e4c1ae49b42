"""What is known of the way between two sites by one protocol, and what a transfer over it will take."""

from msgspec import Struct

LinkName = tuple[str, str, str]
"""Source, target, protocol."""
LEARNING = 0.5
"""Weight of the newest transfer, in logarithms: 1 believes it alone, 0 learns nothing."""
LEAST = 1e-9
"""Seconds: below that no part of a figure goes, so that it can grow again."""
MOST_PER_SECOND = 1e12
HALF_LIFE_SECONDS = 7 * 86_400.0
"""After that time, half of what was learned is believed: else a protocol that had one bad day is never tried again."""


class Figures(Struct, frozen=True, kw_only=True):
    """One link. latency_seconds: of a batch; file_seconds: of each file of a batch, beside its bytes.

    samples: how many transfers these were learned from; 0 for a guess. learned: when, in seconds since the epoch.
    """

    latency_seconds: float
    file_seconds: float
    bytes_per_second: float
    samples: int = 0
    learned: float = 0.0

    def seconds(self, files: int, size_bytes: int) -> float:
        """Expected time of a batch. Source: Hockney's linear model, with a term for the files."""
        return self.latency_seconds + files * self.file_seconds + size_bytes / self.bytes_per_second


def learn(figures: Figures, files: int, size_bytes: int, seconds: float, now: float) -> Figures:
    """The figures after a batch has taken so long, at the time `now`.

    The error is shared out by the square root of what each part contributes, as a factor: so a batch of small files
    says little of the rate, a large file little of the cost of a file, and no part ever gets negative.
    """
    parts = (figures.latency_seconds, files * figures.file_seconds, size_bytes / figures.bytes_per_second)
    total = sum(parts)
    if total <= 0 or seconds <= 0:
        return figures
    error = seconds / total
    latency, file, transport = (error ** (LEARNING * (part / max(parts)) ** 0.5) for part in parts)
    return Figures(
        latency_seconds=max(figures.latency_seconds * latency, LEAST),
        file_seconds=max(figures.file_seconds * file, LEAST),
        bytes_per_second=min(figures.bytes_per_second / transport, MOST_PER_SECOND),
        samples=figures.samples + 1,
        learned=now,
    )


def faded(known: Figures, guess: Figures, now: float) -> Figures:
    """What was learned some time ago, on its way back to the guess: part by part, as a factor."""
    weight = 0.5 ** (max(now - known.learned, 0.0) / HALF_LIFE_SECONDS)

    def between(learned: float, guessed: float) -> float:
        return float(learned**weight * guessed ** (1.0 - weight))

    return Figures(
        latency_seconds=between(known.latency_seconds, guess.latency_seconds),
        file_seconds=between(known.file_seconds, guess.file_seconds),
        bytes_per_second=between(known.bytes_per_second, guess.bytes_per_second),
        samples=known.samples,
        learned=known.learned,
    )


class TransferRecord(Struct, frozen=True, kw_only=True):
    """One batch that went over a link, as history keeps it. trouble: "" if all of it arrived.

    files, size_bytes: what has arrived. started: seconds since the epoch. attempt: 0 the first time.
    """

    batch: str
    source: str
    target: str
    protocol: str
    started: float
    seconds: float
    files: int
    size_bytes: int
    attempt: int = 0
    failed: int = 0
    trouble: str = ""
    message: str = ""
