"""Whether a site has what its tools require: a container engine, packages, and the modules that its jobs load."""

from collections.abc import Sequence

from msgspec import Struct

from cwlbalsam.cwl.records import ToolProcess
from cwlbalsam.errors import Problem
from cwlbalsam.service.site_files import runner
from cwlbalsam.sites import software
from cwlbalsam.sites.site import Site
from cwlbalsam.sites.software import Found, Missing, Package

ASK_SECONDS = 120.0
ELSEWHERE = "choose another site for its step (--site STEP=NAME)"


class Needs(Struct, frozen=True):
    """What runs at a site. engine: for containers, "" if there is none. contained: all tools run in containers."""

    site: Site
    tools: Sequence[ToolProcess]
    engine: str
    contained: bool = False

    async def lacking(self) -> list[Problem]:
        """All that the site does not have."""
        return [*self._containers(), *await self._software()]

    def _containers(self) -> list[Problem]:
        required = [(tool, tool.requirements.docker) for tool in self.tools if not self.engine]
        return [
            Problem(
                docker.place,
                f"'{tool.id}' requires a container, and no container engine works at site '{self.site.name}'",
                f"{ELSEWHERE}, or see `cwlbalsam site check`",
            )
            for tool, docker in required
            if docker is not None and docker.required
        ]

    async def _software(self) -> list[Problem]:
        """What is in a container is the image's affair."""
        bare = [tool for tool in self.tools if not (self.engine and (self.contained or tool.requirements.docker))]
        wanted = [
            (tool, each.place, Package(each.package, each.versions))
            for tool in bare
            for each in tool.requirements.software
            if each.required
        ]
        found = await look_for(self.site, [package for _, _, package in wanted])
        if found is None:
            return []
        lacking = [Problem("", *_about_module(self.site, name)) for name in found.lacking]
        for tool, place, package in wanted:
            for each in software.missing(self.site, [package], found):
                message = f"'{tool.id}' requires {package}, which site '{self.site.name}' does not have"
                lacking.append(Problem(place, message + _instead(each), _way_out(each)))
        return lacking


async def look_for(site: Site, packages: Sequence[Package]) -> Found | None:
    """What the site's machine has of what its description does not tell. None if it does not tell, either."""
    names = dict.fromkeys(package.name for package in software.unknown(site, packages))
    if not names and not site.modules:
        return Found(frozenset(), (), ())
    answer = await runner(site)(software.question(site, names), ASK_SECONDS)
    return software.parse_answer(answer.output)


def _about_module(site: Site, name: str) -> tuple[str, str]:
    return (
        f"site '{site.name}' cannot load module '{name}', which all its jobs load",
        f"mend `modules` of the site, or load it by `setup: module load {name}` if only its nodes can",
    )


def _instead(missing: Missing) -> str:
    return f" (it has {', '.join(missing.has)})" if missing.has else ""


def _way_out(missing: Missing) -> str:
    if missing.loadable:
        return f"load it there: `modules: [{missing.loadable[-1]}]` in the site file; or {ELSEWHERE}"
    said = "=".join([missing.package.name, *missing.package.versions[:1]])
    return f"{ELSEWHERE}; if it is there, say so in the site file: `software: [{said}]`"
