from contextlib import closing
from pathlib import Path

from cwlbalsam.jobs.links import Figures, TransferRecord
from cwlbalsam.jobs.replicas import Replica, ReplicaState
from cwlbalsam.store import open_store
from cwlbalsam.store.transfers import TransferStore

RECORD = TransferRecord(
    batch="b", source="a", target="home", protocol="rsync", started=1.0, seconds=2.0, files=3, size_bytes=4 << 20
)


def opened(home: Path) -> TransferStore:
    open_store(home).close()
    return TransferStore(home / "store.db")


def test_replicas_links_and_transfers_are_kept(tmp_path: Path) -> None:
    replica = Replica(file="f", site="a", path="/x\udcff", state=ReplicaState.VALID, size=None, ours=True, pins=2)
    replica.path = "/x"
    figures = {("a", "home", "rsync"): Figures(latency_seconds=1.0, file_seconds=2.0, bytes_per_second=3.0, samples=4)}
    with closing(opened(tmp_path)) as store:
        store.put_replicas([replica])
        store.put_figures(figures)
        store.add_transfer(RECORD)
    with closing(opened(tmp_path)) as store:
        (kept,) = store.replicas(["f", "g"])
        assert (kept.path, kept.state, kept.ours, kept.pins) == ("/x", ReplicaState.VALID, True, 0)
        kept.state = ReplicaState.DOOMED
        store.put_replicas([kept])
        assert store.doomed("a") == [kept]
        store.put_replicas([], removed=[kept])
        assert store.replicas(["f"]) == []
        assert store.figures() == figures
        assert store.transfers(1) == [RECORD]
