"""Which site each step goes to."""

import json
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cwl.records import Program, Requirements, Step, ToolProcess, WorkflowProcess
from cwlbalsam.errors import UserError
from cwlbalsam.service.home import Home
from cwlbalsam.service.options import RunOptions
from cwlbalsam.service.run_sites import sites_of


def tool(site: str = "") -> ToolProcess:
    return ToolProcess(id="tool", version="v1.2", inputs=(), outputs=(), requirements=Requirements(site=site))


def workflow(**steps: int) -> WorkflowProcess:
    made = tuple(Step(name=name, run=run, inputs=(), outputs=(), version="v1.2") for name, run in steps.items())
    return WorkflowProcess(id="flow", version="v1.2", inputs=(), outputs=(), links=(), steps=made)


PROGRAM = Program(
    uri="test", main=0, processes=(workflow(align=1, sort=2, inner=3), tool(), tool("b"), workflow(align=1, count=1))
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    sites: dict[str, Any] = {"a": {"host": "a"}, "b": {"host": "b"}, "c": {"steps": ["inner/c*", "align"]}}
    (tmp_path / "sites.yml").write_text(json.dumps(sites))
    return Home(tmp_path)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (RunOptions(), "c b - c"),
        (RunOptions(site="a"), "a a a a"),
        (RunOptions(site="local"), "- - - -"),
        (RunOptions(step_sites=("inner=a",)), "c b a a"),
        (RunOptions(step_sites=("*=b", "inner/count=a")), "b b b a"),
        (RunOptions(site="b", step_sites=("align=local",)), "- b b b"),
    ],
)
def test_the_command_line_counts_before_hints_and_these_before_site_files(
    home: Home, options: RunOptions, expected: str
) -> None:
    found = sites_of(options, home, PROGRAM)
    assert " ".join(site or "-" for site in found.by_step.values()) == expected
    assert list(found.by_step) == ["align", "sort", "inner/align", "inner/count"]
    assert set(found.sites) == set(expected.split()) - {"-"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (RunOptions(step_sites=("sotr=a",)), "did you mean 'sort'"),
        (RunOptions(step_sites=("sort=d",)), "there is no site 'd'"),
        (RunOptions(site="d"), "there is no site 'd'"),
    ],
)
def test_what_is_not_known_is_told(home: Home, options: RunOptions, told: str) -> None:
    with pytest.raises(UserError) as caught:
        sites_of(options, home, PROGRAM)
    assert told in str(caught.value)


def test_without_sites_no_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "sites.yml").write_text("{ not yaml")
    plain = Program(uri="test", main=0, processes=(tool(),))
    assert sites_of(RunOptions(), Home(tmp_path), plain).by_step == {"tool": ""}
