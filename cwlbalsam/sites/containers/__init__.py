"""Container engines: one module each."""

import shutil
import subprocess
from functools import cache

from cwlbalsam.errors import UserError
from cwlbalsam.sites.containers import docker, podman, singularity, udocker
from cwlbalsam.sites.containers.base import Engine

ENGINES: dict[str, Engine] = {
    "docker": docker,
    "podman": podman,
    "singularity": singularity,
    "apptainer": singularity,
    "udocker": udocker,
}
PROBE_SECONDS = 20


def find_binary(engine: str) -> str:
    """Path of the engine's client, "" if there is none."""
    return next((path for name in ENGINES[engine].BINARIES if (path := shutil.which(name))), "")


@cache
def find_engine(preference: str = "") -> str:
    """The name of an engine that works on this machine: the preferred one, else the first; "" if there is none.

    Raises UserError if the preferred one does not work.
    """
    if not preference:
        return next((name for name in ENGINES if not _why_unusable(name)), "")
    if preference not in ENGINES:
        raise UserError(f"unknown container engine {preference!r}", hint=f"there are {', '.join(ENGINES)}")
    why = _why_unusable(preference)
    if why:
        hint = "run without containers (--no-container), or with another engine"
        raise UserError(f"container engine {preference} cannot be used: {why}", hint=hint)
    return preference


@cache
def _why_unusable(engine: str) -> str:
    binary = find_binary(engine)
    if not binary:
        return "it is not installed"
    try:
        command = ENGINES[engine].probe_command(binary)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return f"it did not answer within {PROBE_SECONDS} seconds"
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip() or f"it ended with code {done.returncode}"


def kill_containers(engine: str, prefix: str) -> None:
    """End all containers whose names begin so: what is left when a client was killed."""
    binary = find_binary(engine)
    command = ENGINES[engine].list_command(binary, prefix) if binary else []
    if command:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for name in done.stdout.split():
            subprocess.run(ENGINES[engine].kill_command(binary, name), capture_output=True, check=False)
