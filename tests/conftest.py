"""What tests of several packages need: podman with the local images, PostgreSQL, a conformance suite, a web page."""

import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.cluster import slurm_cluster

__all__ = ["slurm_cluster"]

ROOT = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI") == "true"

settings.register_profile("any machine", deadline=None)  # a busy machine is no mistake
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """A suite's folder is an option, a variable, or where CI has it."""
    default = os.environ.get("CWLBALSAM_SUITE") or str(ROOT.parent / "shared/conformance/v1.2")
    parser.addoption("--suite-path", default=default, help="folder of the official CWL v1.2 conformance suite")


def missing(what: str) -> None:
    if IN_CI:
        pytest.fail(f"missing in CI: {what}")
    pytest.skip(what)


@pytest.fixture(scope="session")
def suite(pytestconfig: pytest.Config) -> Path:
    """The official suite's file."""
    path = Path(pytestconfig.getoption("--suite-path")).absolute() / "conformance_tests.yaml"
    if not path.is_file():
        missing(f"no conformance suite at {path.parent}")
    return path


@pytest.fixture(scope="session")
def podman() -> None:
    """A podman that finds the images of scripts/images; its configuration is in this process's environment."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cwlbalsam-images"
    if "CONTAINERS_CONF" not in os.environ and (cache / "containers.conf").is_file():
        os.environ["CONTAINERS_CONF"] = str(cache / "containers.conf")
        os.environ["CONTAINERS_STORAGE_CONF"] = str(cache / "storage.conf")
    if shutil.which("podman") is None:
        missing("podman is not installed")
    found = subprocess.run(["podman", "image", "exists", "docker.io/debian:stable-slim"], check=False)
    if found.returncode:
        missing("podman has no test images: run scripts/images")


@pytest.fixture(scope="session")
def postgres_home() -> Iterator[Path]:
    """A home whose store is on a real server of its own."""
    from cwlbalsam.errors import UserError
    from tests.store.servers import server_home

    try:
        with server_home() as (home, _):
            yield home
    except UserError as error:
        missing(f"PostgreSQL: {error}")


@pytest.fixture
def empty_postgres(postgres_home: Path) -> Path:
    """The same home, its tables empty."""
    from tests.store.servers import empty

    empty(postgres_home)
    return postgres_home


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture(scope="session")
def outside_page() -> Iterator[None]:
    """An empty page where the containers' hosts file (scripts/images) puts the web site that the suite opens."""
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.80", 80), _Page)
    except OSError as error:
        missing(f"port 80 of 127.0.0.80 cannot be served: {error.strerror}")
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield
        server.shutdown()
        thread.join()
