"""What a killed run leaves in a container engine."""

import json
import subprocess

import pytest

from tests.durability.place import Place, children, fork_server, kill
from tests.durability.test_resume import wait_for

TOOL = {
    "cwlVersion": "v1.2",
    "class": "CommandLineTool",
    "requirements": {"DockerRequirement": {"dockerPull": "docker.io/debian:stable-slim"}},
    "baseCommand": ["bash", "-c"],
    "inputs": {"place": "Directory"},
    "arguments": ["for _ in \\$(seq 600); do test -e $(inputs.place.path)/go && break; sleep 0.05; done"],
    "outputs": {},
}


def containers(run: str) -> list[str]:
    listed = subprocess.run(
        ["podman", "ps", "-a", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split() if name.startswith(f"cwlbalsam-{run}")]


@pytest.mark.podman
@pytest.mark.usefixtures("podman")
def test_resume_ends_the_containers_that_a_killed_run_has_left(place: Place) -> None:
    document = place.folder / "tool.cwl"
    document.write_text(json.dumps(TOOL))
    shared = place.folder / "shared"
    shared.mkdir()
    inputs = place.folder / "inputs.json"
    inputs.write_text(json.dumps({"place": {"class": "Directory", "location": str(shared)}}))
    begun = place.begin("run", "--podman", "--outdir", place.out, document, inputs)
    wait_for(lambda: place.run_id() != "" and containers(place.run_id()) != [], 60)
    run = place.run_id()
    (left,) = containers(run)
    (server,) = fork_server(begun.pid)
    kill(begun.pid, server, *children(server))
    begun.communicate()
    assert containers(run) == [left]
    resumed = place.begin("resume", run)
    wait_for(lambda: containers(run) not in ([], [left]), 60)
    assert left not in containers(run)
    (shared / "go").touch()
    resumed.communicate(timeout=60)
    assert resumed.returncode == 0, place.said.read_text()
    assert containers(run) == []
    place.check_store(run)
