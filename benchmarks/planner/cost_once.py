"""`python -m benchmarks.planner.cost_once SHAPE JOBS`: one plan in a process of its own, as JSON."""

import resource
import sys
import time

import msgspec

from benchmarks.planner.cost import Sample, make_problem
from cwlbalsam.planner.check import faults
from cwlbalsam.planner.improve import Effort
from cwlbalsam.planner.schedule import make_plan


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Plan, then check."""
    shape, jobs = sys.argv[1], int(sys.argv[2])
    problem = make_problem(shape, jobs)
    before = _peak()
    started = time.process_time()
    plan = make_plan(problem, Effort(evaluations=0))
    planned = time.process_time()
    peak = _peak()
    wrong = faults(problem, plan)
    if wrong:
        sys.exit(f"{len(wrong)} faults, first: {wrong[0]}")
    checked = time.process_time() - planned
    sample = Sample(shape, jobs, planned - started, checked, before, peak, plan.makespan, plan.bound)
    sys.stdout.buffer.write(msgspec.json.encode(sample))


if __name__ == "__main__":
    main()
