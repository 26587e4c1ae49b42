"""A run through a pilot that is up: `python -m benchmarks.clusters.commands --transport tcp DOCUMENT INPUTS OUTDIR`.

JSON on stdout. Seconds, and jobs/s, are of the whole `cwlbalsam run`: from the start of its process, with nothing
loaded, until it has ended and all outputs lie where they belong; the document has been validated before, as by any run
of it. busy/s counts from when the coordinator handed out the first job to when it took the last outcome, without what
comes before and after: start, expansion, moving and printing outputs. The microseconds are the CPU time that each part
of the way took for a job; without a pilot, run is all.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.clusters.homes import (
    NO_PILOT,
    PARTS,
    TRANSPORTS,
    WITHOUT_PROCESSES,
    cpu_seconds,
    room_for,
    run,
    site_home,
    site_of,
    validate,
    warm_up,
)
from benchmarks.documents import Files, write_nothing, write_scatter
from benchmarks.stores import check, closing_store


def measure(
    files: Files, outdir: Path, transport: str, jobs: int, *, scheduler: str, nodes: int, nothing: bool
) -> tuple[float, dict[str, float]]:
    """Seconds, and figures by their names. nothing: jobs without processes."""
    scheduler = scheduler if transport != NO_PILOT else "local"
    with (
        tempfile.TemporaryDirectory(prefix="pilot-", dir=outdir.parent) as name,
        room_for(Path(name), scheduler, nodes) as (folder, reaching),
        site_home(folder, transport, scheduler, nodes) as home,
    ):
        environment = {**reaching, **(WITHOUT_PROCESSES if nothing else {})}
        warm_up(home, folder, transport, environment, write_nothing if nothing else write_scatter)
        validate(home, files.document)
        before, run_before = cpu_seconds(folder), _children_seconds()
        started = time.perf_counter()
        told = run(home, outdir, *files.arguments, site=site_of(transport), environment=environment)
        seconds = time.perf_counter() - started
        after = cpu_seconds(folder)
        check(len(told["out"]) == jobs, f"{len(told['out'])} outputs of {jobs} jobs")
        figures = {"jobs/s": jobs / seconds, "busy/s": jobs / busy_seconds(home)}
        spent = {"run": _children_seconds() - run_before, **{part: after[part] - before[part] for part in PARTS}}
    return seconds, figures | {f"{part} µs": 1e6 * used / jobs for part, used in spent.items() if used}


def busy_seconds(home: Path, runs: int = 1) -> float:
    """From the first to the last change of state of the newest runs' jobs that a coordinator has written."""
    with closing_store(home) as store:
        times = []
        for run_id in [record.id for record in store.runs(runs)]:
            jobs = {job.id for job in store.jobs(run_id) if job.kind == "job"}
            times += [event.time for event in store.events(run_id) if event.job in jobs]
    return max(times) - min(times)


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transport", choices=(*TRANSPORTS, NO_PILOT), required=True)
    parser.add_argument("--scheduler", choices=("local", "slurm"), default="local")
    parser.add_argument("--nodes", type=int, default=1, help="of the pilot, with all cores of this machine together")
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--no-processes", action="store_true", help="jobs end as soon as a worker takes them")
    parser.add_argument("document", type=Path)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("outdir", type=Path)
    options = parser.parse_args()
    files = Files(options.document, options.inputs)
    seconds, figures = measure(
        files,
        options.outdir,
        options.transport,
        options.jobs,
        scheduler=options.scheduler,
        nodes=options.nodes,
        nothing=options.no_processes,
    )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    json.dump({"seconds": seconds, "peak_bytes": peak, "figures": figures}, sys.stdout)


if __name__ == "__main__":
    main()
