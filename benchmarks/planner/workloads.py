"""Work for the experiments: recorded workflows, and an ensemble."""

import random
from pathlib import Path

import msgspec

from cwlbalsam.planner.simulate.work import Task

QUANTILE = 1.3
"""A task's most_seconds by its expected seconds: 99.5 % of what the noise makes is below."""


def read_workflow(path: Path, first: int = 0) -> list[Task]:
    """A WfFormat 1.5 instance; every task takes one node. first: the number of its first task."""
    workflow = msgspec.json.decode(path.read_bytes())["workflow"]
    seconds = {task["id"]: float(task["runtimeInSeconds"]) for task in workflow["execution"]["tasks"]}
    parents = {task["id"]: task["parents"] for task in workflow["specification"]["tasks"]}
    numbers: dict[str, int] = {}
    tasks = []
    while len(numbers) < len(seconds):
        ready = [name for name in seconds if name not in numbers and all(up in numbers for up in parents[name])]
        if not ready:
            raise ValueError(f"{path}: its tasks wait for each other")
        for name in ready:
            tasks.append(_task(1, seconds[name], tuple(numbers[up] for up in parents[name])))
        for name in ready:
            numbers[name] = first + len(numbers)
    return tasks


def make_ensemble(node_hours: float, seed: int) -> list[Task]:
    """Independent jobs of 1 to 64 nodes (powers of two) and 5 to 60 minutes."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    tasks: list[Task] = []
    left = node_hours * 3600
    while left > 0:
        task = _task(2 ** dice.randint(0, 6), dice.uniform(300, 3600))
        tasks.append(task)
        left -= task.nodes * task.seconds
    return tasks


def _task(nodes: int, seconds: float, parents: tuple[int, ...] = ()) -> Task:
    return Task(nodes=nodes, seconds=max(seconds, 0.1), most_seconds=max(seconds, 0.1) * QUANTILE, parents=parents)
