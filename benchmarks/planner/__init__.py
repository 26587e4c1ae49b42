"""How good and how quick the planner is, on recorded data. `python -m benchmarks.planner EXPERIMENT`."""
