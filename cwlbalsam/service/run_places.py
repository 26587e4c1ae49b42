"""The places of one run, made of the sites that its steps go to."""

import asyncio
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from cwlbalsam.cwl.places import HERE
from cwlbalsam.cwl.records import ToolProcess
from cwlbalsam.cwl.tasks import Outcome, Settings
from cwlbalsam.errors import DocumentError, Problem
from cwlbalsam.executor.events import Reporter, Warned
from cwlbalsam.executor.messages import OpenRun
from cwlbalsam.executor.pool import WorkerPool
from cwlbalsam.executor.site_pool import Connect, SitePool
from cwlbalsam.executor.staging_pool import Place, StagingPool
from cwlbalsam.executor.whereabouts import StagingArea, Whereabouts, at_place
from cwlbalsam.jobs.model import RunRecord
from cwlbalsam.parser.cache import Loaded
from cwlbalsam.service.agents import confirm_ended, connect
from cwlbalsam.service.home import Home
from cwlbalsam.service.leftovers import TRANSFERS_FILE
from cwlbalsam.service.link_book import LinkBook
from cwlbalsam.service.options import NO_ENGINE, RunOptions
from cwlbalsam.service.run_sites import RunSites, sites_home_of
from cwlbalsam.service.site_scratch import owner_of
from cwlbalsam.service.site_software import Needs
from cwlbalsam.sites.site import Site

NEWS = re.compile(r"(site \S+: )?pilot \S+: ")
"""What is told of a pilot that does well; else it is "pilot 17 has ...", or "no pilot"."""


class RunPlaces(Struct, frozen=True, kw_only=True):
    """folder: of the run, here. sites_home: with the agents of sites that share this machine's files."""

    run: str
    folder: Path
    loaded: Loaded
    sites: RunSites
    options: RunOptions
    home: Home
    sites_home: Home
    secret: bool
    reporter: Reporter
    links: LinkBook

    def pool(self, home: WorkerPool, settings: Settings) -> StagingPool:
        places = {site.name: self._place(site, settings) for site in self.sites.sites.values()}
        opening = partial(self._whereabouts, settings.engine)
        keeps = bool(self.options.log_dir)
        choose, order = self.sites.of, self.sites.order
        return StagingPool(
            home, places, self.loaded.program, choose=choose, opening=opening, order=order, keep_logs=keeps
        )

    def _place(self, site: Site, settings: Settings) -> Place:
        opening = self._opening(site, settings)
        pool = SitePool(opening, connector_of(site, self.sites_home, self.run, self._tell), self._tell)
        return Place(site.name, pool, shares=not site.host)

    def _tell(self, text: str) -> None:
        self.reporter.report(Warned(Problem("", text), note=bool(NEWS.match(text))))

    def _opening(self, site: Site, settings: Settings) -> OpenRun:
        if not site.host:
            journals = "" if self.secret else str(self.folder / "journals")
            return OpenRun(self.run, settings, str(self.folder), journals)
        wants = self.options.default_container or any(tool.requirements.docker for tool in self._tools(site.name))
        engine = self.options.engine if wants and self.options.engine != NO_ENGINE else ""
        owner = owner_of(self.home)
        return OpenRun(self.run, settings, "", "", engine=engine, keeps_journals=not self.secret, owner=owner)

    def _tools(self, site: str) -> list[ToolProcess]:
        return self.sites.tools_at(self.loaded.program, site)

    async def _whereabouts(self, engine: str, places: Mapping[str, Place]) -> Whereabouts | None:
        """Raises UserError if a site lacks what its tools need. engine: of sites that share this machine's files."""
        await self._check_software(engine, places)
        remote = [place for place in places.values() if not place.shares]
        if not remote:
            return None
        from cwlbalsam.executor.transfers import Mover
        from cwlbalsam.jobs.replicas import Catalogue
        from cwlbalsam.service.endpoints import endpoint_of, home_endpoint
        from cwlbalsam.service.transfer_log import TransferLog

        areas = {HERE: StagingArea(home_endpoint(str(self.folder)), str(self.folder))}
        for place in remote:
            opened = place.pool.opened
            areas[place.name] = StagingArea(endpoint_of(self.sites.sites[place.name], opened.work), opened.directory)
        catalogue = Catalogue()
        endpoints = {area.endpoint.site: area.endpoint for area in areas.values()}
        log = TransferLog(self.folder / TRANSFERS_FILE, self.reporter)
        mover = Mover(endpoints, catalogue, log.report, figures=self.links.figures, owner=self.run)
        return Whereabouts(areas, catalogue, mover)

    async def _check_software(self, engine: str, places: Mapping[str, Place]) -> None:
        """All that is lacking at once."""
        needs = [
            Needs(
                self.sites.sites[place.name],
                self._tools(place.name),
                engine if place.shares else place.pool.opened.engine,
                contained=bool(self.options.default_container),
            )
            for place in places.values()
        ]
        lacking = [problem for found in await asyncio.gather(*(each.lacking() for each in needs)) for problem in found]
        if lacking:
            raise DocumentError(lacking)


def connector_of(site: Site, sites_home: Home, run: str, tell: Callable[[str], None]) -> Connect:
    """How a run reaches the site's agent."""
    if not site.host:
        return lambda: connect(sites_home, site)
    from cwlbalsam.service.remote_agents import connector

    return connector(site, run, tell)


def ended_at_sites(sites: RunSites, options: RunOptions, home: Home, run: RunRecord) -> list[Outcome]:
    """Wait until nothing of a run lives at its sites any more; what was journalled on other machines.

    Raises UserError if a site does not tell.
    """
    found = []
    for site in sites.sites.values():
        reach = connector_of(site, sites_home_of(options, home), run.id, lambda text: None)
        directory = "" if site.host else run.directory
        outcomes = confirm_ended(site.name, OpenRun(run.id, Settings(), directory, "", owner=owner_of(home)), reach)
        found += [replace(at_place(site.name, outcome), site=site.name) for outcome in outcomes]
    return found
