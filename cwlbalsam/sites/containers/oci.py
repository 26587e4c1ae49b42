"""The command line that docker and podman share."""

import csv
import hashlib
import io
import re

from cwlbalsam.cwl.records import Docker
from cwlbalsam.errors import JobError
from cwlbalsam.sites.containers.base import Launch, Run

# Variables that would change what the client itself does; their values are given on its command line instead.
_CLIENT_VARIABLES = re.compile(
    r"PATH|HOME|USER|TMPDIR|LANG|LC_.*|LD_.*|DYLD_.*|GO.*|XDG_.*|DOCKER_.*|CONTAINER.*|PODMAN_.*|BUILDAH_.*|REGISTRY_.*"
    r"|STORAGE_.*|SSL_.*|SSH_.*|DBUS_.*|NOTIFY_SOCKET|LISTEN_.*|_.*|.*_proxy|.*_PROXY|UDOCKER_.*|PROOT_.*|PYTHON.*"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def image_name(docker: Docker) -> str:
    """The image's own name, else one that follows from what it is made from; "" if loading it will tell."""
    if docker.image_id or docker.pull:
        return docker.image_id or docker.pull
    if docker.file:
        return f"cwlbalsam-{_digest(docker.file)}"
    if docker.import_:
        return f"cwlbalsam-{_digest(docker.import_)}"
    return ""


def fetch_commands(binary: str, docker: Docker, image: str, folder: str) -> list[list[str]]:
    if docker.pull:
        tag = [[binary, "tag", docker.pull, image]] if image != docker.pull else []
        return [[binary, "pull", *positional(docker.pull)], *tag]
    if docker.file:
        return [[binary, "build", f"--tag={image}", folder]]
    if docker.load:
        return [[binary, "load", f"--input={docker.load}"]]
    if docker.import_:
        return [[binary, "import", *positional(docker.import_, image)]]
    raise JobError(f"image {image!r} is not on this machine, and nothing says where to get it", place=docker.place)


def run_command(run: Run, options: list[str], gpu_options: list[str]) -> Launch:
    spec = run.spec
    argv = [
        run.binary,
        "run",
        f"--name={run.name}",
        "--rm",
        "--pull=never",
        "--log-driver=none",
        "--read-only",
        *options,
    ]
    if run.stdin:
        argv.append("--interactive")
    if not spec.network:
        argv.append("--network=none")
    if spec.gpus:
        argv += gpu_options
    argv += [mount_option(mount.source, mount.target, mount.writable) for mount in spec.mounts]
    argv.append(f"--workdir={spec.workdir}")
    flags, environment = environment_options(spec.environment)
    return Launch(argv=[*argv, *flags, *positional(run.image), *run.argv], environment=environment)


def mount_option(source: str, target: str, writable: bool) -> str:
    """Fields are CSV: a path with a comma or a quote is quoted. Unlike --volume it never makes a missing source."""
    text = io.StringIO()
    fields = ["type=bind", f"source={source}", f"target={target}", *([] if writable else ["readonly"])]
    csv.writer(text, lineterminator="").writerow(fields)
    if "\n" in source + target or "\r" in source + target:
        raise JobError(f"a path with a line break cannot be mounted into a container: {source!r}")
    return f"--mount={text.getvalue()}"


def environment_options(environment: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Options, and what the client's own environment has to hold for them: other users can read a command line."""
    options: list[str] = []
    inherited: dict[str, str] = {}
    for name, value in environment.items():
        if _NAME.fullmatch(name) and not _CLIENT_VARIABLES.fullmatch(name):
            inherited[name] = value
            options.append(f"--env={name}")
        else:
            options.append(f"--env={name}={value}")
    return options, inherited


def positional(*words: str) -> list[str]:
    """Words of a document that must not be taken for options."""
    for word in words:
        if word.startswith("-") or not word:
            raise JobError(f"not the name of a container image: {word!r}")
    return list(words)


def loaded_image(output: str) -> str:
    """The image that `load` says it has loaded, "" if it does not say."""
    found = re.search(r"^Loaded image(?:\(s\)| ID)?: *(\S+)", output, re.MULTILINE)
    return found[1].split(",")[0] if found else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def list_command(binary: str, prefix: str) -> list[str]:
    """Names of running containers, one a line."""
    return [binary, "ps", "--format", "{{.Names}}", "--filter", f"name=^{prefix}"]
