import json
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cwl.records import Process
from cwlbalsam.errors import UserError
from cwlbalsam.parser.compile import compile_document
from cwlbalsam.parser.options import CompileOptions
from tests.parser.documents import ALL_FEATURES, called, compile_text, main_of, step, tool, workflow


def cores(number: int) -> dict[str, Any]:
    return {"ResourceRequirement": {"coresMin": number}}


@pytest.mark.parametrize(
    ("own", "of_step", "of_workflow", "expected"),
    [
        (cores(1), cores(2), cores(3), 1),
        ({}, cores(2), cores(3), 2),
        ({}, {}, cores(3), 3),
    ],
)
def test_a_tools_requirement_stands_over_its_steps_and_that_over_the_workflows(
    tmp_path: Path, own: Any, of_step: Any, of_workflow: Any, expected: int
) -> None:
    inner = step(tool(requirements=own), requirements=of_step)
    program = compile_text(tmp_path, workflow({"s": inner}, requirements=ALL_FEATURES | of_workflow)).program
    assert called(program, "s").requirements.resources.cores_min == expected


def test_any_requirement_beats_any_hint(tmp_path: Path) -> None:
    steps = {"s": step(tool(hints=cores(1)), hints=cores(2))}
    program = compile_text(tmp_path, workflow(steps, requirements=ALL_FEATURES | cores(3))).program
    assert called(program, "s").requirements.resources.cores_min == 3
    program = compile_text(tmp_path, workflow(steps, hints=cores(3))).program
    assert called(program, "s").requirements.resources.cores_min == 1


def test_a_container_is_only_wanted_by_a_hint_and_required_by_a_requirement(tmp_path: Path) -> None:
    for key, required in (("hints", False), ("requirements", True)):
        docker = main_of(compile_text(tmp_path, tool(**{key: {"DockerRequirement": {"dockerPull": "a"}}})).program)
        assert docker.requirements.docker is not None
        assert (docker.requirements.docker.pull, docker.requirements.docker.required) == ("a", required)


def test_overrides_stand_over_everything_that_is_said_in_the_document(tmp_path: Path) -> None:
    document = workflow({"s": step(tool(id="t", requirements=cores(1)))})
    path = tmp_path / "main.cwl"
    path.write_text(json.dumps(document))

    def overridden(target: str) -> Process:
        entry = {
            "overrideTarget": f"{path.as_uri()}{target}",
            "requirements": [{"class": "ResourceRequirement", "coresMin": 7}],
        }
        return called(compile_document(str(path), CompileOptions(overrides=[entry])).program, "s")

    known = [
        target for target in ("#t", "#s/t", "#s/run/t") if overridden(target).requirements.resources.cores_min == 7
    ]
    assert known, "the tool can be named"
    assert overridden("#s").requirements.resources.cores_min == 1, "a step's requirement gives way to its tool's"


def test_the_job_orders_requirements_are_for_the_main_process_of_a_newer_document(tmp_path: Path) -> None:
    extra = [{"class": "ResourceRequirement", "coresMin": 5}]
    program = compile_text(tmp_path, tool(), requirements=extra).program
    assert main_of(program).requirements.resources.cores_min == 5
    with pytest.raises(UserError, match=r"not part of CWL v1.0\n    use `cwltool:overrides`"):
        compile_text(tmp_path, tool(cwlVersion="v1.0"), requirements=extra)


def test_other_runners_spellings_mean_the_same(tmp_path: Path) -> None:
    namespaces = {"cwltool": "http://commonwl.org/cwltool#"}
    old = tool(cwlVersion="v1.0", hints={"cwltool:TimeLimit": {"timelimit": 3}}, **{"$namespaces": namespaces})
    new = tool(requirements={"ToolTimeLimit": {"timelimit": 3}})
    for document in (old, new):
        assert main_of(compile_text(tmp_path, document).program).requirements.time_limit == 3


OURS = {"cwlbalsam": "https://cwlbalsam.org/cwl#"}


def test_scripts_around_a_job_are_words_and_begin_at_the_document(tmp_path: Path) -> None:
    scripts = {"preprocess": "sh -c 'echo a b'", "postprocess": ["./after.py", "x y"]}
    document = tool(hints={"cwlbalsam:Scripts": scripts}) | {"$namespaces": OURS}
    found = main_of(compile_text(tmp_path, document).program).requirements.scripts
    assert found is not None
    assert found.preprocess == ("sh", "-c", "echo a b")
    assert found.postprocess == (str(tmp_path / "after.py"), "x y")


def test_a_batch_hint_of_a_step_stands_over_the_workflows(tmp_path: Path) -> None:
    inner = step(tool(), hints={"cwlbalsam:Batch": {"queue": "big", "wallTime": 60, "exclusive": True, "priority": 2}})
    outer = {"cwlbalsam:Batch": {"queue": "small", "account": "physics"}}
    document = workflow({"s": inner, "t": step(tool())}, hints=outer) | {"$namespaces": OURS}
    program = compile_text(tmp_path, document).program
    first, second = called(program, "s").requirements.batch, called(program, "t").requirements.batch
    assert first is not None
    assert second is not None
    assert (first.queue, first.account, first.wall_seconds, first.exclusive, first.priority) == ("big", "", 60, True, 2)
    assert (second.queue, second.account, second.wall_seconds, second.exclusive) == ("small", "physics", 0, False)


def test_mistakes_in_our_own_hints_are_told_with_their_place(tmp_path: Path) -> None:
    for hint in ({"cwlbalsam:Scripts": {"preprocess": "a 'b"}}, {"cwlbalsam:Batch": {"wallTime": "soon"}}):
        with pytest.raises(UserError, match=r"main\.cwl:\d+"):
            compile_text(tmp_path, tool(hints=hint) | {"$namespaces": OURS})
