"""The planner's parts measured on recorded data, beside what others do: `python -m benchmarks.planner EXPERIMENT`."""
