"""The data that the planner is measured on: where they are, and how they are read. They are not in the repository."""

import csv
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "CWLBALSAM_PLANNER_DATA"


class Graph(Struct, frozen=True):
    """A task graph: seconds of each task, the tasks before it."""

    name: str
    seconds: tuple[float, ...]
    parents: tuple[tuple[int, ...], ...]


class Execution(Struct, frozen=True):
    """A workflow that was run: seconds of each task; its parents with the bytes that it read of what they made."""

    name: str
    seconds: tuple[float, ...]
    parents: tuple[tuple[tuple[int, float], ...], ...]


def data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--data DIR`."""
    default = os.environ.get(VARIABLE) or str(ROOT.parent / "shared" / "planner-data")
    shown = f"Folder of the data  [default: ${VARIABLE}, else ../shared/planner-data]"
    folder = click.Path(path_type=Path, exists=True, file_okay=False)
    return click.option("--data", type=folder, default=default, metavar="DIR", help=shown)(command)


def read_graphs(folder: Path) -> list[Graph]:
    """The Standard Task Graphs of 50 tasks, with a task of no length before and one behind all others."""
    graphs = []
    with tarfile.open(folder / "stg" / "stg-50.tar.gz") as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            if member.name.endswith(".stg") and file is not None:
                graphs.append(parse_graph(Path(member.name).name, file.read().decode()))
    return sorted(graphs, key=lambda graph: graph.name)


def parse_graph(name: str, text: str) -> Graph:
    """A line a task: number, seconds, how many parents, their numbers. Raises ValueError for anything else."""
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    rows = [[int(field) for field in line] for line in lines[1:]]
    for number, row in enumerate(rows):
        if row[0] != number or len(row) != 3 + row[2]:
            raise ValueError(f"{name}: line {number + 2} is no task")
    return Graph(name, tuple(float(row[1]) for row in rows), tuple(tuple(row[3:]) for row in rows))


def read_optima(folder: Path, processors: int) -> dict[str, int]:
    """By the name of the graph, as they come with the data."""
    text = (folder / "stg" / f"Case50_{processors}_OPT.csv").read_text()
    return {Path(row[0]).name: int(row[2]) for row in csv.reader(io.StringIO(text))}


def read_executions(folder: Path) -> list[Execution]:
    """All workflow executions, in WfFormat 1.5."""
    return [_read_execution(path) for path in sorted((folder / "wfinstances").glob("*.json"))]


def _read_execution(path: Path) -> Execution:
    workflow = json.loads(path.read_text())["workflow"]
    tasks = workflow["specification"]["tasks"]
    sizes = {one["id"]: float(one["sizeInBytes"]) for one in workflow["specification"].get("files", [])}
    seconds = {one["id"]: float(one["runtimeInSeconds"]) for one in workflow["execution"]["tasks"]}
    number = {task["id"]: index for index, task in enumerate(tasks)}
    parents = []
    for task in tasks:
        mine = []
        for parent in task["parents"]:
            made = set(tasks[number[parent]]["outputFiles"])
            mine.append((number[parent], sum(sizes[name] for name in task["inputFiles"] if name in made)))
        parents.append(tuple(mine))
    return Execution(path.stem, tuple(max(seconds[task["id"]], 1e-3) for task in tasks), tuple(parents))
