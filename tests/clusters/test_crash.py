"""A small number of the faults that `python -m tests.clusters.crash --kills 30` makes."""

import pytest

from tests.cluster import Cluster
from tests.clusters.crash import crash

pytestmark = pytest.mark.slurm


def test_disturbed_runs_end_by_themselves_with_the_same_outputs_and_nothing_recorded_runs_again(
    slurm_cluster: Cluster,
) -> None:
    summary = crash(3, 3, slurm_cluster)
    assert summary.kills.total() == 3
