"""Docker."""

import os
from pathlib import Path

from cwlbalsam.cwl.records import Docker
from cwlbalsam.sites.containers import oci
from cwlbalsam.sites.containers.base import Launch, Run

BINARIES: tuple[str, ...] = ("docker",)


def probe_command(binary: str) -> list[str]:
    return [binary, "version", "--format={{.Server.Version}}"]  # the client alone can do nothing


def image_name(docker: Docker, folder: Path) -> str:
    return oci.image_name(docker)


def present_command(binary: str, image: str) -> list[str]:
    return [binary, "image", "inspect", "--format={{.Id}}", *oci.positional(image)]


def fetch_commands(binary: str, docker: Docker, image: str, folder: Path) -> list[list[str]]:
    return oci.fetch_commands(binary, docker, image, str(folder))


def run_command(run: Run) -> Launch:
    names = ",".join(run.spec.devices)
    gpus = f'"device={names}"' if names else run.spec.gpus  # the quotes are for its own reader of commas
    user = f"--user={os.geteuid()}:{os.getegid()}"  # else its files belong to root
    return oci.run_command(run, [user], [f"--gpus={gpus}"])


def kill_command(binary: str, name: str) -> list[str]:
    return [binary, "kill", name]


def list_command(binary: str, prefix: str) -> list[str]:
    return oci.list_command(binary, prefix)
