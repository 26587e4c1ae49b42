"""`cwlbalsam site`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cwlbalsam.cli.main import cli
from cwlbalsam.errors import UserError
from cwlbalsam.sites.sitefile import read_sites
from tests.cluster import Cluster


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CWLBALSAM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def call(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(cli, ["site", *map(str, arguments)])
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_local_is_there_without_any_file() -> None:
    assert [row.split()[0] for row in call("ls").stdout.splitlines()] == ["NAME", "local"]
    shown = json.loads(call("show", "local", "--json").stdout)
    assert shown["site"]["scheduler"]["kind"] == "local"
    assert shown["site"]["nodes"]["cores"] > 0
    assert "local  (found)" in call("show", "local").stdout


def test_sites_of_the_home_and_of_further_files_are_listed(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (home / "sites.yml").write_text("a: {host: h, scheduler: lsf}\n")
    (tmp_path / "more.yml").write_text("b: {work: /w}\n")
    listed = json.loads(call("ls", "--json", "--sites", tmp_path / "more.yml").stdout)
    assert [(site["name"], site["host"], site["work"]) for site in listed] == [
        ("local", "", ""),
        ("a", "h", ""),
        ("b", "", "/w"),
    ]


def test_an_unknown_site_and_one_that_does_not_answer_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no site 'locla'\s+did you mean 'local'"):
        call("show", "locla")
    (tmp_path / "s.yml").write_text("far: {host: nobody@127.0.0.1.invalid}\n")
    with pytest.raises(UserError, match=r"nobody@127\.0\.0\.1\.invalid does not answer"):
        call("show", "far", "--sites", tmp_path / "s.yml")


def test_init_describes_this_machine_and_keeps_what_is_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", "/dev/null")
    printed = call("init", "here", "--output", "-").stdout
    assert list(read_sites(printed, "x")) == ["here"]
    assert not home.exists()
    call("init", "here")
    call("init", "again")
    with pytest.raises(UserError, match="has a site 'here'"):
        call("init", "here")
    assert list(read_sites((home / "sites.yml").read_text(), "x")) == ["here", "again"]


def test_the_schema_is_printed() -> None:
    assert json.loads(call("schema").stdout)["title"] == "Sites of cwlbalsam"


@pytest.mark.slurm
def test_a_slurm_machine_is_described_in_a_few_lines_and_shown(
    home: Path, slurm_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", slurm_cluster.environment["SLURM_CONF"])
    call("init", "cluster")
    lines = (home / "sites.yml").read_text().splitlines()
    assert "queues batch (default, 24 h), short (5 min, 2 nodes), urgent (1 h)" in lines[2]
    assert len(lines) <= 10
    shown = call("show", "cluster").stdout
    assert "mpi           srun  (found)" in shown
    assert "4 nodes are free" in shown
    assert "batch *  open" in shown
