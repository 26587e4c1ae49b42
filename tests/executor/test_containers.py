"""Real podman, driven by a real worker."""

import asyncio
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cwl.tasks import Outcome, Settings, Task
from tests.executor.fakes import Session, make_pool, make_task, run_pool, run_tasks

pytestmark = [
    pytest.mark.podman,
    pytest.mark.skipif(not shutil.which("podman") or not shutil.which("busybox"), reason="needs podman and busybox"),
]
IMAGE = f"localhost/cwlbalsam-worker-test-{os.getpid()}"  # another suite on this machine must not be seen
CONFIGURATION = Path(__file__).parents[1] / "data" / "containers.conf"


def podman(*words: str) -> str:
    return subprocess.run(["podman", *words], check=True, capture_output=True, text=True).stdout


def busybox_root(target: Path) -> Path:
    with tarfile.open(target, "w") as archive:
        archive.add(shutil.which("busybox") or "", "bin/busybox")
        for name in ("sh", "cat", "env", "id", "sleep", "touch", "ls", "true"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return target


@pytest.fixture(scope="module", autouse=True)
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("image")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CWLBALSAM_HOME", str(folder / "home"))
        if not os.environ.get("CONTAINERS_CONF"):
            patch.setenv("CONTAINERS_CONF", str(CONFIGURATION))
        root = busybox_root(folder / "root.tar")
        podman("import", "--quiet", str(root), IMAGE)
        yield root
        podman("rmi", "--force", IMAGE)


def contained(job: int, folder: Path, script: str, **do: Any) -> Task:
    container = {
        "docker": {"pull": IMAGE},
        "mounts": [
            {"source": f"{folder}/job-{job}", "target": "/out", "writable": True},
            {"source": "/etc/hostname", "target": "/in/host,name", "writable": False},
        ],
        "workdir": "/out",
        "network": False,
        "environment": {"HOME": "/out", "GREETING": "two\nlines", "PATH": "/bin"},
    } | do.pop("container", {})
    return make_task(job, folder, argv=["sh", "-c", script], container=container, **do)


def run(folder: Path, *tasks: Task) -> list[Outcome]:
    return run_tasks(make_pool(folder, settings=Settings(engine="podman")), *tasks)


def test_a_container_sees_its_mounts_its_environment_and_its_stdin_but_no_network(tmp_path: Path) -> None:
    script = (
        'cat; echo "$GREETING"; pwd; ls /sys/class/net; ls "/in/host,name"; touch made; touch "/in/host,name" || exit 3'
    )
    (tmp_path / "in").write_text("from stdin\n")
    outcome = run(tmp_path, contained(1, tmp_path, script, stdin=str(tmp_path / "in"), stdout=str(tmp_path / "out")))[0]
    assert outcome.exit_code == 3
    assert "Read-only file system" in Path(outcome.log).read_text()
    assert (tmp_path / "out").read_text() == "from stdin\ntwo\nlines\n/out\nlo\n/in/host,name\n"
    assert (tmp_path / "job-1" / "made").stat().st_uid == os.geteuid()


def test_an_image_that_cannot_be_had_fails_all_its_jobs_in_the_engines_words(tmp_path: Path) -> None:
    tasks = [contained(n, tmp_path, "true", container={"docker": {"pull": "localhost/no/such"}}) for n in range(3)]
    for outcome in run(tmp_path, *tasks):
        assert outcome.ending == "failed" and not outcome.bug
        assert "podman pull localhost/no/such` failed\n" in outcome.error


def test_an_image_is_loaded_from_an_archive_and_imported_from_a_root_file_system(tmp_path: Path, image: Path) -> None:
    podman("save", "--quiet", "--output", str(tmp_path / "image.tar"), IMAGE)
    sources = [{"load": str(tmp_path / "image.tar")}, {"import_": str(image), "image_id": f"{IMAGE}-imported"}]
    try:
        tasks = [contained(n, tmp_path, "true", container={"docker": source}) for n, source in enumerate(sources)]
        assert [(outcome.ending, outcome.error) for outcome in run(tmp_path, *tasks)] == [("done", "")] * 2
    finally:
        podman("rmi", "--force", f"{IMAGE}-imported")


def containers() -> str:
    return podman("ps", "--all", "--quiet", "--filter", f"ancestor={IMAGE}")


def test_a_time_limit_and_a_cancel_end_the_container_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cwlbalsam.executor.workbench.GRACE_SECONDS", 0.5)
    script = "trap '' TERM; touch started; sleep 60; sleep 60"

    async def scenario(session: Session) -> None:
        session.pool.submit([contained(1, tmp_path, script, time_limit=2), contained(2, tmp_path, script)])
        while not all((tmp_path / f"job-{job}" / "started").exists() for job in (1, 2)):
            await asyncio.sleep(0.05)
        session.pool.cancel([2])
        await session.results(1, 2)

    outcomes = run_pool(make_pool(tmp_path, settings=Settings(engine="podman")), scenario)
    assert (outcomes[1].ending, outcomes[2].ending) == ("timeout", "cancelled")
    until = time.monotonic() + 5
    while containers() and time.monotonic() < until:
        time.sleep(0.1)
    assert not containers(), "and they leave nothing behind"


def test_a_job_without_an_engine_says_so(tmp_path: Path) -> None:
    (outcome,) = run_tasks(make_pool(tmp_path), contained(1, tmp_path, "true"))
    assert "there is no container engine" in outcome.error
