from pathlib import Path

import pytest

from tests.end_to_end.workplace import Workplace


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Workplace:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CWLBALSAM_HOME", str(tmp_path / "home"))
    return Workplace(tmp_path, capfd)
