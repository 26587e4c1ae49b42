"""The official CWL v1.2 suite with all jobs at a machine behind ssh."""

from pathlib import Path

import pytest

from cwlbalsam.service.suite import load_suite
from tests.conformance.run_suite import not_passed, run_suite
from tests.conformance.test_suite_v1_2 import CWLTEST_STEP, NEED_A_CONTAINER
from tests.conftest import missing
from tests.remote.place import PILOTS, Host, RemotePlace
from tests.servers import find_server, serving

pytestmark = [pytest.mark.suite, pytest.mark.servers]


def test_jobs_at_a_remote_site_give_what_they_give_here(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not find_server("sshd"):
        missing("a remote site needs sshd: run scripts/servers as root")
    host = Host("far", tmp_path / "far")
    place = RemotePlace(tmp_path / "me", hosts={"far": host})
    place.describe(far=host.describe(pilots=PILOTS | {"idle": "5m"}))
    monkeypatch.setenv("CWLBALSAM_HOME", str(place.home))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place.folder))
    tests = load_suite(suite)[::CWLTEST_STEP]
    with serving(host.sshd):
        try:
            names = ",".join(str(test.number) for test in tests)
            report = run_suite(suite, tmp_path / "results.json", "--no-container", "--site", "far", "-n", names)
        finally:
            host.end()
    assert len(report["tests"]) == len(tests)
    assert not_passed(report) == NEED_A_CONTAINER & {test.id for test in tests}
    assert (host.home / ".cwlbalsam" / "sites" / "far" / "agent.log").exists()
