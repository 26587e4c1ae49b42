"""Make an image ready, once however many workers and runs ask for it."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from cwlbalsam.cwl.records import Docker
from cwlbalsam.errors import JobError
from cwlbalsam.sites.containers import ENGINES, find_binary
from cwlbalsam.sites.containers.oci import loaded_image

Pull = Literal["missing", "always", "never"]


def images_folder() -> Path:
    """Locks, and images of engines that keep them as files."""
    home = os.environ.get("CWLBALSAM_HOME")
    return (Path(home) if home else Path.home() / ".cwlbalsam") / "images"


def ensure_image(engine_name: str, docker: Docker, folder: Path, *, binary: str = "", pull: Pull = "missing") -> str:
    """The image to run, made ready if it is not there yet. Blocks, for as long as a pull takes.

    binary: of the engine's client, if it is not found by its name. pull: `always` asks for a newer image even if there
    is one. Raises JobError with the engine's own words.
    """
    engine, binary = ENGINES[engine_name], binary or find_binary(engine_name)
    if not binary:
        raise JobError(f"container engine {engine_name} is not installed", place=docker.place)
    image = engine.image_name(docker, folder)
    if pull != "always" and image and _succeeds(engine.present_command(binary, image)):
        return image
    if pull == "never":
        hint = "leave out --disable-pull, or get it by hand"
        raise JobError(f"container image {image or docker.load} is not here", place=docker.place, hint=hint)
    with _locked(folder, f"{engine_name} {image or docker.load}"), tempfile.TemporaryDirectory(dir=folder) as work:
        if pull != "always" and image and _succeeds(engine.present_command(binary, image)):
            return image  # somebody else was faster
        docker = _with_local_archive(docker, Path(work))
        (Path(work) / "Dockerfile").write_text(docker.file)
        output = ""
        for command in engine.fetch_commands(binary, docker, image, Path(work)):
            output = _run(command, docker)
    image = image or loaded_image(output)
    if not image:
        hint = "say so with dockerImageId"
        raise JobError(f"cannot tell which image {docker.load} holds", place=docker.place, hint=hint)
    return image


def _with_local_archive(docker: Docker, folder: Path) -> Docker:
    """dockerLoad as a path; what it names on the network is downloaded."""
    if docker.pull or docker.file or not docker.load:
        return docker
    url = urllib.parse.urlsplit(docker.load)
    if url.scheme == "file":
        return replace(docker, load=urllib.parse.unquote(url.path))
    if url.scheme not in ("http", "https"):
        return docker
    path = folder / "archive"
    try:
        with urllib.request.urlopen(docker.load, timeout=60) as source, path.open("wb") as target:  # noqa: S310
            shutil.copyfileobj(source, target)
    except OSError as error:
        raise JobError(f"cannot download the container image {docker.load}: {error}", place=docker.place) from error
    return replace(docker, load=str(path))


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0


def _run(command: list[str], docker: Docker) -> str:
    done = subprocess.run(
        command, capture_output=True, stdin=subprocess.DEVNULL, text=True, errors="replace", check=False
    )
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-2000:]
        what = f"{Path(command[0]).name} {' '.join(command[1:])}"
        raise JobError(f"cannot get the container image: `{what}` failed", place=docker.place, hint=words)
    return done.stdout


@contextmanager
def _locked(folder: Path, key: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield
