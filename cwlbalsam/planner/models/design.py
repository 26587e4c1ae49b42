"""From settings to the columns of a regression: the base, the input's size, the sites, and numbers that may matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from cwlbalsam.planner.models.observation import OTHER_SITE, Setting, SiteSpeed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SMALL_BYTES = 65_536.0
"""Inputs much smaller than this do not differ: to open a file costs as much as to read so many bytes."""
SIZE_POWER, SIZE_DEVIATION = 1.0, 0.3
"""Of the input's size in the time: most tools read their input once; some sort it, some sample it."""
LOG_DEVIATION, LINEAR_DEVIATION = 0.5, 0.3
"""Of a number's power, and of the change of log time for one standard deviation of it."""
RELEVANT = 0.5
"""Prior probability that a numeric input matters at all: nothing is known."""
MOST_NUMBERS = 12
"""More numeric inputs than this are not looked at, in the order of their names."""

LARGEST = 1e30
"""Numbers beyond count as this much, so that their squares are finite."""

Form = Literal["log", "linear"]


@dataclass(frozen=True)
class Term:
    """A numeric input as a column: (form of value - centre) / scale; 0 where a job has no such input."""

    name: str
    form: Form
    centre: float
    scale: float

    @property
    def deviation(self) -> float:
        """Of its coefficient, beforehand."""
        return LOG_DEVIATION if self.form == "log" else LINEAR_DEVIATION

    def column(self, settings: Sequence[Setting]) -> Floats:
        """(settings,). A value that the logarithm does not take is far below all others."""
        values = _values(settings, self.name)
        if self.form == "log":
            values = np.log(np.maximum(values, 1e-300))
        return np.asarray(np.clip(np.nan_to_num((values - self.centre) / self.scale, nan=0.0), -1e3, 1e3))


@dataclass(frozen=True)
class Frame:
    """What all designs of one model share, fixed by the data of its last fit."""

    log_size: float  # the median of the inputs' sizes: columns are relative to it
    sites: tuple[str, ...]  # the last one stands for all others
    site_means: tuple[float, ...]
    site_deviations: tuple[float, ...]
    terms: tuple[Term, ...]

    def sizes(self, settings: Sequence[Setting]) -> Floats:
        """Logarithms of the inputs' sizes, relative to the usual one."""
        return np.array([np.log(setting.input_bytes + SMALL_BYTES) for setting in settings]) - self.log_size

    def columns(self, settings: Sequence[Setting], terms: Sequence[Term]) -> Floats:
        """(settings, 2 + sites + terms)."""
        where = {site: number for number, site in enumerate(self.sites)}
        sites = np.zeros((len(settings), len(self.sites)))
        for row, setting in enumerate(settings):
            sites[row, where.get(setting.site, len(self.sites) - 1)] = 1.0
        columns = [np.ones(len(settings)), self.sizes(settings), *sites.T]
        return np.column_stack([*columns, *(term.column(settings) for term in terms)])


def frame_of(settings: Sequence[Setting], sites: Mapping[str, SiteSpeed]) -> Frame:
    """sites: what is believed of some beforehand."""
    logs = [float(np.log(setting.input_bytes + SMALL_BYTES)) for setting in settings]
    names = sorted({setting.site for setting in settings} | sites.keys())
    speeds = [sites.get(name, OTHER_SITE) for name in names]
    return Frame(
        log_size=float(np.median(logs)) if logs else float(np.log(SMALL_BYTES)),
        sites=(*names, "\0other"),
        site_means=(*(speed.log_slowness for speed in speeds), OTHER_SITE.log_slowness),
        site_deviations=(*(speed.deviation for speed in speeds), OTHER_SITE.deviation),
        terms=tuple(_terms(settings)),
    )


def _values(settings: Sequence[Setting], name: str) -> Floats:
    """(settings,); nan where there is none."""
    return np.clip([setting.numbers.get(name, np.nan) for setting in settings], -LARGEST, LARGEST)


def _terms(settings: Sequence[Setting]) -> list[Term]:
    """Of numbers that differ among the jobs, each in the forms that its values allow."""
    names = sorted({name for setting in settings for name in setting.numbers})
    found: list[Term] = []
    for name in names:
        values = _values(settings, name)
        values = values[~np.isnan(values)]
        spread = float(values.std()) if len(values) else 0.0
        if spread <= 1e-9 * float(np.abs(values).max(initial=0.0)):
            continue
        if len({term.name for term in found}) == MOST_NUMBERS:
            break
        if (values > 0).all():
            found.append(Term(name, "log", float(np.median(np.log(values))), 1.0))
        found.append(Term(name, "linear", float(values.mean()), spread))
    return found
