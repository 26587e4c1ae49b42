"""Files between jobs that vanish from the disk while a run is under way."""

import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.errors import UserError
from cwlbalsam.service.home import find_home
from cwlbalsam.service.run import resume_run
from cwlbalsam.store import open_store
from tests.end_to_end.workplace import Workplace

SCRIPTS = {
    "make": 'echo "$2" >>"$1/told"; echo "made $2"',
    # what it was given leads to the files themselves
    "steal": 'echo steal >>"$1/told"; test ! -e "$1/lock" && shift 2 && rm -f $(readlink -f "$@"); echo stolen',
    "read": 'echo read >>"$1/told"; shift 2; cat "$@" | sort',  # says nothing of a file that is not there
}


def tool(name: str) -> dict[str, Any]:
    return {
        "class": "CommandLineTool",
        "cwlVersion": "v1.2",
        "baseCommand": ["bash", "-c", SCRIPTS[name], name],
        "requirements": {"ResourceRequirement": {"coresMin": 0.5, "ramMin": 16}},
        "inputs": {
            "place": {"type": "string", "inputBinding": {"position": 1}},
            "word": {"type": "string", "default": "x", "inputBinding": {"position": 2}},
            "files": {"type": "File[]?", "inputBinding": {"position": 3}},
            "after": "File?",
        },
        "stdout": "out.txt",
        "outputs": {"out": "stdout"},
    }


def workflow(*after_making: str) -> dict[str, Any]:
    """Three files are made; then come steps in a row, each of which gets all of them."""
    words = {"default": ["a", "b", "c"]}
    steps: dict[str, Any] = {
        "make": {"run": tool("make"), "scatter": "word", "in": {"place": "place", "word": words}, "out": ["out"]}
    }
    before = ""
    for name in after_making:
        links: dict[str, Any] = {"place": "place", "files": "make/out"}
        if before:
            links["after"] = f"{before}/out"
        steps[name] = {"run": tool(name.rstrip("0123456789")), "in": links, "out": ["out"]}
        before = name
    return {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "requirements": {"ScatterFeatureRequirement": {}},
        "inputs": {"place": "string"},
        "steps": steps,
        "outputs": {
            "last": {"type": "File", "outputSource": f"{before}/out"},
            "made": {"type": "File[]", "outputSource": "make/out"},
        },
    }


def told(place: Workplace) -> Counter[str]:
    return Counter((place.folder / "told").read_text().split())


def write(place: Workplace, document: dict[str, Any]) -> Path:
    return place.write("lost.cwl", json.dumps(document))


def test_a_run_makes_again_what_is_gone_and_runs_nothing_else_again(place: Workplace) -> None:
    document = write(place, workflow("read1", "steal", "read2"))
    outputs = place.outputs(document, {"place": str(place.folder)})
    assert Path(outputs["last"]["path"]).read_text() == "made a\nmade b\nmade c\n"
    assert [Path(file["path"]).read_text() for file in outputs["made"]] == ["made a\n", "made b\n", "made c\n"]
    assert told(place) == {"a": 2, "b": 2, "c": 2, "read": 2, "steal": 1}


def test_a_run_whose_files_vanish_twice_says_which_and_can_be_resumed(place: Workplace) -> None:
    document = write(place, workflow("steal1", "read1", "steal2", "read2"))
    result = place.run(document, {"place": str(place.folder)})
    assert result.exit_code == 1
    (failure,) = result.failures
    assert failure.name == "read2"
    assert "/out.txt is gone: job 'make[0]' has made it twice" in failure.error
    assert "cwlbalsam resume" in failure.error
    (place.folder / "lock").touch()
    resumed = resume_run(result.run, find_home(), {})
    assert (resumed.exit_code, resumed.failures) == (0, [])
    assert resumed.outputs is not None
    assert Path(resumed.outputs["last"]["path"]).read_text() == "made a\nmade b\nmade c\n"


def test_a_users_file_that_vanishes_is_named(place: Workplace) -> None:
    mine = place.write("mine.txt", "mine\n")
    document = workflow("steal", "read")
    document["inputs"]["files"] = "File[]"
    for name in ("steal", "read"):
        document["steps"][name]["in"]["files"] = "files"
    files = [{"class": "File", "path": str(mine)}]
    result = place.run(write(place, document), {"place": str(place.folder), "files": files})
    assert result.exit_code == 1
    assert [failure.error for failure in result.failures] == [
        f"input {mine} is not there any more, or cannot be reached"
    ]


def test_the_store_tells_what_has_happened(place: Workplace) -> None:
    document = write(place, workflow("steal", "read"))
    result = place.run(document, {"place": str(place.folder)}, keep=True)
    with closing(open_store(find_home().path)) as store:
        attempts = {job.name: job.attempt for job in store.jobs(result.run) if job.kind == "job"}
        number = store.job(result.run, "read").id
        messages = [entry.message for entry in store.events(result.run) if entry.job == number and entry.message]
    assert attempts == {"make[0]": 2, "make[1]": 2, "make[2]": 2, "steal": 1, "read": 2}
    assert len(messages) == 1
    assert "is not there any more" in messages[0]


def test_a_final_output_that_is_gone_at_the_end_is_made_again_when_the_run_is_resumed(place: Workplace) -> None:
    document = write(place, workflow("steal"))
    with pytest.raises(UserError, match=r"is gone\n.*cwlbalsam resume"):
        place.run(document, {"place": str(place.folder)})
    (place.folder / "lock").touch()
    with closing(open_store(find_home().path)) as store:
        (run,) = store.runs()
    resumed = resume_run(run.id, find_home(), {})
    assert resumed.outputs is not None
    assert [Path(file["path"]).read_text() for file in resumed.outputs["made"]] == ["made a\n", "made b\n", "made c\n"]
