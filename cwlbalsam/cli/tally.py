"""Counts of a run's jobs, kept from its events; every event costs the same, however many jobs there are."""

import math
from collections import deque
from dataclasses import dataclass, field

from cwlbalsam.executor.events import JobEnded, JobKept, JobsAdded, JobStarted
from cwlbalsam.jobs.names import step_of

RATE_SECONDS = 10.0
"""Rates are of the last so many seconds, so that they follow what happens now."""
GOOD = frozenset({"done", "skipped"})


@dataclass
class Count:
    """Jobs of one step. killed: those that a failure above them, or the user, kept from ending.

    began: when the first of them started; infinity before that.
    """

    total: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    killed: int = 0
    running: int = 0
    began: float = math.inf

    @property
    def ended(self) -> int:
        """Jobs that nothing more is to be expected of."""
        return self.done + self.skipped + self.failed + self.killed


@dataclass
class Tally:
    """steps: in the order in which they became known. stopping: no other job will start."""

    started: float
    steps: dict[str, Count] = field(default_factory=dict)
    whole: Count = field(default_factory=Count)
    stopping: bool = False
    _running: set[int] = field(default_factory=set)
    _kept: int = 0
    _marks: deque[tuple[float, int]] = field(default_factory=deque)  # time, jobs ended by then

    def add(self, event: JobsAdded) -> None:
        self.whole.total += event.count
        for name, count in event.steps.items():
            self.steps.setdefault(name, Count()).total += count

    def start(self, event: JobStarted, now: float) -> None:
        if event.job not in self._running:
            self._running.add(event.job)
            for count in self._counts(event.name):
                count.running += 1
                count.began = min(count.began, now)

    def keep(self, event: JobKept) -> None:
        """Done, but not now: the rate does not count it."""
        self._kept += 1
        for count in self._counts(event.name):
            count.done += 1

    def end(self, event: JobEnded, now: float) -> None:
        ran = event.job in self._running
        self._running.discard(event.job)
        word = "killed" if event.ending in {"killed", "cancelled"} else "failed"
        word = event.ending if event.ending in GOOD else word
        for count in self._counts(event.name):
            count.running -= ran
            setattr(count, word, getattr(count, word) + 1)
        if not self._marks or now - self._marks[-1][0] >= RATE_SECONDS / 40:
            self._marks.append((now, self.whole.ended - self._kept))
            while self._marks[-1][0] - self._marks[0][0] > RATE_SECONDS:
                self._marks.popleft()

    def rate(self, now: float) -> float:
        """Jobs a second lately; 0.0 as long as that cannot be told."""
        since, before = self._marks[0] if self._marks else (self.started, 0)
        if now - since > 2 * RATE_SECONDS or len(self._marks) < 2:  # jobs take long: what counts is the whole run
            since, before = self.started, 0
        return (self.whole.ended - self._kept - before) / (now - since) if now > since else 0.0

    def rest(self, now: float) -> float | None:
        """Seconds until the jobs known now have ended, if they go on as they did; None if that cannot be told."""
        rate = self.rate(now)
        left = self.whole.total - self.whole.ended
        return left / rate if rate and not self.stopping else None

    def _counts(self, name: str) -> tuple[Count, Count]:
        step = step_of(name)
        count = self.steps.get(step)
        if count is None:
            count = self.steps[step] = Count()
        return count, self.whole
