"""Runs that are killed while their outputs are put in place, and runs whose disk is full."""

import errno
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability.place import Place

TOOL = {
    "cwlVersion": "v1.2",
    "class": "CommandLineTool",
    "baseCommand": [
        "bash",
        "-c",
        'echo told >>"$1/told"; mkdir tree; for n in a b c d; do echo $n >$n; echo $n >tree/$n; done',
        "tool",
    ],
    "inputs": {"place": {"type": "string", "inputBinding": {}}},
    "outputs": {
        "files": {"type": "File[]", "outputBinding": {"glob": "[a-d]"}},
        "tree": {"type": "Directory", "outputBinding": {"glob": "tree"}},
    },
}

KILL_AT = """
import os, signal
def limited(does, count=[0]):
    def call(source, target, *rest, **named):
        if str(target).startswith("{out}"):
            count[0] += 1
            if count[0] == {number}:
                os.kill(os.getpid(), signal.SIGKILL)
        return does(source, target, *rest, **named)
    return call
os.rename, os.replace = limited(os.rename), limited(os.replace)
"""


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder on another file system."""
    if not Path("/dev/shm").is_dir() or Path("/dev/shm").stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("no second file system")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def check_killed_at(place: Place, number: int) -> None:
    """Kill a run before its file of this number comes to its final place; resume it."""
    (place.out / "tree").mkdir(parents=True)
    (place.out / "tree" / "mine").write_text("mine")
    document = place.folder / "tool.cwl"
    document.write_text(json.dumps(TOOL))
    before = KILL_AT.format(out=place.out, number=number)
    begun = place.begin("run", "--outdir", place.out, document, "--place", place.folder, before=before)
    begun.communicate(timeout=60)
    assert begun.returncode == -9
    outputs = json.loads(place.call("resume", place.run_id()))
    assert (place.folder / "told").read_text().split() == ["told"]
    found = {str(path.relative_to(place.out)) for path in place.out.rglob("*")}
    assert found == {*"abcd", "tree", "tree/a", "tree/b", "tree/c", "tree/d", "tree/mine"}
    assert [Path(file["path"]).read_text() for file in outputs["files"]] == ["a\n", "b\n", "c\n", "d\n"]
    assert (place.out / "tree/d").read_text() == "d\n"
    assert all(file["size"] == 2 and "checksum" in file for file in outputs["files"])
    place.check_store(place.run_id())


@pytest.mark.parametrize("number", [1, 3, 8])
def test_a_run_killed_while_it_moves_its_outputs_moves_them_all_in_the_end(place: Place, number: int) -> None:
    check_killed_at(place, number)


@pytest.mark.parametrize("number", [8])
def test_half_copies_on_another_file_system_are_deleted(place: Place, memory: Path, number: int) -> None:
    place.out = memory / "out"
    check_killed_at(place, number * 2)  # each is first tried to be renamed, then copied and renamed


@pytest.fixture
def small(place: Place) -> Iterator[Place]:
    """A place whose home is a file system of 8 MiB."""
    place.home.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", place.home], check=False)
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted")
    yield place
    place.wait_until_alone()
    subprocess.run(["umount", place.home], check=True)


def fill(home: Path, free_bytes: int) -> Path:
    """A file that leaves so much room."""
    ballast = home / "ballast"
    room = os.statvfs(home)
    with ballast.open("wb") as file:
        file.truncate(0)
        left = room.f_bavail * room.f_frsize - free_bytes
        try:
            while left > 0:
                left -= file.write(b"\0" * min(left, 1 << 16))
                file.flush()
        except OSError as error:
            assert error.errno == errno.ENOSPC
    return ballast


@pytest.mark.parametrize("free_kib", [0, 100, 300])
def test_a_run_on_a_full_disk_ends_with_a_clear_error_and_goes_on_when_there_is_room(
    small: Place, free_kib: int
) -> None:
    expected = small.plain(small.call(*small.run_arguments()))
    before = small.run_id()
    small.said.unlink()
    ballast = fill(small.home, free_kib * 1024)
    begun = small.begin(*small.run_arguments())
    begun.communicate(timeout=60)
    ballast.unlink()
    said = small.said.read_text()
    print(free_kib, begun.returncode, said[:600])
    if begun.returncode:
        assert begun.returncode == 1
        assert "Traceback" not in said and "bug" not in said
        assert "No space left" in said or "full" in said
        run = small.run_id()
        recorded = small.recorded(run) if run != before else set()
        lines = len(small.log)
        again = ["resume", run] if run != before else small.run_arguments()
        assert small.plain(small.call(*again)) == expected
        assert not {job for name, job in small.starts(lines) if name == run} & recorded
    small.check_store(small.run_id())
