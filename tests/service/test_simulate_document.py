from pathlib import Path

import pytest

from cwlbalsam.errors import UserError
from cwlbalsam.service.inputs import split_arguments
from cwlbalsam.service.options import RunOptions
from cwlbalsam.service.simulate_document import (
    DocumentSimulation,
    MachineWish,
    Wishes,
    parse_machine,
    simulate_document,
)

DOCUMENT = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {numbers: "int[]"}
steps:
  each:
    scatter: number
    run: {class: CommandLineTool, inputs: {number: int}, baseCommand: echo, stdout: out, outputs: {told: stdout}}
    in: {number: numbers}
    out: [told]
outputs: {told: {type: "File[]", outputSource: each/told}}
"""
MADE = (MachineWish("made", "", 64),)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "many.cwl"
    path.write_text(DOCUMENT)
    (tmp_path / "many.json").write_text(f'{{"numbers": {list(range(40))}}}')
    return path


def simulate(document: Path, wishes: Wishes) -> DocumentSimulation:
    home = RunOptions(home=str(document.parent / "home"))
    source = split_arguments((str(document.with_suffix(".json")),))
    return simulate_document(str(document), source, home, wishes)


def test_a_document_is_done_by_every_policy_from_the_same_instants_on(document: Path) -> None:
    wishes = Wishes(machines=MADE, instants=2, cores=4)
    found = simulate(document, wishes)
    assert found.tasks == 10
    assert len(found.instants) == 2
    assert [one.policy for one in found.results] == ["cwlbalsam", "a batch job a job", "one large batch job"]
    for one in found.results:
        assert one.median is not None and one.low is not None and one.high is not None
        assert one.low <= one.median <= one.high
        assert 0 <= one.wasted < 1
        assert one.node_hours > 0
    assert simulate(document, wishes) == found
    assert simulate(document, Wishes(machines=MADE, instants=2, cores=4, seed=1)) != found


def test_several_machines_share_the_work_at_a_chosen_instant(document: Path) -> None:
    machines = (*MADE, MachineWish("small", "", 8))
    found = simulate(document, Wishes(machines=machines, at=86_400.0, cores=4))
    assert (found.machines, found.instants) == ({"made": 64, "small": 8}, [86_400.0])
    assert [one.policy for one in found.results][2:] == ["one large batch job at made", "one large batch job at small"]


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("a=log.swf.gz", MachineWish("a", "log.swf.gz")),
        ("a=x:y/log.swf:100", MachineWish("a", "x:y/log.swf", 100)),
        ("b=:512", MachineWish("b", "", 512)),
    ],
)
def test_machines_are_named_with_their_log(text: str, wish: MachineWish) -> None:
    assert parse_machine(text) == wish


@pytest.mark.parametrize("text", ["", "a", "a=", "=log", "a b=log"])
def test_what_describes_no_machine_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="no machine"):
        parse_machine(text)


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", "no job that ran"),
        ("; MaxProcs: 4\n1 0 -1 60 3\n", r"log.swf:2: 5 of 18 numbers"),
        ("1 0 -1 60 3 -1 -1 3 60 -1 1 1 1 -1 -1 -1 -1 -1\n", "does not say how many nodes"),
    ],
)
def test_a_log_that_is_none_is_told_with_its_line(document: Path, log: str, words: str) -> None:
    path = document.parent / "log.swf"
    path.write_text(log)
    with pytest.raises(UserError, match=words):
        simulate(document, Wishes(machines=(MachineWish("a", str(path)),)))


def test_an_instant_after_the_end_is_refused(document: Path) -> None:
    with pytest.raises(UserError, match="has ended after"):
        simulate(document, Wishes(machines=MADE, at=1e9))


def test_a_job_larger_than_a_node_is_refused(document: Path) -> None:
    document.write_text(
        DOCUMENT.replace("inputs: {number: int}", "inputs: {number: int}, hints: {ResourceRequirement: {coresMin: 9}}")
    )
    with pytest.raises(UserError, match=r"simulated, --cores 8.* 9 cores"):
        simulate(document, Wishes(machines=MADE, cores=8))
