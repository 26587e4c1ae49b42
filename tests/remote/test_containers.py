"""Tools in containers at a machine behind ssh, with a real podman."""

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.remote.place import RemotePlace
from tests.remote.test_one_site import HEAD, write

pytestmark = [
    pytest.mark.servers,
    pytest.mark.podman,
    pytest.mark.skipif(not shutil.which("podman") or not shutil.which("busybox"), reason="needs podman and busybox"),
]
IMAGE = "localhost/cwlbalsam-remote-test"
CONFIGURATION = Path(__file__).parents[1] / "data" / "containers.conf"
TOOL = (
    HEAD
    + """requirements: {DockerRequirement: {dockerPull: %s}}
inputs: {file: File}
outputs: {out: stdout, made: {type: File, outputBinding: {glob: made}}}
baseCommand: [sh, -c, 'cat "$1" /image && echo made > made', sh]
arguments: [$(inputs.file.path)]
stdout: out.txt
"""
)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Of the host's logins: podman there has an image of the name that stands in its file `/image`."""
    names = ("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF")
    told = {"CONTAINERS_CONF": str(CONFIGURATION)} | {name: os.environ[name] for name in names if name in os.environ}
    (tmp_path / "image").write_text(f"{IMAGE}\n")
    with tarfile.open(tmp_path / "root.tar", "w") as archive:
        archive.add(shutil.which("busybox") or "", "bin/busybox")
        archive.add(tmp_path / "image", "image")
        for name in ("sh", "cat"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    podman = ["podman", "import", "--quiet", str(tmp_path / "root.tar"), IMAGE]
    subprocess.run(podman, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **told})
    yield told
    subprocess.run(["podman", "rmi", "--force", IMAGE], check=True, capture_output=True, env={**os.environ, **told})


def test_a_tool_runs_in_its_container_there(
    make_place: Callable[..., RemotePlace], environment: dict[str, str]
) -> None:
    place = make_place("far", environment=environment)
    data = write(place, "some data.txt", "data\n")
    arguments = ["run", "--quiet", "--site", "far", "--outdir", place.out]
    outputs = json.loads(place.call(*arguments, write(place, "tool.cwl", TOOL % IMAGE), "--file", data))
    assert Path(outputs["out"]["path"]).read_text() == f"data\n{IMAGE}\n"
    assert Path(outputs["made"]["path"]).read_text() == "made\n"

    gone = write(place, "gone.cwl", TOOL % "localhost/no/such-image")
    place.call(*arguments, gone, "--file", data, code=1)
    assert "podman pull localhost/no/such-image" in place.said.read_text()


def test_a_site_without_an_engine_is_refused_before_anything_runs(
    make_place: Callable[..., RemotePlace], environment: dict[str, str]
) -> None:
    place = make_place("far", environment=environment)
    place.describe(far=place.hosts["far"].describe(containers=["singularity"]))
    document = write(place, "tool.cwl", TOOL % IMAGE)
    place.call("run", "--site", "far", "--outdir", place.out, document, "--file", write(place, "data", ""), code=1)
    assert "no container engine works at site 'far'" in place.said.read_text()
