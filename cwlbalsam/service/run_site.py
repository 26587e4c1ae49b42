"""The site of a run, as its options name it."""

from pathlib import Path

from cwlbalsam.errors import UserError
from cwlbalsam.service.home import Home
from cwlbalsam.service.options import RunOptions
from cwlbalsam.sites.site import LOCAL, Site


def sites_home_of(options: RunOptions, home: Home) -> Home:
    """Where the sites are described, and their agents live."""
    return Home(Path(options.sites_home)) if options.sites_home else home


def site_of(options: RunOptions, home: Home) -> Site | None:
    """None: this machine, without any agent. Raises UserError if there is no such site."""
    if options.site in ("", LOCAL):
        return None
    from cwlbalsam.service.site_files import find_sites, pick_site

    base = Path(options.directory or ".")
    site = pick_site(find_sites(sites_home_of(options, home), [base / name for name in options.sites]), options.site)
    if site.host:
        raise UserError(f"site '{site.name}' is another machine ({site.host}): runs go to it from there")
    return site
