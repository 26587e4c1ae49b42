"""Homes with one site, whose pilots run on this machine or in a Slurm, and whose agent ends with the measurement."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.documents import write_scatter
from cwlbalsam.service.agents import stop_agent
from cwlbalsam.service.home import Home

SITE = "pilots"
HERE = {"scheduler": "local", "pilots": {"nodes": 1, "total_nodes": 1, "max": 1, "wall": "30m", "idle": "5m"}}
"""One pilot on this machine, which stays."""
WARM_JOBS = 256
"""Enough for a pilot to start all of its workers."""


@contextmanager
def site_home(folder: Path, **site: Any) -> Iterator[Path]:
    """site: what its description says other than that of one pilot on this machine."""
    home = folder / "home"
    home.mkdir()
    described = HERE | {"work": str(folder / "work")} | site
    (home / "sites.yml").write_text(json.dumps({SITE: described}))
    try:
        yield home
    finally:
        stop_agent(Home(home), SITE)


def run_command(outdir: Path, *document: Path, site: str = SITE) -> list[str]:
    command = [sys.executable, "-m", "cwlbalsam", "run", "--quiet", "--outdir", str(outdir)]
    return [*command, *(["--site", site] if site else []), *map(str, document)]


def run(
    home: Path, outdir: Path, *document: Path, site: str = SITE, environment: Mapping[str, str] | None = None
) -> Any:
    """The output object of a run of the site. Raises RuntimeError if it does not end well."""
    done = subprocess.run(
        run_command(outdir, *document, site=site),
        env={**os.environ, **(environment or {}), "CWLBALSAM_HOME": str(home)},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"a run ended with {done.returncode}: {done.stderr.decode()[-1000:]}")
    return json.loads(done.stdout)


def warm_up(home: Path, folder: Path) -> None:
    """Have the pilot up, with its workers."""
    documents = folder / "warm"
    documents.mkdir()
    files = write_scatter(documents, WARM_JOBS)
    assert files.inputs is not None
    run(home, folder / "warm-out", files.document, files.inputs)
