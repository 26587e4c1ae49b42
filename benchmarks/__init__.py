"""How fast cwlbalsam is beside its peers and beside the bare machine: `python -m benchmarks --help`."""
