"""One workflow over this machine, a Slurm cluster and a plain machine, both behind ssh."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.executor.events import TransferEnded
from cwlbalsam.service.transfer_log import transfers_of
from cwlbalsam.store import open_store
from tests.clusters.place import PILOTS
from tests.remote.place import Host, RemotePlace

pytestmark = [pytest.mark.slurm, pytest.mark.servers]
DOCUMENT = Path(__file__).with_name("three-sites.cwl")
SITES = ("--site", "sort=cluster", "--site", "plant=plain", "--site", "skipped=plain")


def make_inputs(folder: Path) -> Path:
    folder.mkdir()
    for name in ("a b", "c#d", "$(e)"):
        (folder / f"{name}.txt").write_text(f"three {name}\none\ntwo\n")
        (folder / f"{name}.txt.idx").write_text(f"index of {name}\n")
    (folder / "leaves").mkdir()
    for number in range(5):
        (folder / "leaves" / f"leaf {number}").write_text(f"leaf {number}\n")
    (folder / "unused").write_text("nobody reads this\n")
    texts = [{"class": "File", "path": f"{name}.txt"} for name in ("a b", "c#d", "$(e)")]
    job = {
        "texts": texts,
        "folder": {"class": "Directory", "path": "leaves"},
        "unused": {"class": "File", "path": "unused"},
    }
    (folder / "job.json").write_text(json.dumps(job))
    return folder / "job.json"


def told(text: str) -> Any:
    """An output object without the places of its files."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key not in ("location", "path")}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return strip(json.loads(text))


def transfers(place: RemotePlace) -> list[TransferEnded]:
    store = open_store(place.home)
    try:
        return transfers_of(store.run(place.run_id())).transfers
    finally:
        store.close()


def test_three_sites_give_what_one_gives_and_nothing_is_sent_in_vain(
    cluster_host: Host, make_place: Callable[..., RemotePlace], tmp_path: Path
) -> None:
    place = make_place("plain")
    place.hosts["cluster"] = cluster_host
    place.describe(cluster=cluster_host.describe(scheduler="slurm", pilots=PILOTS, lease="8s"))
    job = make_inputs(tmp_path / "data")
    here = place.call("run", "--quiet", "--outdir", tmp_path / "here", DOCUMENT, job)
    there = place.call("run", "--outdir", place.out, *SITES, DOCUMENT, job)
    assert told(there) == told(here)

    ended = transfers(place)
    sent = Counter((each.record.target, source) for each in ended for source, _ in each.arrived)
    assert max(sent.values()) == 1, sent
    names = Counter(
        (each.record.source, each.record.target, Path(source).name) for each in ended for source, _ in each.arrived
    )
    texts = [f"{name}.txt" for name in ("a b", "c#d", "$(e)")]
    results = [f"{name}.sorted" for name in ("a b", "c#d", "$(e)")]
    assert names == Counter(
        [
            *(("local", "cluster", name + end) for name in texts for end in ("", ".idx")),
            *(("cluster", "plain", name) for name in results),
            ("local", "plain", "leaves"),
            *(("cluster", "local", name) for name in results),
            ("plain", "local", "tree"),
        ]
    )
    assert not cluster_host.run_folder(place.run_id()).exists()  # its scratch is gone

    place.call("run", "--quiet", "--outdir", place.out, *SITES, DOCUMENT, job)
    again = {(each.record.target, Path(source).name) for each in transfers(place) for source, _ in each.arrived}
    assert not {("cluster", name) for name in texts} & again  # an earlier run has brought them
