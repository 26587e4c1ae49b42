"""Names of jobs, and where their directories are."""

import re
from collections.abc import Iterator

JOBS_PER_FOLDER = 1000
ARRIVALS = "in"
"""In a run's folder, here or at a site: what was brought there."""
LITERALS = ".literals"
"""Added to a job's directory: where it writes files that were given by their contents."""
_INDEX = re.compile(r"\[[\d,]*\]")
_ATTEMPT = re.compile(rf"(?=/(\d+)/((\d+)(?:\.\d+)?)(?:{re.escape(LITERALS)})?/)")


def step_of(name: str) -> str:
    """The step of a job: all elements of its scatters have the same, `align[3]/sort[0]` is of `align/sort`."""
    return _INDEX.sub("", name) if "[" in name else name


def job_directory(folder: str, number: int, attempt: int) -> str:
    """Where an attempt of a job runs; folder: of all jobs of its run."""
    name = f"{number}" if attempt <= 1 else f"{number}.{attempt}"
    return f"{folder}/{number // JOBS_PER_FOLDER}/{name}"


def attempts_above(path: str) -> Iterator[tuple[str, int]]:
    """The directories above a path, or a location, whose names are those of an attempt of a job: each with the job."""
    for found in _ATTEMPT.finditer(path):
        number = int(found[3])
        if int(found[1]) == number // JOBS_PER_FOLDER:
            yield path[: found.end(2)], number
