"""On one file system, a copy: made at the site, by its kernel."""

from cwlbalsam.jobs.links import Figures
from cwlbalsam.sites.transfers.link import OnOneFileSystem

COPY = OnOneFileSystem(
    "copy",
    "copy",
    OWN=True,
    figures=Figures(latency_seconds=0.05, file_seconds=1e-4, bytes_per_second=1e9),
)
