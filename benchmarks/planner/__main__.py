"""`python -m benchmarks.planner EXPERIMENT`: measure, and keep the result in benchmarks/results/planner-*."""

import importlib
import sys

EXPERIMENTS = {
    name: f"benchmarks.planner.{name}"
    for name in ("models", "sites", "waits", "easy", "holes", "graphs", "workflows", "cost", "real")
}
"""name -> module with `main`, a click command"""


def main() -> None:
    """Run one."""
    if len(sys.argv) < 2 or sys.argv[1] not in EXPERIMENTS:
        sys.exit(f"usage: python -m benchmarks.planner {'|'.join(EXPERIMENTS)} [--help]")
    experiment = importlib.import_module(EXPERIMENTS[sys.argv[1]])
    experiment.main(args=sys.argv[2:], prog_name=f"python -m benchmarks.planner {sys.argv[1]}")


if __name__ == "__main__":
    main()
