from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.clusters.place import ClusterPlace


@pytest.fixture
def place(slurm_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[ClusterPlace]:
    folder = slurm_cluster.shared / request.node.name.replace("[", "-").replace("]", "")[:60]
    place = ClusterPlace(folder, cluster=slurm_cluster)
    place.describe()
    yield place
    place.end_agents()
    slurm_cluster.cancel_all()
