"""Podman, as root or rootless. What a machine needs beside that belongs into its containers.conf."""

import os
from pathlib import Path

from cwlbalsam.cwl.records import Docker
from cwlbalsam.sites.containers import oci
from cwlbalsam.sites.containers.base import Launch, Run

BINARIES: tuple[str, ...] = ("podman",)


def probe_command(binary: str) -> list[str]:
    return [binary, "info", "--format={{.Version.Version}}"]


def image_name(docker: Docker, folder: Path) -> str:
    return oci.image_name(docker)


def present_command(binary: str, image: str) -> list[str]:
    return [binary, "image", "exists", *oci.positional(image)]


def fetch_commands(binary: str, docker: Docker, image: str, folder: Path) -> list[list[str]]:
    return oci.fetch_commands(binary, docker, image, str(folder))


def run_command(run: Run) -> Launch:
    user = [f"--user={os.geteuid()}:{os.getegid()}"]
    if os.geteuid():  # rootless: else our own user would be root inside, and that user nobody we know
        user.append("--userns=keep-id")
    return oci.run_command(run, user, [f"--device=nvidia.com/gpu={name}" for name in run.spec.devices or ("all",)])


def kill_command(binary: str, name: str) -> list[str]:
    return [binary, "kill", name]


def list_command(binary: str, prefix: str) -> list[str]:
    return oci.list_command(binary, prefix)
