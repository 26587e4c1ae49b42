"""udocker: containers without any privilege. It can neither cut the network off nor mount read-only."""

import os
from pathlib import Path

from cwlbalsam.cwl.records import Docker
from cwlbalsam.errors import JobError
from cwlbalsam.sites.containers import oci
from cwlbalsam.sites.containers.base import Launch, Run

BINARIES: tuple[str, ...] = ("udocker",)


def _client(binary: str) -> list[str]:
    return [binary, "--quiet", *(["--allow-root"] if os.geteuid() == 0 else [])]


def probe_command(binary: str) -> list[str]:
    return [*_client(binary), "version"]


def image_name(docker: Docker, folder: Path) -> str:
    return oci.image_name(docker) or (oci.image_name(Docker(file=docker.load)) if docker.load else "")


def present_command(binary: str, image: str) -> list[str]:
    return [*_client(binary), "inspect", *oci.positional(image)]


def fetch_commands(binary: str, docker: Docker, image: str, folder: Path) -> list[list[str]]:
    client = _client(binary)
    if docker.pull:
        tag = [[*client, "tag", docker.pull, image]] if image != docker.pull else []
        return [[*client, "pull", *oci.positional(docker.pull)], *tag]
    if docker.load:
        return [[*client, "load", "-i", docker.load, *oci.positional(image)]]
    if docker.import_:
        return [[*client, "import", *oci.positional(docker.import_, image)]]
    what = "a dockerFile" if docker.file else "an image that is not there"
    raise JobError(f"udocker cannot make an image from {what}", place=docker.place)


def run_command(run: Run) -> Launch:
    spec = run.spec
    argv = [*_client(run.binary), "run", "--rm", "--nobanner"]
    for mount in spec.mounts:
        if ":" in mount.source + mount.target:
            raise JobError(f"udocker cannot mount a path with a colon: {mount.source}")
        argv.append(f"--volume={mount.source}:{mount.target}")
    flags, environment = oci.environment_options(spec.environment)
    argv += [f"--workdir={spec.workdir}", *flags, *oci.positional(run.image)]
    return Launch(argv=[*argv, *run.argv], environment=environment)


def kill_command(binary: str, name: str) -> list[str]:
    return []


def list_command(binary: str, prefix: str) -> list[str]:
    return []
