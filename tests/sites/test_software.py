"""What a site has: its description, and a real shell that is asked."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.sites.site import Site
from cwlbalsam.sites.software import Found, Package, missing, parse_answer, question, told, unknown

NOTHING = Found(frozenset(), (), ())
MODULE = """#!/bin/sh
case "$1 $2" in
"load gone") echo "ERROR: Unable to locate a modulefile for 'gone'" >&2 ;;
"load broken") exit 1 ;;
"-t avail") printf '/apps/modules:\\nsamtools/1.8\\nsamtools/1.9(default)\\nsamtools/\\n' >&2 ;;
esac
"""


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs, one of which is `module`."""
    for name, text in (("module", MODULE), ("bwa", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def answer(site: Site, *packages: str) -> Found | None:
    done = subprocess.run(question(site, packages), stdout=subprocess.PIPE, text=True, check=False)
    return parse_answer(done.stdout)


@pytest.mark.usefixtures("ask")
def test_a_machine_tells_its_programs_and_its_modules() -> None:
    site = Site(name="s", modules=("bwa", "gone", "broken", "with 'quotes'"), setup=("echo noise", "ulimit -c 0"))
    found = answer(site, "BWA", "sh", "samtools", "-x", "-p", "; echo cwlbalsam-finds program evil")
    assert found is not None
    assert found.programs == {"BWA", "sh"}
    assert "samtools/1.9(default)" in found.modules
    assert "/apps/modules:" not in found.modules
    assert found.lacking == ("gone", "broken")


@pytest.mark.usefixtures("ask")
def test_a_machine_that_says_something_else_has_not_answered() -> None:
    assert answer(Site(name="s", setup=("exit 0",)), "sh") is None


@given(st.text())
def test_whatever_a_machine_prints_is_read(text: str) -> None:
    parse_answer(text)


@pytest.mark.parametrize(
    ("said", "wanted", "lacks"),
    [
        ("samtools", Package("samtools", ("1.9",)), False),
        ("SAMtools/1.9-GCC-12", Package("samtools", ("1.8", "1.9")), False),
        ("samtools=1.90", Package("samtools", ("1.9",)), True),
        ("samtools==1.9.1", Package("samtools", ("1.9",)), True),
        ("samtools=1.9", Package("samtools"), False),
        ("bwa", Package("samtools"), True),
    ],
)
def test_a_description_tells_packages_with_their_versions(said: str, wanted: Package, lacks: bool) -> None:
    for site in (Site(name="s", software=(said,)), Site(name="s", modules=(said,))):
        assert bool([*missing(site, [wanted], NOTHING)]) == lacks


def test_what_is_lacking_comes_with_what_there_is_instead() -> None:
    site = Site(name="s", software=("samtools=1.8",))
    (old,) = missing(site, [Package("samtools", ("1.9",))], NOTHING)
    assert old.has == ("samtools 1.8",)
    (unloaded,) = missing(Site(name="s"), [Package("bwa")], Found(frozenset(), ("bwa/0.7", "bwasm/1"), ()))
    assert unloaded.loadable == ("bwa/0.7",)


def test_only_what_is_not_described_is_asked_for() -> None:
    site = Site(name="s", software=("Samtools",))
    assert unknown(site, [Package("samtools", ("1",)), Package("bwa")]) == [Package("bwa")]
    assert told(site) == [Package("Samtools")]
