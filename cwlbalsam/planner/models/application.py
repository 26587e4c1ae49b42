"""The model of one application: how long its jobs take, and how much memory they need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cwlbalsam.planner.models.forecast import Forecasts
from cwlbalsam.planner.models.observation import Observation, Prior, Setting
from cwlbalsam.planner.models.quantity import Quantity

MEMORY = 2000
"""Observations that are kept; of more, the latest ones count."""
REFIT_GROWTH = 1.25
"""Terms and outliers are looked for anew when there are so many times more observations than at the last time."""


class ApplicationModel:
    """Learns from observations, one at a time or many at once."""

    def __init__(self, prior: Prior | None = None, observations: Iterable[Observation] = ()) -> None:
        self.prior = prior or Prior()
        self.observations: list[Observation] = list(observations)[-MEMORY:]
        self._wall = Quantity(self.prior.wall_seconds, self.prior.sites)
        self._memory = Quantity(self.prior.memory_bytes, {}, divided=False)
        self._learned = 0
        if self.observations:
            self._learn_all()

    def add(self, observation: Observation) -> None:
        """One more job ended: 6 ms of CPU, but for the few times when all is learned anew."""
        self.observations.append(observation)
        del self.observations[:-MEMORY]
        if len(self.observations) >= REFIT_GROWTH * self._learned or observation.setting.site not in self._wall.sites:
            self._learn_all()
            return
        self._wall.add(observation.setting, observation.wall_seconds, observation.censored)
        if observation.peak_memory_bytes > 0:
            self._memory.add(observation.setting, observation.peak_memory_bytes, observation.censored)

    def wall_seconds(self, settings: Sequence[Setting]) -> Forecasts:
        """One forecast a setting."""
        return self._wall.predict(settings)

    def memory_bytes(self, settings: Sequence[Setting]) -> Forecasts:
        """One forecast a setting."""
        return self._memory.predict(settings)

    def relevance(self) -> dict[str, float]:
        """Probability that each numeric input that differed matters for the time."""
        return self._wall.relevance()

    def site_effects(self) -> dict[str, tuple[float, float]]:
        """Log slowness of each site, and its deviation."""
        return self._wall.site_effects()

    def _learn_all(self) -> None:
        self._learned = len(self.observations)
        settings = [one.setting for one in self.observations]
        ended = [one.censored for one in self.observations]
        self._wall.learn(settings, [one.wall_seconds for one in self.observations], ended)
        measured = [one for one in self.observations if one.peak_memory_bytes > 0]
        peaks = [one.peak_memory_bytes for one in measured]
        self._memory.learn([one.setting for one in measured], peaks, [one.censored for one in measured])
