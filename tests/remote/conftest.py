from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.conftest import missing
from tests.remote.place import Host, RemotePlace
from tests.servers import find_server, serving


@pytest.fixture
def make_place(tmp_path: Path) -> Iterator[Callable[..., RemotePlace]]:
    """A place whose runs go to hosts of these names, each a plain machine behind ssh."""
    if lacking := [name for name in ("sshd", "scp") if not find_server(name)]:
        missing(f"remote sites need {', '.join(lacking)}: run scripts/servers as root")
    with ExitStack() as stack:

        def make(*names: str, environment: dict[str, str] | None = None) -> RemotePlace:
            hosts = {name: Host(name, tmp_path / name, environment) for name in names}
            for host in hosts.values():
                stack.enter_context(serving(host.sshd))
                stack.callback(host.end)
            place = RemotePlace(tmp_path / "me", hosts=hosts)
            place.describe()
            return place

        yield make


@pytest.fixture
def place(make_place: Callable[..., RemotePlace]) -> RemotePlace:
    """With one host, `far`."""
    return make_place("far")


@pytest.fixture
def cluster_host(slurm_cluster: Cluster, tmp_path: Path) -> Any:
    """The cluster's login node, reached by ssh."""
    environment = {"SLURM_CONF": slurm_cluster.environment["SLURM_CONF"]}
    host = Host("cluster", slurm_cluster.shared / tmp_path.name, environment)
    with serving(host.sshd):
        yield host
        host.end()
        slurm_cluster.cancel_all()
