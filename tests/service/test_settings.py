from pathlib import Path

import pytest

from cwlbalsam.cwl.records import Program
from cwlbalsam.errors import JobError, UnsupportedError
from cwlbalsam.service.options import NO_ENGINE, RunOptions
from cwlbalsam.service.settings import make_settings
from tests.parser.documents import compile_text, tool

NO_CONTAINER = RunOptions(engine=NO_ENGINE)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    indexed = {"reads": {"type": "File", "secondaryFiles": ".fai"}}
    docker = {"DockerRequirement": {"dockerPull": "debian"}}
    return compile_text(tmp_path, tool(inputs=indexed, requirements=docker)).program


def reads(folder: Path) -> dict[str, object]:
    path = folder / "reads"
    path.touch()
    return {"reads": {"class": "File", "location": path.as_uri(), "basename": "reads"}}


def test_a_required_container_is_unsupported_where_there_may_be_none(program: Program, tmp_path: Path) -> None:
    values = reads(tmp_path)
    (tmp_path / "reads.fai").touch()
    with pytest.raises(UnsupportedError, match="requires a container"):
        make_settings(program, NO_CONTAINER, values, "run", tmp_path, program.processes)


def test_wrong_inputs_are_told_before_the_container_that_may_not_be(program: Program, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"reads\.fai.* is missing"):
        make_settings(program, NO_CONTAINER, reads(tmp_path), "run", tmp_path, program.processes)
