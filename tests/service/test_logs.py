"""What commands have printed, where they may have put anything in its place."""

import io
import os
from pathlib import Path

import pytest

from cwlbalsam.executor.events import JobEnded, Silent
from cwlbalsam.service.logs import KeepLogs, read_from


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "nothing"])
def test_what_is_no_plain_file_is_not_kept(tmp_path: Path, kind: str) -> None:
    log, kept = tmp_path / "log", tmp_path / "kept"
    kept.mkdir()
    match kind:
        case "pipe":
            os.mkfifo(log)
        case "device":
            log.symlink_to("/dev/full")
        case "folder":
            log.mkdir()
    KeepLogs(kept, Silent()).report(JobEnded("step", 1, "done", log=str(log)))
    assert list(kept.iterdir()) == []


def test_a_log_is_kept_under_its_jobs_name(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("printed")
    (tmp_path / "kept").mkdir()
    KeepLogs(tmp_path / "kept", Silent()).report(JobEnded("a/b", 1, "done", log=str(tmp_path / "log")))
    assert (tmp_path / "kept" / "a.b.log").read_text() == "printed"


def test_a_site_that_complains_at_length_is_read_to_its_end() -> None:
    out = io.BytesIO()
    code, words = read_from(["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x >&2; echo printed; exit 3"], out)
    assert (code, words, out.getvalue()) == (3, "x" * 2000, b"printed\n")
