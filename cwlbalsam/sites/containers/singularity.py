"""Apptainer (from 1.1) and Singularity (from 3.10): images are files, containers are plain child processes."""

import csv
import io
import os
import re
from pathlib import Path

from cwlbalsam.cwl.environment import device_variables
from cwlbalsam.cwl.records import Docker
from cwlbalsam.errors import JobError
from cwlbalsam.sites.containers import oci
from cwlbalsam.sites.containers.base import Launch, Run

BINARIES: tuple[str, ...] = ("apptainer", "singularity")


def probe_command(binary: str) -> list[str]:
    return [binary, "--version"]


def image_name(docker: Docker, folder: Path) -> str:
    """A path: an image file (or folder) of the user's own, else a file in $CWL_SINGULARITY_CACHE or `folder`."""
    for name in (docker.image_id, docker.pull):
        if name and Path(name).exists():
            return str(Path(name).resolve())
    name = oci.image_name(docker) or f"load-{oci.image_name(Docker(file=docker.load))}"
    cache = Path(os.environ.get("CWL_SINGULARITY_CACHE") or folder)
    return str(cache.absolute() / (re.sub(r"[^\w.:@+-]+", "_", name.removesuffix(".sif")) + ".sif"))


def present_command(binary: str, image: str) -> list[str]:
    return ["test", "-e", image]


def fetch_commands(binary: str, docker: Docker, image: str, folder: Path) -> list[list[str]]:
    part = f"{image}.part"
    if docker.pull:
        source = docker.pull if "://" in docker.pull else f"docker://{docker.pull}"
    elif docker.load:
        source = f"docker-archive://{docker.load}"
    else:
        what = "dockerFile" if docker.file else "dockerImport" if docker.import_ else "an image that is not there"
        hint = "build the image with docker or podman and use dockerLoad or dockerPull"
        raise JobError(f"{Path(binary).name} cannot make an image from {what}", place=docker.place, hint=hint)
    return [[binary, "build", "--force", part, source], ["mv", part, image]]


def run_command(run: Run) -> Launch:
    spec = run.spec
    argv = [run.binary, "--quiet", "run", "--contain", "--ipc", "--pid", "--cleanenv", "--no-eval"]
    environment = dict(spec.environment)
    home = environment.pop("HOME", "")
    if home:  # --cleanenv sets HOME itself; the home folder must be one of the mounts
        source = next((mount.source for mount in spec.mounts if mount.target == home), "")
        argv += ["--home", f"{source}:{home}" if source else home]
    if not spec.network:
        argv += ["--net", "--network", "none"]
    if spec.gpus:
        argv.append("--nv")
        environment = device_variables(spec.devices) | environment  # it sees all of the node
    for mount in spec.mounts:
        argv += _mount_options(mount.source, mount.target, mount.writable)
    prefix = "APPTAINERENV_" if Path(run.binary).name == "apptainer" else "SINGULARITYENV_"
    return Launch(
        argv=[*argv, "--pwd", spec.workdir, run.image, *run.argv],
        environment={f"{prefix}{name}": value for name, value in environment.items()},
    )


def _mount_options(source: str, target: str, writable: bool) -> list[str]:
    """--bind knows no quoting, so paths with a colon or a comma need --mount."""
    if not set(":,\"'\n") & set(source + target):
        return ["--bind", f"{source}:{target}:{'rw' if writable else 'ro'}"]
    text = io.StringIO()
    fields = ["type=bind", f"source={source}", f"destination={target}", *([] if writable else ["ro"])]
    csv.writer(text, lineterminator="").writerow(fields)
    return ["--mount", text.getvalue()]


def kill_command(binary: str, name: str) -> list[str]:
    return []


def list_command(binary: str, prefix: str) -> list[str]:
    return []
