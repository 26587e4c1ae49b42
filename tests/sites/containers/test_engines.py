"""Every engine's commands as text."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from cwlbalsam.cwl.execution import ContainerSpec, Mount
from cwlbalsam.cwl.records import Docker
from cwlbalsam.errors import JobError, UserError
from cwlbalsam.sites import containers
from cwlbalsam.sites.containers import ENGINES, find_engine, oci
from cwlbalsam.sites.containers.base import Launch, Run

USER = f"--user={os.geteuid()}:{os.getegid()}"
SPEC = ContainerSpec(
    docker=Docker(pull="debian:stable-slim"),
    mounts=(Mount("/host/job", "/out", True), Mount("/host/in file", "/in/file", False)),
    workdir="/out",
    network=False,
    environment={"HOME": "/out", "TOKEN": "secret"},
)
FOLDER = Path("/images")


def run(
    engine: str, *, binary: str = "", image: str = "IMAGE", spec: ContainerSpec = SPEC, stdin: bool = False
) -> Launch:
    argv = ["sh", "-c", "echo $TOKEN"]
    return ENGINES[engine].run_command(Run(binary or engine, spec, argv, image, name="c1", stdin=stdin))


def test_docker_runs_as_the_user_without_network_and_without_secrets_on_its_command_line() -> None:
    launch = run("docker", stdin=True)
    assert launch.argv == [
        *("docker", "run", "--name=c1", "--rm", "--pull=never", "--log-driver=none", "--read-only"),
        *(USER, "--interactive", "--network=none"),
        "--mount=type=bind,source=/host/job,target=/out",
        "--mount=type=bind,source=/host/in file,target=/in/file,readonly",
        *("--workdir=/out", "--env=HOME=/out", "--env=TOKEN", "IMAGE", "sh", "-c", "echo $TOKEN"),
    ]
    assert launch.environment == {"TOKEN": "secret"}
    assert ENGINES["docker"].kill_command("docker", "c1") == ["docker", "kill", "c1"]


def test_rootless_podman_keeps_the_users_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.getegid", lambda: 100)
    assert {"--user=1000:100", "--userns=keep-id"} <= set(run("podman").argv)


def test_apptainer_binds_the_home_folder_and_passes_the_environment_by_prefix() -> None:
    launch = run("apptainer")
    assert launch.argv == [
        *("apptainer", "--quiet", "run", "--contain", "--ipc", "--pid", "--cleanenv", "--no-eval"),
        *("--home", "/host/job:/out", "--net", "--network", "none"),
        *("--bind", "/host/job:/out:rw", "--bind", "/host/in file:/in/file:ro"),
        *("--pwd", "/out", "IMAGE", "sh", "-c", "echo $TOKEN"),
    ]
    assert launch.environment == {"APPTAINERENV_TOKEN": "secret"}
    assert run("singularity").environment == {"SINGULARITYENV_TOKEN": "secret"}
    assert ENGINES["singularity"].kill_command("singularity", "c1") == []


def test_udocker_mounts_by_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert run("udocker").argv == [
        *("udocker", "--quiet", "run", "--rm", "--nobanner"),
        *("--volume=/host/job:/out", "--volume=/host/in file:/in/file", "--workdir=/out"),
        *("--env=HOME=/out", "--env=TOKEN", "IMAGE", "sh", "-c", "echo $TOKEN"),
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_network_is_there_only_when_asked_for(engine: str) -> None:
    spec = ContainerSpec(docker=SPEC.docker, mounts=(), workdir="/", network=True, environment={})
    assert not [word for word in run(engine, spec=spec).argv if "net" in word]


@pytest.mark.parametrize(
    ("path", "option"),
    [
        ("/a,b", '--mount=type=bind,"source=/a,b",target=/t,readonly'),
        ("/a:b", "--mount=type=bind,source=/a:b,target=/t,readonly"),
        ('/a"b', '--mount=type=bind,"source=/a""b",target=/t,readonly'),
    ],
)
def test_odd_paths_are_quoted_in_mounts(path: str, option: str) -> None:
    assert oci.mount_option(path, "/t", False) == option


def test_paths_that_an_engine_cannot_mount_are_refused() -> None:
    with pytest.raises(JobError, match="line break"):
        oci.mount_option("/a\nb", "/t", False)
    spec = ContainerSpec(SPEC.docker, (Mount("/a:b", "/t", False),), "/", False, {})
    with pytest.raises(JobError, match="colon"):
        run("udocker", spec=spec)
    assert "type=bind,source=/a:b,destination=/t,ro" in run("singularity", spec=spec).argv


def test_a_variable_that_would_change_the_client_is_given_as_text() -> None:
    options, inherited = oci.environment_options({"LD_PRELOAD": "x", "DOCKER_HOST": "y", "A*": "z", "MINE": "w"})
    assert options == ["--env=LD_PRELOAD=x", "--env=DOCKER_HOST=y", "--env=A*=z", "--env=MINE"]
    assert inherited == {"MINE": "w"}


@pytest.mark.parametrize(
    ("engine", "docker", "image", "commands"),
    [
        ("docker", Docker(pull="a:1"), "a:1", [["docker", "pull", "a:1"]]),
        ("podman", Docker(pull="a", image_id="b"), "b", [["podman", "pull", "a"], ["podman", "tag", "a", "b"]]),
        ("docker", Docker(load="/x.tar", image_id="b"), "b", [["docker", "load", "--input=/x.tar"]]),
        ("docker", Docker(load="/x.tar"), "", [["docker", "load", "--input=/x.tar"]]),
        ("docker", Docker(import_="u", image_id="b"), "b", [["docker", "import", "u", "b"]]),
        ("docker", Docker(file="FROM a", image_id="b"), "b", [["docker", "build", "--tag=b", "/images"]]),
        (
            "singularity",
            Docker(pull="a/b:1"),
            "/images/a_b:1.sif",
            [
                ["singularity", "build", "--force", "/images/a_b:1.sif.part", "docker://a/b:1"],
                ["mv", "/images/a_b:1.sif.part", "/images/a_b:1.sif"],
            ],
        ),
    ],
)
def test_images_are_fetched_from_what_the_document_says(
    engine: str, docker: Docker, image: str, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CWL_SINGULARITY_CACHE", raising=False)
    backend = ENGINES[engine]
    assert backend.image_name(docker, FOLDER) == image
    assert backend.fetch_commands(engine, docker, image, FOLDER) == commands


def test_an_image_without_a_name_is_named_by_its_content() -> None:
    first, again, other = (oci.image_name(Docker(file=text)) for text in ("FROM a", "FROM a", "FROM b"))
    assert first == again != other


@pytest.mark.parametrize("engine", ["docker", "podman", "udocker"])
def test_an_image_name_is_never_taken_for_an_option(engine: str) -> None:
    with pytest.raises(JobError, match="not the name of a container image: '--privileged'"):
        run(engine, image="--privileged")


@pytest.mark.parametrize(
    ("output", "image"),
    [
        ("Loaded image: a:1\n", "a:1"),
        ("x\nLoaded image(s): a,b", "a"),
        ("Loaded image ID: sha256:12", "sha256:12"),
        ("", ""),
    ],
)
def test_a_loaded_image_is_known_by_what_the_engine_prints(output: str, image: str) -> None:
    assert oci.loaded_image(output) == image


def test_an_engine_counts_only_if_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, script in {"docker": "echo no daemon >&2; exit 1", "udocker": "exit 0"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    find_engine.cache_clear()
    containers._why_unusable.cache_clear()
    try:
        assert find_engine() == "udocker"
        with pytest.raises(UserError, match="docker cannot be used: no daemon"):
            find_engine("docker")
        with pytest.raises(UserError, match="podman cannot be used: it is not installed"):
            find_engine("podman")
        with pytest.raises(UserError, match="unknown container engine 'rkt'"):
            find_engine("rkt")
    finally:
        find_engine.cache_clear()
        containers._why_unusable.cache_clear()


def test_a_container_sees_the_gpus_that_its_job_was_given_and_no_others() -> None:
    spec = replace(SPEC, gpus=2, devices=("1", "3"))
    assert '--gpus="device=1,3"' in run("docker", spec=spec).argv
    podman = [word for word in run("podman", spec=spec).argv if word.startswith("--device")]
    assert podman == ["--device=nvidia.com/gpu=1", "--device=nvidia.com/gpu=3"]
    apptainer = run("apptainer", spec=spec)
    assert "--nv" in apptainer.argv
    assert apptainer.environment["APPTAINERENV_CUDA_VISIBLE_DEVICES"] == "1,3"
    assert "--gpus=2" in run("docker", spec=replace(SPEC, gpus=2)).argv
