"""Folders that a run writes to."""

import os
from collections.abc import Iterable
from pathlib import Path

from cwlbalsam.errors import UserError
from cwlbalsam.service.home import Home
from cwlbalsam.service.options import RunOptions
from cwlbalsam.sites.site import Site


def new_folder(run: str, options: RunOptions, home: Home, sites_home: Home, sites: Iterable[Site]) -> Path:
    """Of a new run. sites: that it uses."""
    if options.tmpdir_prefix:
        return Path(f"{Path(options.directory or '.').absolute() / options.tmpdir_prefix}{run}")
    seen = next((site for site in sites if not site.host), None)
    if seen is not None:  # its nodes must see the folder
        from cwlbalsam.service.agents import work_folder

        return work_folder(sites_home, seen) / "runs" / run
    return home.run_directory(run)


def reuse_folder(options: RunOptions, home: Home) -> str:
    """Where results are kept for later runs; empty if they are not to be."""
    if options.cachedir:
        folder = Path(options.directory or ".", options.cachedir).absolute()
    elif options.reuse:
        folder = home.reuse
    else:
        return ""
    make_writable(folder, "--cachedir" if options.cachedir else "the directory of results")
    return str(folder)


def make_writable(folder: Path, what: str) -> None:
    """Make a folder if it is not there. Raises UserError if nothing can be written in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{what} {folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{what} {folder} is not writable", hint="choose another one, or change its permissions")
