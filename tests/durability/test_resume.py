"""What `cwlbalsam resume` does again, and what it leaves as it is."""

import hashlib
import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cwlbalsam.jobs.model import State
from tests.durability.place import Place

SCRIPT = """
echo "$1" >>"$2/told"
case $1 in
  fragile) test -e "$2/mended" || exit 7 ;;
  slow) for _ in $(seq 200); do test -e "$2/go" && break; sleep 0.02; done ;;
esac
cat "$3" 2>/dev/null
echo "$1"
"""


def chain(*names: str) -> dict[str, Any]:
    """A workflow of commands in a row; each tells its name in PLACE/told."""
    tool = {
        "class": "CommandLineTool",
        "baseCommand": ["bash", "-c", SCRIPT, "step"],
        "requirements": {"ResourceRequirement": {"coresMin": 0.5, "ramMin": 16}},
        "inputs": {
            "name": {"type": "string", "inputBinding": {"position": 1}},
            "place": {"type": "string", "inputBinding": {"position": 2}},
            "before": {"type": "File?", "inputBinding": {"position": 3}},
        },
        "stdout": "out.txt",
        "outputs": {"out": "stdout"},
    }
    steps = {}
    before = ""
    for name in names:
        link: dict[str, Any] = {"source": f"{before}/out"} if before else {}
        steps[name] = {
            "run": tool,
            "in": {"name": {"default": name}, "place": "place", "before": link},
            "out": ["out"],
        }
        before = name
    return {
        "cwlVersion": "v1.2",
        "class": "Workflow",
        "inputs": {"place": "string"},
        "steps": steps,
        "outputs": {"out": {"type": "File", "outputSource": f"{before}/out"}},
    }


def write(place: Place, document: Any, indent: int | None = None, name: str = "chain.cwl") -> Path:
    path = place.folder / name
    path.write_text(json.dumps(document, indent=indent))
    return path


def told(place: Place) -> list[str]:
    try:
        return (place.folder / "told").read_text().split()
    except FileNotFoundError:
        return []


def begin(place: Place, document: Path, *options: str) -> subprocess.Popen[str]:
    return place.begin("run", *options, "--outdir", place.out, document, "--place", place.folder)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def interrupted(place: Place) -> str:
    """A run of one, slow, fragile, three, that failed at `fragile`; its id."""
    (place.folder / "go").touch()
    begun = begin(place, write(place, chain("one", "slow", "fragile", "three")))
    begun.communicate(timeout=60)
    assert begun.returncode == 1
    assert told(place) == ["one", "slow", "fragile"]
    (place.folder / "told").unlink()
    return place.run_id()


def test_a_failed_run_goes_on_once_its_tool_is_mended(place: Place) -> None:
    run = interrupted(place)
    (place.folder / "mended").touch()
    outputs = json.loads(place.call("resume", run))
    assert told(place) == ["fragile", "three"]
    assert Path(outputs["out"]["path"]).read_text().split() == ["one", "slow", "fragile", "three"]
    place.check_store(run)
    assert json.loads(place.call("resume", run)) == outputs
    assert told(place) == ["fragile", "three"]


def test_labels_and_moved_lines_make_nothing_run_again(place: Place) -> None:
    run = interrupted(place)
    edited = chain("one", "slow", "fragile", "three")
    edited["doc"] = "A chain"
    for step in edited["steps"].values():
        step["label"] = "a step"
        step["run"] = {"label": "a tool", "doc": "It tells.", **step["run"]}
    (place.folder / "mended").touch()
    place.call("resume", run, "--document", write(place, edited, indent=4))
    assert told(place) == ["fragile", "three"]


def test_a_changed_input_file_makes_jobs_run_again_once(place: Place) -> None:
    document = chain("one", "slow", "fragile", "three")
    document["inputs"]["data"] = "File"
    document["steps"]["one"]["in"]["before"] = "data"
    data = place.folder / "data"
    data.write_text("old")
    begun = place.begin("run", "--outdir", place.out, write(place, document), "--place", place.folder, "--data", data)
    wait_for(lambda: told(place) == ["one", "slow"])
    begun.kill()
    begun.communicate()
    time.sleep(0.02)
    data.write_text("new\n")
    (place.folder / "go").touch()
    place.call("resume", place.run_id(), code=1)
    assert told(place) == ["one", "slow", "one", "slow", "fragile"]
    (place.folder / "mended").touch()
    outputs = json.loads(place.call("resume", place.run_id()))
    assert told(place)[5:] == ["fragile", "three"]
    assert Path(outputs["out"]["path"]).read_text().split() == ["new", "one", "slow", "fragile", "three"]


def test_only_an_edited_step_and_what_reads_it_run_again(place: Place) -> None:
    run = interrupted(place)
    edited = chain("one", "slow", "fragile", "three")
    edited["steps"]["slow"]["in"]["name"]["default"] = "slower"
    edited["steps"]["alone"] = chain("alone")["steps"]["alone"]
    (place.folder / "mended").touch()
    outputs = json.loads(place.call("resume", run, "--document", write(place, edited, name="edited.cwl")))
    assert sorted(told(place)) == ["alone", "fragile", "slower", "three"]
    assert Path(outputs["out"]["path"]).read_text().split() == ["one", "slower", "fragile", "three"]
    place.check_store(run)
    assert place.rows("SELECT document FROM runs") == [(str(place.folder / "edited.cwl"),)]


def test_steps_that_an_edit_removes_are_ended_in_the_store(place: Place) -> None:
    begun = begin(place, write(place, chain("one", "slow", "three")))
    wait_for(lambda: told(place) == ["one", "slow"])
    begun.kill()
    begun.communicate()
    run = place.run_id()
    (place.folder / "go").touch()
    place.call("resume", run, "--document", write(place, chain("one", "slow")))
    assert told(place) == ["one", "slow", "slow"]
    place.check_store(run)
    states = {job[0]: job[2] for job in place.jobs(run).values()}
    assert states["three"] is State.USER_KILLED


def test_a_step_whose_new_parent_fails_does_not_stay_finished(place: Place) -> None:
    run = interrupted(place)
    place.call("resume", run, "--document", write(place, chain("fragile", "one", "slow")), code=1)
    states = {job[0]: job[2] for job in place.jobs(run).values()}
    assert (states["one"], states["slow"]) == (State.PARENT_KILLED, State.PARENT_KILLED)
    (place.folder / "mended").touch()
    place.call("resume", run)
    assert told(place) == ["fragile", "fragile", "one", "slow"]
    place.check_store(run)


def test_a_run_that_lives_is_not_resumed(place: Place) -> None:
    begun = begin(place, write(place, chain("one", "slow", "three")))
    wait_for(lambda: told(place) == ["one", "slow"])
    began = time.monotonic()
    place.call("resume", place.run_id(), code=1)
    assert f"is under way: process {begun.pid} coordinates it" in place.said.read_text()
    assert time.monotonic() - began < 14
    (place.folder / "go").touch()
    begun.communicate(timeout=60)
    assert begun.returncode == 0
    assert told(place) == ["one", "slow", "three"]


def test_one_of_two_resumes_at_a_time_wins(place: Place) -> None:
    begun = begin(place, write(place, chain("one", "slow", "three")))
    wait_for(lambda: told(place) == ["one", "slow"])
    begun.kill()
    begun.communicate()
    both = [place.begin("resume", place.run_id()) for _ in range(2)]
    wait_for(lambda: any(process.poll() is not None for process in both), 40)
    (place.folder / "go").touch()
    said = [process.communicate(timeout=60)[0] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    assert json.loads(next(text for text in said if text))["out"]["class"] == "File"
    assert "is under way" in place.said.read_text()
    assert told(place) == ["one", "slow", "slow", "three"]
    place.check_store(place.run_id())


def test_the_first_interrupt_lets_jobs_end_and_the_run_can_be_resumed(place: Place) -> None:
    begun = begin(place, write(place, chain("one", "slow", "three")))
    wait_for(lambda: told(place) == ["one", "slow"])
    begun.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert begun.poll() is None
    (place.folder / "go").touch()
    begun.communicate(timeout=60)
    assert begun.returncode == 130
    place.wait_until_alone(5)
    place.call("resume", place.run_id())
    assert told(place) == ["one", "slow", "three"]
    place.check_store(place.run_id())


def test_a_second_interrupt_and_a_termination_end_what_runs(place: Place) -> None:
    document = write(place, chain("one", "slow", "three"))
    for signals in ([signal.SIGINT, signal.SIGINT], [signal.SIGTERM]):
        (place.folder / "told").unlink(missing_ok=True)
        (place.folder / "go").unlink(missing_ok=True)
        begun = begin(place, document)
        wait_for(lambda: told(place) == ["one", "slow"])
        for number in signals:
            begun.send_signal(number)
            time.sleep(0.2)
        begun.communicate(timeout=20)
        assert begun.returncode == 130
        place.wait_until_alone(5)
        (place.folder / "go").touch()
        place.call("resume", place.run_id())
        assert told(place) == ["one", "slow", "slow", "three"]
        place.check_store(place.run_id())


def test_a_killed_run_is_resumed_as_it_was_asked_to(place: Place) -> None:
    begun = begin(place, write(place, chain("one", "slow", "three")))
    wait_for(lambda: told(place) == ["one", "slow"])
    place.call("kill", place.run_id())
    begun.communicate(timeout=30)
    place.wait_until_alone(5)
    (place.folder / "go").touch()
    place.call("resume", place.run_id())
    assert told(place) == ["one", "slow", "slow", "three"]


def test_a_loop_goes_on_at_the_iteration_that_was_lost(place: Place) -> None:
    tool = {
        "class": "CommandLineTool",
        "requirements": {"InlineJavascriptRequirement": {}, "ResourceRequirement": {"coresMin": 0.5}},
        "baseCommand": ["bash", "-c"],
        "inputs": {"i": "int", "place": "string"},
        "arguments": ["cd $(inputs.place); echo $(inputs.i) >>told; test $(inputs.i) != 3 || test -e go || sleep 20"],
        "outputs": {"i": {"type": "int", "outputBinding": {"outputEval": "$(inputs.i + 1)"}}},
    }
    loop = {"class": "cwltool:Loop", "loopWhen": "$(inputs.i < 5)", "loop": {"i": "i"}, "outputMethod": "all"}
    document = chain("one")
    document |= {
        "$namespaces": {"cwltool": "http://commonwl.org/cwltool#"},
        "requirements": {"InlineJavascriptRequirement": {}},
        "outputs": {"out": {"type": {"type": "array", "items": "int"}, "outputSource": "again/i"}},
    }
    inputs = {"i": {"default": 1}, "place": "place"}
    document["steps"]["again"] = {"run": tool, "in": inputs, "out": ["i"], "requirements": [loop]}
    begun = begin(place, write(place, document), "--enable-dev")
    wait_for(lambda: "3" in told(place))  # "one" may be told at any time
    begun.kill()
    begun.communicate()
    (place.folder / "go").touch()
    assert json.loads(place.call("resume", place.run_id())) == {"out": [2, 3, 4, 5]}
    assert sorted(told(place)) == ["1", "2", "3", "3", "4", "one"]
    place.check_store(place.run_id())


def test_more_cores_let_a_resumed_run_do_what_did_not_fit(place: Place) -> None:
    document = chain("one", "two")
    document["steps"]["two"]["requirements"] = {"ResourceRequirement": {"coresMin": 3}}
    document["requirements"] = {"ResourceRequirement": {"coresMin": 0.5}}
    for step in document["steps"].values():
        step["run"] = {key: value for key, value in step["run"].items() if key != "requirements"}
    begun = begin(place, write(place, document), "--cores", "1")
    begun.communicate(timeout=60)
    assert begun.returncode == 1
    place.call("resume", place.run_id(), "--cores", "4")
    assert told(place) == ["one", "two"]
    place.check_store(place.run_id())


def test_a_failing_command_is_tried_again_in_another_directory(place: Place) -> None:
    script = 'pwd >>"$1/told"; test $(wc -l <"$1/told") -ge 3'
    tool = {
        "cwlVersion": "v1.2",
        "class": "CommandLineTool",
        "baseCommand": ["bash", "-c", script, "tool"],
        "inputs": {"place": {"type": "string", "inputBinding": {}}},
        "outputs": {},
    }
    document = write(place, tool)
    place.call("run", "--retries", "1", document, "--place", place.folder, code=1)
    (place.folder / "told").unlink()
    place.call("run", "--retries", "2", document, "--place", place.folder)
    assert len(set(told(place))) == 3
    query = "SELECT state, attempt FROM events JOIN runs ON runs.key = events.run WHERE id = ? AND job ="
    job = place.named(place.run_id()).popitem()[1]
    moves = [
        (State(state).name, attempt) for state, attempt in place.rows(f"{query} {job} ORDER BY seq", place.run_id())
    ]
    again = [("RUNNING", 1), ("RUN_ERROR", 1), ("RESTART_READY", 1), ("RUNNING", 2), ("RUN_ERROR", 2)]
    assert moves == [*again, ("RESTART_READY", 2), ("RUNNING", 3), ("JOB_FINISHED", 3)]


def test_a_killed_command_gets_more_memory_at_its_next_attempt(place: Place) -> None:
    tool = {
        "cwlVersion": "v1.2",
        "class": "CommandLineTool",
        "requirements": {"ResourceRequirement": {"ramMin": 20}},
        "baseCommand": ["bash", "-c", 'echo "$2" >>"$1/told"; test "$2" -ge 80 || kill -9 $$', "tool"],
        "arguments": [{"valueFrom": "$(runtime.ram)", "position": 2}],
        "inputs": {"place": {"type": "string", "inputBinding": {"position": 1}}},
        "outputs": {},
    }
    given = ("--retries", "3", "--retry-memory-factor", "2")
    place.call("run", *given, write(place, tool), "--place", place.folder)
    assert told(place) == ["20", "40", "80"]


def test_twenty_runs_at_once_share_a_home_that_the_first_of_them_makes(place: Place) -> None:
    (place.folder / "go").touch()
    document = write(place, chain("one", "slow", "three"))
    begun = [place.begin("run", "--outdir", f"out{n}", document, "--place", place.folder) for n in range(20)]
    told_by = [process.communicate(timeout=120)[0] for process in begun]
    assert [process.returncode for process in begun] == [0] * 20, place.said.read_text()[-3000:]
    assert {json.loads(text)["out"]["checksum"] for text in told_by} == {
        "sha1$" + hashlib.sha1(b"one\nslow\nthree\n").hexdigest()
    }
    assert "lock" not in place.said.read_text()
    assert place.rows("SELECT status, count(*) FROM runs GROUP BY status") == [("finished", 20)]
    assert sorted(told(place)) == sorted(["one", "slow", "three"] * 20)
