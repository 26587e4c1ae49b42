"""What a site does for runs that other machines coordinate."""

import os
import re
import threading
from pathlib import Path

from msgspec.structs import replace

from cwlbalsam.cwl.tasks import Settings
from cwlbalsam.errors import UserError
from cwlbalsam.executor.messages import Opened, OpenRun
from cwlbalsam.service.home import Home
from cwlbalsam.service.options import AUTO
from cwlbalsam.sites.containers import find_engine
from cwlbalsam.sites.site import Site
from cwlbalsam.sites.transfers.remote.scratch import OWNER, RUNS, remove_runs

RUN_NAME = re.compile(r"[\w-]+", re.ASCII)


class SiteGuests:
    """work: the site's folder for jobs, absolute."""

    def __init__(self, home: Home, site: Site, work: Path) -> None:
        self._home, self._site, self._work = home, site, work

    def welcome(self, message: OpenRun) -> tuple[OpenRun, Opened]:
        """Makes the run's folder. Raises UserError."""
        if not RUN_NAME.fullmatch(message.run):
            raise UserError(f"{message.run!r} is no run")
        folder = self._work / RUNS / message.run
        try:
            for name in ("jobs", "journals"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / OWNER).write_text(message.owner)
        except OSError as error:
            hint = "name another folder: `work` in the site file"
            raise UserError(f"{self._work} cannot be written to: {error.strerror}", hint=hint) from error
        engine = self._engine(message.engine)
        run = replace(
            message,
            directory=str(folder),
            journals=str(folder / "journals") if message.keeps_journals else "",
            settings=self._settings(message.settings, engine),
        )
        return run, Opened(str(folder), engine, str(self._work))

    def _engine(self, asked: str) -> str:
        """That the run's containers get; "" if there is none, which whoever asks will tell."""
        names = (self._site.containers or (AUTO,)) if asked == AUTO else (asked,) if asked else ()
        for name in names:
            try:
                if found := find_engine("" if name == AUTO else name):
                    return found
            except UserError:
                continue
        return ""

    def _settings(self, settings: Settings, engine: str) -> Settings:
        """What is this machine's own in them."""
        return replace(
            settings,
            engine=engine,
            engine_binary="",
            path=os.environ.get("PATH", os.defpath),
            reuse_folder=str(self._home.reuse) if settings.reuse_folder else "",
        )

    def clean_up(self, message: OpenRun) -> None:
        """Out of the way at once, removed by and by."""
        threading.Thread(target=remove_runs, args=(str(self._work), [message.run]), daemon=True).start()
