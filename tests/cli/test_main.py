import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cwlbalsam import __version__
from cwlbalsam.cli import ls
from cwlbalsam.cli.guard import guarded
from cwlbalsam.cli.main import COMMANDS, cli, run_cli
from cwlbalsam.errors import DocumentError, Problem, UnsupportedError

START = [sys.executable, "-c", "from cwlbalsam.cli.main import main; main()"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CWLBALSAM_HOME", str(tmp_path))
    return tmp_path


def test_help_lists_every_command_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n  {name} " in listed for name in COMMANDS)
    code = (
        "import sys; from cwlbalsam.cli.main import run_cli; run_cli(['--help'])\n"
        "assert not [name for name in sys.modules if name in ('cwlbalsam.cli.run', 'sqlite3', 'asyncio', 'cwltool')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def every_command() -> Iterator[tuple[str, click.Command]]:
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", found) for sub, found in command.commands.items())


def test_help_can_be_read() -> None:
    for name, command in every_command():
        text = command.get_help(click.Context(command, info_name=name))
        assert not re.search(r"(FLOAT|INTEGER) RANGE", text), name
        if " " in name:
            assert not command.get_short_help_str(70).endswith("..."), name
        elif name != "agent":
            assert f"  cwlbalsam {name} " in text or f"  cwlbalsam {name}\n" in text, f"{name} shows no example"


def test_version_names_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["--version"]) == 0
    assert capsys.readouterr().out == f"cwlbalsam {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lss"], "No such command 'lss'. Did you mean 'ls'?"),
        (["tool.cwl"], "No such command 'tool.cwl'. Did you mean 'cwlbalsam run tool.cwl'?"),
        (["sho"], "Did you mean 'show'?"),
        (["ls", "--stat", "failed"], "No such option"),
    ],
)
def test_a_typo_is_never_guessed_but_answered(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(arguments) == 2
    assert message in capsys.readouterr().err


def raising(error: BaseException) -> int:
    def body() -> None:
        raise error

    return guarded(body)


def test_each_mistake_of_the_users_is_one_error(capsys: pytest.CaptureFixture[str]) -> None:
    mistakes = [Problem("w.cwl:1:2", "no step 'a'", "did you mean 'b'?"), Problem("", "no \x1b[2Jinput")]
    assert raising(DocumentError(mistakes)) == 1
    assert capsys.readouterr().err == "error: w.cwl:1:2: no step 'a'\n    did you mean 'b'?\nerror: no  [2Jinput\n"
    assert raising(UnsupportedError("no MPI here")) == 33


def test_an_interruption_and_a_full_disk_are_no_bugs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(KeyboardInterrupt()) == 130
    assert raising(OSError(28, "No space left on device", "/d/f")) == 1
    assert capsys.readouterr().err == "error: /d/f: No space left on device\n"
    assert not (home / "crash").exists()


def test_a_bug_leaves_its_traceback_in_a_file_of_the_users_own(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(ZeroDivisionError("division by zero")) == 3
    (crash,) = (home / "crash").iterdir()
    said = capsys.readouterr().err
    assert said.startswith("error: this is a bug in cwlbalsam: ZeroDivisionError: division by zero\n")
    assert str(crash) in said
    assert "Traceback" not in said
    assert "Traceback" in crash.read_text()
    assert crash.stat().st_mode & 0o077 == 0


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(ls, "open_store", None)
    assert run_cli(["--debug", "ls"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_a_closed_pipe_ends_the_output_quietly() -> None:
    code = (
        "import sys; from cwlbalsam.cli.guard import guarded\n"
        "sys.exit(guarded(lambda: [print('x' * 1000, flush=True) for _ in range(1000)]))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
