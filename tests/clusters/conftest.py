from collections.abc import Iterator

import pytest

from tests.cluster import Cluster, running_cluster
from tests.clusters.place import HOMES, ClusterPlace


@pytest.fixture(scope="session")
def slurm_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Four nodes of four CPUs and, in name, four GPUs. n3 sees no home of a place, n4 reaches no agent but by files."""
    folder = tmp_path_factory.mktemp("slurm")
    (folder / HOMES).mkdir()
    with running_cluster(folder, "--gpus", "4", "--hide", f"n3:{folder / HOMES}", "--bar", "n4") as cluster:
        yield cluster


@pytest.fixture
def place(slurm_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[ClusterPlace]:
    folder = slurm_cluster.shared / request.node.name.replace("[", "-").replace("]", "")[:60]
    place = ClusterPlace(folder, cluster=slurm_cluster)
    place.describe()
    yield place
    place.end_agents()
    slurm_cluster.cancel_all()
