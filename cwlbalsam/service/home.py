"""Where cwlbalsam keeps what is its own."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The folders below `$CWLBALSAM_HOME`. The store makes `path`; whoever uses another folder makes it."""

    path: Path

    @property
    def programs(self) -> Path:
        """The cache of compiled documents."""
        return self.path / "programs"

    @property
    def runs(self) -> Path:
        """One folder for each run."""
        return self.path / "runs"

    @property
    def reuse(self) -> Path:
        """Results that later runs may take over."""
        return self.path / "reuse"

    @property
    def models(self) -> Path:
        """Observations of run times that were imported."""
        return self.path / "models.json"

    @property
    def crash(self) -> Path:
        """Tracebacks of bugs."""
        return self.path / "crash"

    def run_directory(self, run_id: str) -> Path:
        """A run's own folder: `cwlbalsam rm` removes it."""
        return self.runs / run_id

    def jobs_directory(self, run_id: str) -> Path:
        """The folders of a run's jobs."""
        return self.run_directory(run_id) / "jobs"


def find_home(named: str = "") -> Home:
    """The folder that is named, else `$CWLBALSAM_HOME`, else `~/.cwlbalsam`; absolute."""
    named = named or os.environ.get("CWLBALSAM_HOME", "")
    return Home(Path(named).absolute() if named else Path.home() / ".cwlbalsam")
