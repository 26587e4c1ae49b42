"""The places that a plan may use: this machine, and sites as they are now."""

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

from cwlbalsam.errors import UserError
from cwlbalsam.executor.site_limits import SiteLimits, limits_of
from cwlbalsam.jobs.batch import BatchState, MachineState
from cwlbalsam.jobs.links import Figures
from cwlbalsam.planner.problem import Link, Window
from cwlbalsam.planner.queues.profile import filled
from cwlbalsam.service.home import Home
from cwlbalsam.service.kept_plan import read_plan
from cwlbalsam.service.link_book import LinkBook
from cwlbalsam.service.options import NO_ENGINE, RunOptions
from cwlbalsam.service.room import Ground, here
from cwlbalsam.service.settings import choose_machine
from cwlbalsam.service.site_files import Seen, look_closely
from cwlbalsam.sites.containers import find_engine
from cwlbalsam.sites.site import LOCAL, Site
from cwlbalsam.store import Store

BATCH_START_SECONDS = 5.0
"""From a batch system with free nodes to a pilot's first job, where no run of the home has shown how long it takes."""
LINK = Figures(latency_seconds=0.5, file_seconds=0.01, bytes_per_second=5e7)
"""Between machines of which nothing is known: what ssh does over a usual network."""
RUNS_LOOKED_AT = 30
OUR_PILOT = "cwlbalsam-"


class Experience(Struct, frozen=True):
    """What earlier runs showed. starts: seconds from a run's start to the first job at a site, if it is sent there at
    once. links: by the names of their ends."""

    starts: Mapping[str, float] = {}
    links: Mapping[tuple[str, str], Figures] = {}


def experience(store: Store) -> Experience:
    """Of the last runs of a home whose folders are still there; the newest counts most."""
    starts: dict[str, list[float]] = {}
    for run in reversed(store.runs(RUNS_LOOKED_AT)):
        kept = read_plan(Path(run.directory))
        for site, seconds in kept.starts.items() if kept else ():
            starts.setdefault(site, []).append(seconds)
    book = LinkBook()
    book.read(store)
    links: dict[tuple[str, str], Figures] = {}
    for (source, target, _), figures in sorted(book.figures.items(), key=lambda known: known[1].samples):
        links[source, target] = figures  # of the protocol that was used most
    return Experience({site: _middle(found[-5:]) for site, found in starts.items()}, links)


def _middle(found: Sequence[float]) -> float:
    return sorted(found)[len(found) // 2]


def find_grounds(sites: Sequence[Site], options: RunOptions, home: Home, known: Experience) -> list[Ground]:
    """One for each site, `local` among them if it is asked for. Raises UserError if one does not answer."""

    async def look_at_all() -> list[Seen]:
        return await asyncio.gather(*(look_closely(site) for site in sites if site.name != LOCAL))

    seen = {one.site.name: one for one in asyncio.run(look_at_all())} if any(s.name != LOCAL for s in sites) else {}
    found = []
    for site in sites:
        if site.name == LOCAL:
            home.path.mkdir(parents=True, exist_ok=True)
            opens = known.starts.get(LOCAL, 0.0) if len(sites) > 1 else 0.0
            found.append(here(choose_machine(options, home.path), engine=_engine_here(options), opens=opens))
        else:
            found.append(_ground(seen[site.name], options, known))
    return found


def _engine_here(options: RunOptions) -> bool:
    if options.engine == NO_ENGINE:
        return False
    with suppress(UserError):
        return bool(find_engine("" if options.engine == "auto" else options.engine))
    return False


def _ground(seen: Seen, options: RunOptions, known: Experience) -> Ground:
    site = seen.site

    @cache
    def limits(queue: str) -> SiteLimits:
        return limits_of(site, seen.state, queue)

    is_batch = site.scheduler.kind != "local"
    starts = known.starts.get(site.name, BATCH_START_SECONDS if is_batch else 0.0)
    return Ground(
        name=site.name,
        limits=limits,
        windows=tuple(pilot_windows(limits(""), seen.state, starts, is_batch=is_batch)),
        seen=not site.host,
        engine=bool(site.containers) and options.engine != NO_ENGINE,
    )


def pilot_windows(
    limits: SiteLimits, state: MachineState | None, starts: float, *, is_batch: bool = True
) -> Iterator[Window]:
    """As many pilots as there may be, each when the queue lets it start, and `starts` seconds later.

    Pilots that run already are there at once: nodes of theirs count as free. Others' batch jobs are believed to use
    all their time; where nobody knows when nodes get free, they are taken to be so now.
    """
    pilots = limits.pilots
    left = min(pilots.nodes, pilots.nodes_per_pilot) if not is_batch else pilots.nodes
    profile = None
    if state is not None:
        ours = [job for job in state.jobs if job.name.startswith(OUR_PILOT)]
        running = sum(job.nodes for job in ours if job.state is BatchState.RUNNING)
        others = tuple(job for job in state.jobs if job not in ours)
        free = msgspec.structs.replace(state, jobs=others, free=state.free + running)
        left = min(left, state.nodes or left)
        profile = filled(free, depth=len(others))
    for _ in range(max(pilots.pilots, 1)):
        nodes = min(left, pilots.nodes_per_pilot)
        if nodes <= 0:
            return
        left -= nodes
        wait = 0.0
        if state is not None and profile is not None:
            start = profile.earliest(nodes, pilots.wall_seconds, state.time)
            if start < math.inf:
                profile.take(start, start + pilots.wall_seconds, nodes)
                wait = start - state.time
        yield Window(nodes, opens=wait + starts)


def links_between(grounds: Sequence[Ground], known: Experience) -> dict[tuple[str, str], Link]:
    """What moves files from one site to another; where both see this machine's files there is nothing to move."""
    seen = {ground.name for ground in grounds if ground.seen} | {LOCAL}
    names = list(dict.fromkeys([LOCAL, *(ground.name for ground in grounds)]))
    found = {}
    for source in names:
        for target in names:
            if source != target and not {source, target} <= seen:
                figures = known.links.get((source, target), LINK)
                latency = figures.latency_seconds + figures.file_seconds
                found[source, target] = Link(0, 0, figures.bytes_per_second, latency, shared=False)
    return found
