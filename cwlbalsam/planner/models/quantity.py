"""A quantity of one application's jobs, time or memory, learned in logarithms.

`log T = columns x coefficients + log curve(processors, size) + noise`. Which numeric inputs are among the columns,
which count of processors matters and along which curve: all combinations get a weight by their evidence and are
averaged.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cwlbalsam.planner.models.censoring import censored_target, log_survival
from cwlbalsam.planner.models.design import RELEVANT, SIZE_DEVIATION, SIZE_POWER, Frame, Term, frame_of
from cwlbalsam.planner.models.forecast import Forecasts
from cwlbalsam.planner.models.observation import Belief, Setting, SiteSpeed
from cwlbalsam.planner.models.regression import Posterior, Start
from cwlbalsam.planner.models.shapes import Shapes, curves, growth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NOISE, NOISE_WEIGHT = 0.04, 4.0
"""Repeated runs of a job differ by 2 to 5 %, and no curve fits exactly; worth four observations."""
NOISY = 1.5
"""Times the expected noise from which all is learned again with beliefs that are meant for the noise that was found."""
TRUST = 0.5
"""Power of the evidence: no curve is true, so that the data tell less of curves than they would if one were; without
it, extrapolation trusts a single curve too early. Source: Gruenwald, van Ommen, Bayesian Analysis 12 (2017)."""
OUTLIER = 3.5
"""Robust deviations from the fit beyond which an observation counts less, by the square of the excess."""
LEAST_FOR_OUTLIERS = 8
"""With fewer observations nothing tells an outlier from a trend."""
MOST_CHOICES = 30
"""Ways to use the numeric inputs that are all tried and averaged; beyond it, terms are added one by one."""
OUTLIER_ROUNDS = 5
NEGLIGIBLE = 1e-3
"""Designs and parts with less than this share of the best one's weight are left out."""
MOST_PARTS = 150


@dataclass(frozen=True)
class _Sample:
    """logs, open, weights: (jobs,); offsets: (jobs, cells). open: only known to be larger."""

    settings: Sequence[Setting]
    logs: Floats
    offsets: Floats
    open: NDArray[np.bool_]
    weights: Floats


@dataclass
class Design:
    """One choice of terms, with its posterior over all curves. log_prior: of the choice and the curves, (cells,)."""

    terms: tuple[Term, ...]
    log_prior: Floats
    posterior: Posterior

    def log_weights(self) -> Floats:
        """Of the curves, not normalised."""
        return TRUST * self.posterior.log_evidence() + self.log_prior

    def predict(self, x: Floats, offsets: Floats) -> tuple[Floats, Floats]:
        """Means and scales of log values: (settings, cells) both."""
        means, inverse, rate = self.posterior.solve()
        leverage = 1.0 + np.einsum("ij,jk,ik->i", x, inverse, x)
        return x @ means + offsets, np.sqrt(leverage[:, None] * rate / self.posterior.shape)

    def survive(self, x: Floats, log: float, offsets: Floats) -> None:
        """Learn that a value is larger than this. x: (columns,); offsets: (cells,)."""
        cells = self.log_weights()
        shares = np.exp(cells - np.logaddexp.reduce(cells))
        means, scales = (part[0] for part in self.predict(x[None], offsets[None]))
        spread = float(x @ self.posterior.solve()[1] @ x)
        targets, weight = censored_target(log, means, scales, spread / (1.0 + spread), shares)
        if log > float(means @ shares):  # a surprise: the noise may be larger, too
            self.posterior.add(x[None], (targets - offsets)[None], np.array([weight]))
            return
        self.log_prior = self.log_prior + log_survival((log - means) / scales)
        self.posterior.shift(x, targets - offsets, weight)


class Quantity:
    """Learned from (settings, values); values > 0. censored: the true value is larger."""

    def __init__(self, belief: Belief, sites: Mapping[str, SiteSpeed], divided: bool = True) -> None:
        """divided: it falls as processors are added. Memory does not: all processes of a job count together."""
        self._belief, self._site_speeds = belief, sites
        self._shapes: Shapes = curves() if divided else growth()
        self.learn([], [], [])

    # --- learning ---

    def learn(self, settings: Sequence[Setting], values: Sequence[float], censored: Sequence[bool]) -> None:
        """Forget what was learned, and learn from all of these."""
        self._frame: Frame = frame_of(settings, self._site_speeds)
        self._axes = _axes(settings)
        sample = _Sample(
            settings, self._logs(values), self._offsets(settings), np.array(censored, bool), np.ones(len(values))
        )
        self._scale = NOISE
        found = self._search(sample)
        best, cell = _most_likely(found)
        scale = float(np.sqrt(best.posterior.solve()[2][cell] / best.posterior.shape))
        weights = self._outlier_weights(best, cell, sample)
        if weights.min(initial=1.0) < 1.0 or scale > NOISY * NOISE:
            self._scale = max(scale, NOISE)
            found = self._search(replace(sample, weights=weights))
        most = max(float(design.log_weights().max()) for design in found)
        self._designs = [one for one in found if one.log_weights().max() > most + np.log(NEGLIGIBLE)]

    def add(self, setting: Setting, value: float, censored: bool) -> None:
        """One more, without looking for terms and outliers anew: 2 to 3 ms of CPU."""
        log, offsets = self._logs([value]), self._offsets([setting])
        weight = 1.0
        if not censored:
            forecast = self.predict([setting])
            low, middle, high = np.log(forecast.quantiles((0.159, 0.5, 0.841))[0])
            weight = _outlier_weight((log[0] - middle) / max(0.5 * (high - low), NOISE))
        for design in self._designs:
            x = self._frame.columns([setting], design.terms)
            if censored:
                design.survive(x[0], float(log[0]), offsets[0])
            else:
                design.posterior.add(x, log[:, None] - offsets, np.array([weight]))

    # --- predicting ---

    def predict(self, settings: Sequence[Setting]) -> Forecasts:
        """One forecast each."""
        offsets = self._offsets(settings)
        parts = [(one, *one.predict(self._frame.columns(settings, one.terms), offsets)) for one in self._designs]
        log_weights = np.concatenate([one.log_weights() for one in self._designs])
        weights = np.exp(log_weights - log_weights.max())
        kept = np.argsort(-weights)[:MOST_PARTS]
        kept = kept[weights[kept] > NEGLIGIBLE]
        means = np.concatenate([mean for _, mean, _ in parts], axis=1)[:, kept]
        scales = np.concatenate([scale for _, _, scale in parts], axis=1)[:, kept]
        return Forecasts(means, scales, weights[kept] / weights[kept].sum(), 2 * self._designs[0].posterior.shape)

    def relevance(self) -> dict[str, float]:
        """Probability that each numeric input matters."""
        weights = [np.logaddexp.reduce(one.log_weights()) for one in self._designs]
        shares = np.exp(np.array(weights) - np.logaddexp.reduce(weights))
        names = sorted({term.name for term in self._frame.terms})
        return {
            name: float(sum(s for s, one in zip(shares, self._designs, strict=True) if _uses(one.terms, name)))
            for name in names
        }

    @property
    def sites(self) -> tuple[str, ...]:
        """Those that have a factor of their own."""
        return self._frame.sites[:-1]

    def site_effects(self) -> dict[str, tuple[float, float]]:
        """Mean and deviation of each site's log slowness, of the most likely design and curve."""
        best, cell = _most_likely(self._designs)
        means, inverse, rate = best.posterior.solve()
        return {
            site: (
                float(means[2 + number, cell]),
                float(np.sqrt(inverse[2 + number, 2 + number] * rate[cell] / best.posterior.shape)),
            )
            for number, site in enumerate(self._frame.sites[:-1])
        }

    # --- the parts of learning ---

    def _logs(self, values: Sequence[float]) -> Floats:
        return np.asarray(np.log(np.maximum(np.array(values, dtype=float), self._belief.floor or 1e-300)))

    def _offsets(self, settings: Sequence[Setting]) -> Floats:
        """(settings, axes x curves)."""
        sizes = self._frame.sizes(settings)
        counts = (np.array([getattr(one, axis) for one in settings], dtype=float) for axis in self._axes)
        return np.concatenate([self._shapes.offsets(count, sizes) for count in counts], axis=1)

    def _search(self, sample: _Sample) -> list[Design]:
        """All choices of terms, fitted; if they are too many, the term that helps the most is added while one does."""

        def worth(design: Design) -> float:
            return float(np.logaddexp.reduce(design.log_weights()))

        def fitted(terms: tuple[Term, ...]) -> Design:
            return self._fit(self._blank(terms), sample)

        found = [fitted(terms) for terms in _choices(self._frame.terms)]
        if found[1:] or not self._frame.terms:
            return found
        best = found[0]
        while True:
            rest = [term for term in self._frame.terms if not _uses(best.terms, term.name)]
            tried = [fitted((*best.terms, term)) for term in rest]
            found += tried
            if not tried or worth(max(tried, key=worth)) <= worth(best):
                return found
            best = max(tried, key=worth)

    def _fit(self, design: Design, sample: _Sample) -> Design:
        """What is only known to be larger is learned last, the smallest first: what it tells depends on the rest."""
        x, closed = self._frame.columns(sample.settings, design.terms), ~sample.open
        design.posterior.add(x[closed], (sample.logs[:, None] - sample.offsets)[closed], sample.weights[closed])
        rows: list[int] = np.flatnonzero(sample.open).tolist()
        for row in sorted(rows, key=lambda row: (sample.logs[row], repr(sample.settings[row]))):
            design.survive(x[row], float(sample.logs[row]), sample.offsets[row])
        return design

    def _blank(self, terms: tuple[Term, ...]) -> Design:
        frame, cells = self._frame, len(self._axes) * len(self._shapes.serial)
        means = np.zeros((2 + len(frame.sites) + len(terms), cells))
        means[0] = np.log(self._belief.median)
        means[1] = np.where(np.tile(self._shapes.fixed, len(self._axes)) > 0, 0.0, SIZE_POWER)
        means[2 : 2 + len(frame.sites)] = np.array(frame.site_means)[:, None]
        own = [np.log(self._belief.factor), SIZE_DEVIATION, *frame.site_deviations]
        start = Start(means, np.array([*own, *(term.deviation for term in terms)]), NOISE, NOISE_WEIGHT, self._scale)
        forms = {name: sum(term.name == name for term in frame.terms) for name in {t.name for t in frame.terms}}
        log_prior = np.tile(self._shapes.log_prior, len(self._axes)) - np.log(len(self._axes))
        log_prior = log_prior + sum(np.log(RELEVANT / forms[term.name]) for term in terms)
        return Design(terms, log_prior + (len(forms) - len(terms)) * np.log(1 - RELEVANT), Posterior.of(start))

    def _outlier_weights(self, best: Design, cell: int, sample: _Sample) -> Floats:
        """By how far each is from the best fit, measured by the median distance, which outliers do not move."""
        if (~sample.open).sum() < LEAST_FOR_OUTLIERS:
            return sample.weights
        weights = sample.weights
        for _ in range(OUTLIER_ROUNDS):
            means, _ = best.predict(self._frame.columns(sample.settings, best.terms), sample.offsets)
            apart = sample.logs - means[:, cell]
            apart = apart - np.median(apart[~sample.open])
            usual = max(1.4826 * float(np.median(np.abs(apart[~sample.open]))), 0.5 * NOISE)
            weights = np.array([_outlier_weight(one / usual) for one in apart])
            if weights.min() == 1.0:
                break
            best = self._fit(self._blank(best.terms), replace(sample, weights=weights))
        return weights


def _most_likely(designs: Sequence[Design]) -> tuple[Design, int]:
    """And its most likely cell."""
    best = max(designs, key=lambda one: float(one.log_weights().max()))
    return best, int(np.argmax(best.log_weights()))


def _choices(terms: Sequence[Term]) -> list[tuple[Term, ...]]:
    """All ways to use each number in one of its forms or not; only the empty one if they are too many to try."""
    names = {term.name: [term_ for term_ in terms if term_.name == term.name] for term in terms}
    if math.prod(1 + len(forms) for forms in names.values()) > MOST_CHOICES:
        return [()]
    return [
        tuple(term for term in choice if term is not None)
        for choice in itertools.product(*([None, *forms] for forms in names.values()))
    ]


def _uses(terms: Sequence[Term], name: str) -> bool:
    return any(term.name == name for term in terms)


def _axes(settings: Sequence[Setting]) -> tuple[str, ...]:
    """Counts that time may depend on: those that differ among the jobs, and each in another way."""
    seen: dict[tuple[int, ...], str] = {}
    for axis in ("nodes", "ranks", "processors"):
        values = tuple(getattr(one, axis) for one in settings)
        if len(set(values)) > 1:
            seen.setdefault(values, axis)
    return tuple(seen.values()) or ("processors",)


def _outlier_weight(deviations: float) -> float:
    return 1.0 if abs(deviations) <= OUTLIER else float((OUTLIER / deviations) ** 2)
