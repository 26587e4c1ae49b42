import os
import subprocess
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cwlbalsam.cwl.tasks import Invocation
from cwlbalsam.service.command_line import shell_line

PATH = {"PATH": os.defpath}
words = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=12)


def shell(line: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["sh", "-c", line], capture_output=True, check=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(words, max_size=4), words)
def test_a_shell_gives_the_command_the_very_words_and_variables(arguments: list[str], value: str) -> None:
    command = Invocation(
        argv=["sh", "-c", 'printf "%s\\0" "$V" "$@"', "x", *arguments], environment={**PATH, "V": value}, cwd="/"
    )
    assert shell(shell_line(command)).stdout == b"".join(word.encode() + b"\0" for word in [value, *arguments])


def test_directory_temporary_folder_and_redirections_are_made_again(tmp_path: Path) -> None:
    work = tmp_path / "it's a job"
    work.mkdir()
    (tmp_path / "in").write_text("hello\n")
    command = Invocation(
        argv=["sh", "-c", 'pwd; cat; ls -d "$TMPDIR"; echo bad >&2; exit 4'],
        environment={**PATH, "TMPDIR": str(tmp_path / "t")},
        cwd=str(work),
        tmpdir=str(tmp_path / "t"),
        stdin=str(tmp_path / "in"),
        stdout=str(work / "out"),
        stderr=str(work / "err"),
    )
    assert shell(shell_line(command)).returncode == 4
    assert (work / "out").read_text() == f"{work}\nhello\n{tmp_path}/t\n"
    assert (work / "err").read_text() == "bad\n"


def test_an_engines_client_keeps_the_users_environment() -> None:
    line = shell_line(Invocation(argv=["podman", "run", "--env=KEY", "image"], environment={"KEY": "v"}, inherits=True))
    assert "env KEY=v podman run --env=KEY image < /dev/null" in line
    assert " -i" not in line


def test_both_streams_in_one_file_stay_in_order(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    command = Invocation(argv=["sh", "-c", "echo a; echo b >&2; echo c"], cwd="/", stdout=out, stderr=out)
    shell(shell_line(command))
    assert Path(out).read_text() == "a\nb\nc\n"
