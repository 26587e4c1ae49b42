"""`cwlbalsam models`, on what was imported."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from cwlbalsam.cli.guard import guarded
from cwlbalsam.cli.main import cli
from cwlbalsam.planner.models.book import Book, Page, encode_book
from cwlbalsam.planner.models.observation import Observation, Setting

SEEN = tuple(
    Observation(setting=Setting(input_bytes=size * 1e6), wall_seconds=size * 2.0, censored=size == 90)
    for size in (10, 20, 40, 80, 90)
)
BOOK = Book(pages=(Page(key="abc" * 8, name="al<ign", observations=SEEN), Page(key="def" * 8, name="idle")))


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CWLBALSAM_HOME", str(tmp_path / "home"))
    path = tmp_path / "models.json"
    path.write_bytes(encode_book(BOOK))
    return path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["models", *arguments])


def test_an_empty_home_has_no_models(export: Path) -> None:
    assert "no application" in call("ls").output


def test_what_was_imported_is_listed_shown_and_exported(export: Path, tmp_path: Path) -> None:
    assert "2 applications, 5 jobs" in call("import", str(export)).output
    listed = call("ls").output
    assert "abcabcabcabc" in listed and "al<ign" in listed
    assert json.loads(call("ls", "--json").output)[0]["timeouts"] == 1
    call("export", "abc", "-o", str(tmp_path / "again.json"))
    assert [page["name"] for page in json.loads((tmp_path / "again.json").read_text())["pages"]] == ["al<ign"]


def test_a_model_is_drawn_in_text_and_as_svg(export: Path, tmp_path: Path) -> None:
    call("import", str(export))
    shown = call("show", "al<ign", "--svg", str(tmp_path / "a.svg")).output
    assert "wall time over input size" in shown and "o" in shown and "^" in shown
    drawing = ElementTree.fromstring((tmp_path / "a.svg").read_text())
    assert len(drawing.findall("{*}circle")) == 4 and len(drawing.findall("{*}path")) == 1
    assert call("show", "idle").exit_code == 0, "an application that is only believed of"


def test_an_unknown_version_is_refused_in_one_line(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export.write_bytes(export.read_bytes().replace(b'"version": 1', b'"version": 7'))
    code = guarded(lambda: cli.main(["models", "import", str(export)], standalone_mode=False), False)
    assert code == 1
    assert "models of an unknown version (7)" in capsys.readouterr().err


def test_no_other_command_imports_numpy() -> None:
    code = "import sys, cwlbalsam.cli.run, cwlbalsam.cli.models, cwlbalsam.service.run; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
