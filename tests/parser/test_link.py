import json
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cwl.records import ToolProcess, WorkflowProcess
from cwlbalsam.errors import DocumentError
from cwlbalsam.parser.compile import compile_document
from tests.parser.documents import called, compile_text, expression_tool, main_of, step, steps_of, tool, workflow


def write(folder: Path, **documents: dict[str, Any]) -> None:
    for name, document in documents.items():
        (folder / f"{name}.cwl").write_text(json.dumps(document))


def test_steps_that_require_the_same_share_one_process(tmp_path: Path) -> None:
    write(tmp_path, echo=tool())
    more = {"ResourceRequirement": {"coresMin": 2}}
    steps = {f"s{index}": step("echo.cwl") for index in range(20)} | {"big": step("echo.cwl", requirements=more)}
    program = compile_text(tmp_path, workflow(steps)).program
    assert len(program.processes) == 3
    small, big = called(program, "s0"), called(program, "big")
    assert called(program, "s19") is small
    assert (small.requirements.resources.cores_min, big.requirements.resources.cores_min) == (None, 2)
    assert isinstance(small, ToolProcess) and isinstance(big, ToolProcess)
    assert small.digest == big.digest, "what is run is the same"


def test_programs_that_differ_in_a_requirement_have_different_digests(tmp_path: Path) -> None:
    def digest(value: str) -> str:
        variable = {"EnvVarRequirement": {"envDef": {"A": value}}}
        return compile_text(tmp_path, tool(requirements=variable)).program.digest

    assert digest("1") == digest("1") != digest("2")


def test_a_workflows_digest_says_what_its_steps_run(tmp_path: Path) -> None:
    def digest(base: str) -> str:
        found = main_of(compile_text(tmp_path, workflow({"s": step(tool(baseCommand=base))})).program)
        assert isinstance(found, WorkflowProcess)
        return found.digest

    assert digest("echo") == digest("echo") != digest("cat")


@pytest.mark.parametrize("depth", [1, 2])
def test_a_workflow_that_runs_itself_is_refused(tmp_path: Path, depth: int) -> None:
    write(tmp_path, other=workflow({"back": step("main.cwl", out=[])}))
    target = "#main" if depth == 1 else "other.cwl"
    document = {"cwlVersion": "v1.2", "$graph": [workflow({"again": step(target, out=[])}, id="main")]}
    with pytest.raises(DocumentError, match="runs itself"):
        compile_text(tmp_path, document)


def test_a_mistake_in_a_tool_is_told_once_however_many_workflows_call_it(tmp_path: Path) -> None:
    write(tmp_path, bad=tool(requirements={"InitialWorkDirRequirement": {"listing": ["plain"]}}))
    sub = workflow({"inner": step("bad.cwl", out=[])})
    with pytest.raises(DocumentError) as caught:
        compile_text(tmp_path, workflow({"a": step(sub, out=[]), "b": step(sub, out=[]), "c": step("bad.cwl")}))
    (problem,) = caught.value.problems
    assert "value 'plain' does not contain an expression" in problem.message
    assert problem.place.startswith(str(tmp_path / "bad.cwl:1:"))


def test_a_graph_is_entered_by_name_or_at_main(tmp_path: Path) -> None:
    one, main = tool(id="one"), workflow({"s": step("#one")}, id="main")
    for document in (one, main):
        del document["cwlVersion"]
    compiled = compile_text(tmp_path, {"cwlVersion": "v1.2", "$graph": [one, main]})
    assert main_of(compiled.program).id == "main"
    assert called(compiled.program, "s").id == "one"
    path = str(tmp_path / "main.cwl")
    assert main_of(compile_document(f"{path}#one").program).id == "one"
    with pytest.raises(DocumentError, match=r"there is no process '#two'\n    it holds #main, #one"):
        compile_document(f"{path}#two")


def test_every_process_keeps_the_version_of_its_own_file(tmp_path: Path) -> None:
    write(tmp_path, old=tool(cwlVersion="v1.0"), new=tool())
    program = compile_text(tmp_path, workflow({"old": step("old.cwl"), "new": step("new.cwl")})).program
    old, new = called(program, "old"), called(program, "new")
    assert (old.version, old.requirements.network, old.requirements.load_listing) == ("v1.0", True, "deep_listing")
    assert (new.version, new.requirements.network, new.requirements.load_listing) == ("v1.2", False, "no_listing")


def test_a_file_may_have_a_hash_and_a_space_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a #1.cwl"
    path.write_text(json.dumps(workflow({"s": step(tool())})))
    assert list(steps_of(compile_document(str(path)).program)) == ["s"]


def test_links_say_how_their_sources_are_joined(tmp_path: Path) -> None:
    several = {"source": ["x", "x"], "pickValue": "first_non_null", "default": 3}
    inputs = {"several": several, "one": {"source": ["x"]}, "flat": {"source": "x", "linkMerge": "merge_flattened"}}
    document = workflow({"s": step(expression_tool(), **{"in": inputs | {"none": {"default": [1]}}})})
    links = {link.name: link for link in steps_of(compile_text(tmp_path, document).program)["s"].inputs}
    assert [links[name].link_merge for name in ("several", "one", "flat")] == ["merge_nested", None, "merge_flattened"]
    assert (links["several"].pick_value, links["several"].default) == ("first_non_null", 3)
    assert (links["none"].sources, links["none"].default) == ((), [1])


def test_both_spellings_of_a_loop_compile_to_the_same(tmp_path: Path) -> None:
    counter = expression_tool(cwlVersion="v1.2")
    old = {"loopWhen": "$(inputs.x < 3)", "loop": {"x": {"loopSource": "out"}}, "outputMethod": "all"}
    namespaces = {"cwltool": "http://commonwl.org/cwltool#"}
    first = workflow({"s": step(counter, requirements={"cwltool:Loop": old})}, **{"$namespaces": namespaces})
    looping = {"when": "$(inputs.x < 3)", "loop": {"x": "out"}, "outputMethod": "all_iterations"}
    second = workflow({"s": step(counter, **looping)}, cwlVersion="v1.3.0-dev1")
    loops = []
    for document in (first, second):
        found = steps_of(compile_text(tmp_path, document, enable_dev=True).program)["s"]
        assert found.loop is not None and found.when is not None
        (link,) = found.loop.links
        loops.append((link.name, link.sources, found.loop.output_method, getattr(found.when, "text", "")))
    assert loops[0] == loops[1]
    looping["loop"] = {"y": "out"}
    with pytest.raises(DocumentError, match="loops over 'y', which is no input of the step"):
        compile_text(tmp_path, workflow({"s": step(counter, **looping)}, cwlVersion="v1.3.0-dev1"), enable_dev=True)


@pytest.mark.parametrize("place", ["hint of a step", "requirement of a workflow"])
def test_cwltools_loop_is_refused_where_it_could_not_loop(tmp_path: Path, place: str) -> None:
    loop = {"http://commonwl.org/cwltool#Loop": {"loopWhen": "$(true)", "loop": {}, "outputMethod": "last"}}
    if place == "hint of a step":
        document = workflow({"s": step(tool(), hints=loop)})
    else:
        document = {**workflow({"s": step(tool())}), "requirements": loop}
    with pytest.raises(DocumentError, match="only be a requirement of a step"):
        compile_text(tmp_path, document)


@pytest.mark.parametrize("key", ["steps", "inputs", "outputs", "in"])
def test_a_name_that_is_there_twice_is_told_with_both_places(tmp_path: Path, key: str) -> None:
    one: dict[str, Any] = {"id": "s", **step(tool())}
    document = {**workflow({}), "steps": [one]}
    double: dict[str, Any] = {
        "steps": one,
        "inputs": {"id": "x", "type": "Any"},
        "outputs": {"id": "o", "type": "Any?"},
        "in": {"id": "x"},
    }
    (one if key == "in" else document)[key] = [double[key], double[key]]
    name = double[key]["id"]
    with pytest.raises(
        DocumentError, match=rf"main.cwl:\d+:\d+: '{name}' is there twice under '{key}'\n    first at /.*"
    ):
        compile_text(tmp_path, document)
