"""Results as text: a markdown table, and JSON with every sample."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from textwrap import wrap

import msgspec
from msgspec import Struct

from benchmarks.compare import Row
from benchmarks.measure import Summary, median_ratio, summarise

MIB = 1 << 20
WIDTH = 118


class Machine(Struct, frozen=True):
    """Where it was measured. load: runnable processes at the end; much above 1, others were at work, too."""

    cores: int
    memory_gib: float
    kernel: str
    python: str
    file_system: str
    load: float

    def __str__(self) -> str:
        machine = f"{self.cores} cores, {self.memory_gib:.0f} GiB, {self.kernel}, Python {self.python}"
        return f"{machine}, {self.file_system}, load {self.load:.1f}"


class Result(Struct, frozen=True, kw_only=True):
    """One experiment, as it is kept. command: to get it again; versions: of the peers; notes: on what is counted."""

    experiment: str
    title: str
    command: str
    date: str
    machine: Machine
    versions: Mapping[str, str]
    rows: list[Row]
    notes: Sequence[str] = ()


def this_machine(work: Path) -> Machine:
    """work: the folder where the runs happen."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    kernel = f"{platform.system()} {platform.release()}"
    cores = len(os.sched_getaffinity(0))
    return Machine(cores, pages / (1 << 30), kernel, platform.python_version(), _file_system(work), os.getloadavg()[0])


def markdown(result: Result) -> str:
    """The whole page."""
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items() if version)
    return "\n".join(
        [
            f"# {result.experiment}: {result.title}",
            "",
            *table(result.rows),
            "",
            f"- {result.date}, {result.machine}",
            *([f"- {versions}"] if versions else []),
            f"- again: `{result.command}`",
            "- medians over the rounds, in which all run one after the other; *x ours* is the median of the rounds'",
            "  ratios; CPU is of the command and all its children, memory that of its largest process",
            *(line for note in result.notes for line in wrap(f"- {note}", WIDTH, subsequent_indent="  ")),
            "",
        ]
    )


def table(rows: Sequence[Row]) -> list[str]:
    """Lines of a markdown table."""
    figures = list(dict.fromkeys(figure for row in rows for figure in row.figures))
    lines = [
        "| case | jobs | runner | wall s | least-most | x ours | ms a job | CPU s | MiB | rounds |" + _cells(figures),
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |" + _cells(["---:"] * len(figures)),
    ]
    ours = {(row.case, row.jobs): row for row in rows if row.runner == "cwlbalsam"}
    for row in rows:
        begin = f"| {row.case} | {row.jobs:,} | {row.runner} |"
        if row.trouble or not row.samples:
            lines.append(f"{begin} {row.trouble or 'not run'} | | | | | | |" + _cells([""] * len(figures)))
            continue
        base = ours[row.case, row.jobs].samples
        ratio = f"{median_ratio(base, row.samples):.2f}" if base else ""
        told = [f"{median(row.figures[figure]):,.4g}" if figure in row.figures else "" for figure in figures]
        lines.append(f"{begin} {_numbers(summarise(row.samples), ratio, row.jobs)} |" + _cells(told))
    return lines


def write(result: Result, folder: Path, name: str) -> None:
    """Keep `<name>.md` and `.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(markdown(result))
    encoded = msgspec.json.format(msgspec.json.encode(result), indent=1)
    (folder / f"{name}.json").write_bytes(encoded + b"\n")


def _cells(texts: Sequence[str]) -> str:
    return "".join(f" {text} |" for text in texts)


def _numbers(summary: Summary, ratio: str, jobs: int) -> str:
    columns = (
        f"{summary.wall_seconds:.3f}",
        f"{summary.least_seconds:.2f}-{summary.most_seconds:.2f}",
        ratio,
        f"{summary.wall_seconds / jobs * 1000:.3g}",
        f"{summary.cpu_seconds:.2f}",
        f"{summary.peak_bytes / MIB:.0f}",
        str(summary.samples),
    )
    return " | ".join(columns)


def _file_system(folder: Path) -> str:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    found = [(len(mount[1]), mount[2]) for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(found)[1] if found else "unknown"
