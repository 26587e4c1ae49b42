"""How short a schedule of a task graph can be, by CP-SAT. Run by the Python of an environment that has ortools.

Reads {"seconds": limit, "graphs": [{"seconds": [...], "parents": [[...]], "processors": m}]} as JSON from standard
input, prints [[least known, proven bound], ...]. Durations are whole numbers.
"""

import json
import sys

from ortools.sat.python import cp_model  # type: ignore[import-not-found,unused-ignore]


def prove(seconds: list[int], parents: list[list[int]], processors: int, limit: float) -> tuple[float, float]:
    model = cp_model.CpModel()
    horizon = sum(seconds)
    makespan = model.new_int_var(0, horizon, "")
    starts = [model.new_int_var(0, horizon, "") for _ in seconds]
    intervals = []
    for task, length in enumerate(seconds):
        intervals.append(model.new_fixed_size_interval_var(starts[task], length, ""))
        model.add(makespan >= starts[task] + length)
        for parent in parents[task]:
            model.add(starts[task] >= starts[parent] + seconds[parent])
    model.add_cumulative(intervals, [1] * len(seconds), processors)
    model.add(makespan * processors >= horizon)
    model.minimize(makespan)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = limit
    solver.parameters.num_workers = 2
    solver.solve(model)
    return solver.objective_value, solver.best_objective_bound


asked = json.load(sys.stdin)
found = [
    prove([int(one) for one in graph["seconds"]], graph["parents"], graph["processors"], asked["seconds"])
    for graph in asked["graphs"]
]
json.dump(found, sys.stdout)
