from pathlib import Path

import pytest

from cwlbalsam.errors import UserError
from cwlbalsam.service.overrides import absolute_overrides, read_overrides

REQUIREMENT = {"class": "EnvVarRequirement", "envDef": {"A": "b"}}
BODY = {"requirements": {"EnvVarRequirement": {"envDef": {"A": "b"}}}}


def test_targets_are_relative_to_the_document() -> None:
    overrides = absolute_overrides({"#step1": BODY, "other.cwl": BODY}, "file:///a/wf.cwl")
    assert overrides == (
        {"overrideTarget": "file:///a/wf.cwl#step1", "requirements": [REQUIREMENT]},
        {"overrideTarget": "file:///a/other.cwl", "requirements": [REQUIREMENT]},
    )


def test_overrides_are_a_map_or_a_list(tmp_path: Path) -> None:
    listed = tmp_path / "listed.yml"
    listed.write_text("cwltool:overrides: [{overrideTarget: '#x', requirements: [{class: WorkReuse}]}]")
    assert read_overrides(str(listed), "file:///wf.cwl") == (
        {"overrideTarget": "file:///wf.cwl#x", "requirements": [{"class": "WorkReuse"}]},
    )


@pytest.mark.parametrize("text", ["a: 1", "[]", "cwltool:overrides: [1]", "cwltool:overrides: {x: {requirements: 3}}"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "o.yml").write_text(text)
    with pytest.raises(UserError):
        read_overrides(str(tmp_path / "o.yml"), "file:///wf.cwl")
