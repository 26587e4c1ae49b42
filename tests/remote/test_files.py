"""Files of runs at a machine behind ssh: what of them goes there, and what stays behind."""

import json
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from cwlbalsam.store import open_store
from tests.cluster import wait_until
from tests.durability.place import kill
from tests.remote.place import RemotePlace
from tests.remote.test_one_site import HEAD, began, begin_slow, write

pytestmark = pytest.mark.servers
CAT = (
    f"{HEAD}inputs: {{file: File}}\noutputs: {{out: stdout}}\nbaseCommand: cat\narguments: [$(inputs.file.path)]\n"
    "stdout: out.txt\n"
)


def test_scratch_goes_when_nobody_needs_it(place: RemotePlace) -> None:
    host = place.hosts["far"]
    data = write(place, "data.txt", "data\n")
    arguments = ["run", "--quiet", "--site", "far", "--outdir", place.out]
    cat = write(place, "cat.cwl", CAT)
    place.call(*arguments, cat, "--file", data)
    wait_until(lambda: not [*host.work.glob("runs/*")])  # of a run that ended well, at once
    place.call(*arguments, "--leave-outputs", cat, "--file", data)
    left = place.run_id()
    failing = write(place, "fail.cwl", f"{HEAD}inputs: []\noutputs: []\nbaseCommand: 'false'\n")
    place.call(*arguments, failing, code=1)
    failed = place.run_id()
    (host.work / "runs" / "another-homes").mkdir()
    link = host.work / "runs" / "link"
    link.symlink_to(place.folder)

    place.call("site", "gc", "far")
    assert {path.name for path in host.work.glob("runs/*")} == {left, failed, "another-homes", "link"}
    place.call("rm", "--force", failed) if "--force" in place.call("rm", "--help") else place.call("rm", failed)
    assert failed in place.call("site", "gc", "far", "--dry-run")
    assert host.run_folder(failed).exists()
    place.call("site", "gc", "far", "--days", "0")
    assert {path.name for path in host.work.glob("runs/*")} == {left, "another-homes", "link"}
    assert not [*host.work.glob("inputs/*")]
    assert not [*host.work.glob(".trash/*")]
    assert data.exists()


def test_a_full_disk_there_is_told(place: RemotePlace) -> None:
    host = place.hosts["far"]
    host.work.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", host.work], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        data = place.folder / "large"
        data.write_bytes(b"x" * (8 << 20))
        arguments = ["run", "--quiet", "--site", "far", "--outdir", place.out]
        place.call(*arguments, write(place, "cat.cwl", CAT), "--file", data, code=1)
        assert "make room at the site" in place.said.read_text()
        place.said.unlink()
        fill = f"{HEAD}inputs: []\noutputs: {{out: stdout}}\nbaseCommand: [head, -c, 8M, /dev/zero]\nstdout: out\n"
        place.call(*arguments, write(place, "fill.cwl", fill), code=1)
        assert "Traceback" not in place.said.read_text()
    finally:
        host.end()
        wait_until(lambda: not subprocess.run(["umount", host.work], capture_output=True, check=False).returncode)


def test_transfers_are_listed(place: RemotePlace) -> None:
    data = write(place, "data.txt", "data\n")
    place.call("run", "--quiet", "--site", "far", "--outdir", place.out, write(place, "cat.cwl", CAT), "--file", data)
    told = place.call("transfers", "ls", "--files", place.run_id())
    assert "local -> far" in told
    assert "data.txt" in told
    listed = json.loads(place.call("transfers", "ls", "--json", place.run_id()))
    ways = [(each["record"]["source"], each["record"]["target"]) for each in listed[0]["transfers"]]
    assert ways == [("local", "far"), ("far", "local")]


def ways_of(place: RemotePlace) -> list[tuple[str, str, str]]:
    """Source, target, protocol of the last run's transfers."""
    listed = json.loads(place.call("transfers", "ls", "--json", place.run_id()))
    records = [each["record"] for each in listed[0]["transfers"]]
    return [(record["source"], record["target"], record["protocol"]) for record in records]


def test_the_next_run_sends_no_input_again_and_knows_how_fast_the_links_were(place: RemotePlace) -> None:
    data = write(place, "data.txt", "data\n")
    arguments = ["run", "--quiet", "--site", "far", "--outdir", place.out, write(place, "cat.cwl", CAT), "--file"]
    place.call(*arguments, data)
    there, back = ways_of(place)
    place.call(*arguments, data)
    assert ways_of(place) == [back]  # what an earlier run has left is looked at, and used
    with closing(open_store(place.home)) as store:
        links = store.links()
        here = next(target for _, target, _ in links if target.startswith("local:"))
        assert links["far", here, back[2]].samples == 2
        assert links[here, "far", there[2]].samples == 1
        slow = replace(links["far", here, back[2]], latency_seconds=1000.0)
        store.put_links({("far", here, back[2]): slow})
    data.write_text("other data\n")
    place.call(*arguments, data)
    again, otherwise = ways_of(place)
    assert (again, otherwise[:2]) == (there, back[:2])
    assert otherwise[2] != back[2]


def test_a_site_says_by_which_ways_files_are_moved(place: RemotePlace) -> None:
    arguments = ["run", "--quiet", "--site", "far", "--outdir", place.out, write(place, "cat.cwl", CAT), "--file"]
    for name in ("tar", "scp"):
        place.describe(far=place.hosts["far"].describe(transfers={"ways": [name], "at_once": 1}))
        place.call(*arguments, write(place, f"{name}.txt", name))
        assert ways_of(place) == [("local", "far", name), ("far", "local", name)]


def test_a_killed_bridge_costs_nothing(place: RemotePlace) -> None:
    process = begin_slow(place)
    host = place.hosts["far"]
    for count in (2, 5, 8):
        wait_until(lambda count=count: len(began(place)) >= count)
        kill(*host.bridges())
    told, _ = process.communicate(timeout=90)
    assert process.returncode == 0, place.said.read_text()[-3000:]
    assert len(json.loads(told)["all"]) == 12
    assert len(began(place)) == 12


def test_a_hint_and_a_site_file_choose_the_site_of_a_step(place: RemotePlace) -> None:
    place.describe(far=place.hosts["far"].describe(steps=["by_fi*"]))
    step = "{in: [], out: [out], run: {class: CommandLineTool, %sinputs: [], outputs: {out: stdout}, baseCommand: pwd}}"
    hint = "hints: {'cb:SiteHint': {site: far}}, "
    document = write(
        place,
        "sites.cwl",
        "cwlVersion: v1.2\nclass: Workflow\n$namespaces: {cb: 'https://cwlbalsam.org/cwl#'}\ninputs: []\n"
        "outputs: {hint: {type: File, outputSource: by_hint/out}, file: {type: File, outputSource: by_file/out},\n"
        "  here: {type: File, outputSource: neither/out}}\nsteps:\n"
        f"  by_hint: {step % hint}\n  by_file: {step % ''}\n  neither: {step % ''}\n",
    )

    def places(*options: str) -> dict[str, bool]:
        outputs = json.loads(place.call("run", "--quiet", "--outdir", place.out, *options, document))
        work = str(place.hosts["far"].work)
        return {name: Path(value["path"]).read_text().startswith(work) for name, value in outputs.items()}

    assert places() == {"hint": True, "file": True, "here": False}
    assert places("--site", "by_hint=local", "--site", "neither=far") == {"hint": False, "file": True, "here": True}
