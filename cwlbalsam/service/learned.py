"""What earlier runs of a home tell of the jobs of a Program: the planner's estimates, and which of them are learned."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from cwlbalsam.cwl.records import Program, ToolProcess
from cwlbalsam.planner.models.application import ApplicationModel
from cwlbalsam.planner.models.book import Book, Page, merged
from cwlbalsam.planner.models.observation import Observation, Setting
from cwlbalsam.planner.problem import Duration
from cwlbalsam.service.expected import Assumed, assumed
from cwlbalsam.service.home import Home
from cwlbalsam.service.model_views import fitted, usual
from cwlbalsam.service.models import imported, observed, prior_of, setting_of
from cwlbalsam.store import Store

MOST_RUNS = 100
"""What older runs of the same tools showed is not read for a plan."""
MEMORY_LEVEL = 0.95
MEGABYTE = float(1 << 20)


def learned(program: Program, store: Store, home: Home) -> "Learned":
    """Of the tools of a Program. Raises UserError if what was imported cannot be read."""
    tools = {process.digest for process in program.processes if isinstance(process, ToolProcess)}
    return Learned(merged(imported(home), observed(store, tools, MOST_RUNS)))


class Learned(Assumed):
    """Estimates by models of what was observed; where nothing was, what is assumed without."""

    def __init__(self, book: Book) -> None:
        self._pages = {page.key: page for page in book.pages if page.observations}
        self._models: dict[str, ApplicationModel] = {}
        self._found: dict[tuple[str, str, bytes], Duration] = {}

    def add(self, ended: Iterable[tuple[ToolProcess, Observation]]) -> None:
        """More jobs have ended."""
        new: dict[str, tuple[ToolProcess, list[Observation]]] = {}
        for tool, observation in ended:
            new.setdefault(tool.digest, (tool, []))[1].append(observation)
        for digest, (tool, observations) in new.items():
            page = self._pages.get(digest) or Page(key=digest, name=tool.id, prior=prior_of(tool))
            self._pages[digest] = msgspec.structs.replace(page, observations=(*page.observations, *observations))
            self._models.pop(digest, None)
        self._found = {key: known for key, known in self._found.items() if key[0] not in new}

    def seconds(self, tool: ToolProcess, jobs: Sequence[Mapping[str, Any]], site: str) -> Sequence[Duration]:
        """See `Estimates`."""
        if tool.digest not in self._pages:
            return [assumed(tool)] * len(jobs)
        settings = [self._setting(tool, values, site) for values in jobs]
        keys = [(tool.digest, site, msgspec.msgpack.encode(setting)) for setting in settings]
        unknown = {key: setting for key, setting in zip(keys, settings, strict=True) if key not in self._found}
        if unknown:
            means, deviations = self._model(tool).wall_seconds(list(unknown.values())).log_moments()
            for key, mean, deviation in zip(unknown, means.tolist(), deviations.tolist(), strict=True):
                self._found[key] = Duration(math.exp(min(mean, 50.0)), deviation)
        return [self._found[key] for key in keys]

    def output_bytes(self, tool: ToolProcess) -> float:
        """See `Estimates`."""
        page = self._pages.get(tool.digest)
        return statistics.median(one.output_bytes for one in page.observations) if page else 0.0

    def notes(self, steps: Mapping[str, ToolProcess], sites: Sequence[str]) -> list[str]:
        """What is learned and what is assumed of each step's tool, a sentence each."""
        return [note for step, tool in steps.items() for note in self._notes(step, tool, sites)]

    def _notes(self, step: str, tool: ToolProcess, sites: Sequence[str]) -> list[str]:
        page = self._pages.get(tool.digest)
        if page is None:
            return [f"step '{step}': {assumed(tool).median:g} s a job are assumed: none has run yet"]
        counts = Counter(one.setting.site or "local" for one in page.observations)
        seen = ", ".join(f"{count:,} at {site}" for site, count in counts.most_common())
        notes = [f"step '{step}': times are learned from {len(page.observations):,} jobs ({seen})"]
        if unseen := [site for site in sites if site not in counts]:
            notes.append(f"step '{step}': it never ran at {', '.join(unseen)}: taken to be as fast as elsewhere")
        return notes + self._memory_note(step, tool)

    def _memory_note(self, step: str, tool: ToolProcess) -> list[str]:
        asked = tool.requirements.resources.ram_min
        page = self._pages[tool.digest]
        if not any(one.peak_memory_bytes for one in page.observations):
            return []
        needs = float(self._model(tool).memory_bytes([usual(page)]).quantiles((MEMORY_LEVEL,))[0, 0]) / MEGABYTE
        has = float(asked) if isinstance(asked, (int, float)) else 256.0
        if needs <= has:
            return []
        return [f"step '{step}': its jobs need up to {needs:,.0f} MiB of memory, and {has:,.0f} MiB are asked for"]

    def _model(self, tool: ToolProcess) -> ApplicationModel:
        if tool.digest not in self._models:
            self._models[tool.digest] = fitted(self._pages[tool.digest])
        return self._models[tool.digest]

    def _setting(self, tool: ToolProcess, values: Mapping[str, Any], site: str) -> Setting:
        """Of the inputs that are not known yet, what they usually are."""
        known = setting_of(tool, dict(values), site)
        if len(values) >= len(tool.inputs):
            return known
        middle = usual(self._pages[tool.digest])
        size = max(middle.input_bytes, known.input_bytes)
        return msgspec.structs.replace(known, numbers={**middle.numbers, **known.numbers}, input_bytes=size)
