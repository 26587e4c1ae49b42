"""Names of jobs, and where their directories are."""

import re

JOBS_PER_FOLDER = 1000
ARRIVALS = "in"
"""In a run's folder, here or at a site: what was brought there."""
_INDEX = re.compile(r"\[[\d,]*\]")


def step_of(name: str) -> str:
    """The step of a job: all elements of its scatters have the same, `align[3]/sort[0]` is of `align/sort`."""
    return _INDEX.sub("", name) if "[" in name else name


def job_directory(folder: str, number: int, attempt: int) -> str:
    """Where an attempt of a job runs; folder: of all jobs of its run."""
    name = f"{number}" if attempt <= 1 else f"{number}.{attempt}"
    return f"{folder}/{number // JOBS_PER_FOLDER}/{name}"
