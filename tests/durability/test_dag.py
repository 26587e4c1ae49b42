"""Scripts around the jobs of a document, and changes of its DAG from elsewhere; killed, and resumed."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from cwlbalsam import dag
from cwlbalsam.errors import UserError
from cwlbalsam.jobs.model import State
from tests.cluster import wait_until
from tests.durability.place import Place, descendants, kill

WORKFLOW = """
cwlVersion: v1.2
class: Workflow
$namespaces: {cwlbalsam: "https://cwlbalsam.org/cwl#"}
requirements: {ScatterFeatureRequirement: {}}
inputs: {numbers: {type: "int[]", default: [0, 1, 2]}}
steps:
  first:
    run:
      class: CommandLineTool
      inputs: {number: {type: int, inputBinding: {}}}
      baseCommand: [cat, before.txt]
      arguments: []
      stdout: first.txt
      successCodes: [0, 1]
      outputs: {out: stdout}
    hints: {cwlbalsam:Scripts: {preprocess: ./before.py, postprocess: ./after.py}}
    scatter: number
    in: {number: numbers}
    out: [out]
  second:
    run:
      class: CommandLineTool
      inputs: {files: {type: "File[]", inputBinding: {}}}
      baseCommand: cat
      stdout: all.txt
      outputs: {out: stdout}
    in: {files: first/out}
    out: [out]
outputs: {all: {type: File, outputSource: second/out}}
"""
BEFORE = "open('before.txt', 'w').write('prepared\\n')"
AFTER = """
me = dag.current_job
number = me.name.partition("[")[2].rstrip("]")
text = open("first.txt").read()
assert text == "prepared\\n", text
assert [child.name for child in me.children()] == ["second"], me.children()
assert me.outputs["out"]["basename"] == "first.txt"
slow = dag.spawn(["sh", "-c", f"echo {number} >> PLACE/began; sleep 1"], name=f"slow{number}", stdout="/dev/null")
dag.add(["sh", "-c", f"echo {number} >> PLACE/added"], after=[slow], before=me.children(), stdout="/dev/null")
"""


def write(place: Place, after: str = AFTER) -> Path:
    for name, body in (("before.py", BEFORE), ("after.py", after)):
        path = place.folder / name
        path.write_text(f"#!{sys.executable}\nfrom cwlbalsam import dag\n{body.replace('PLACE', str(place.folder))}\n")
        path.chmod(0o755)
    path = place.folder / "workflow.cwl"
    path.write_text(WORKFLOW)
    return path


def lines(place: Place, name: str) -> list[str]:
    path = place.folder / name
    return sorted(path.read_text().split()) if path.exists() else []


def test_scripts_see_their_job_and_add_to_the_dag(place: Place) -> None:
    place.call("run", "--quiet", "--outdir", place.out, write(place))
    jobs = {job[0]: job[2] for job in place.jobs(place.run_id()).values() if job[1] == "job"}
    assert len(jobs) == 10
    assert set(jobs.values()) == {State.JOB_FINISHED}
    assert lines(place, "added") == ["0", "1", "2"]
    assert (place.out / "all.txt").read_text() == "prepared\n" * 3
    states = [row[0] for row in place.rows("SELECT state FROM events WHERE job = ? ORDER BY seq", first_id(place))]
    ladder = "STAGED_IN PREPROCESSED RUNNING RUN_DONE POSTPROCESSED STAGED_OUT JOB_FINISHED"
    assert [State(state).name for state in states] == ladder.split()


def first_id(place: Place) -> int:
    return place.named(place.run_id())["first[0]"]


@pytest.mark.parametrize("victim", ["coordinator", "all"])
def test_a_killed_run_is_resumed_with_the_jobs_that_its_scripts_had_added(place: Place, victim: str) -> None:
    process = place.begin("run", "--quiet", "--outdir", place.out, write(place))
    wait_until(lambda: len(lines(place, "began")) >= 1)
    kill(process.pid, *(descendants(process.pid) if victim == "all" else []))
    process.communicate()
    run = place.run_id()
    finished = {number for number, job in place.jobs(run).items() if job[2] is State.JOB_FINISHED and job[1] == "job"}
    place.call("resume", "--quiet", run)
    jobs = place.jobs(run)
    assert Counter(job[2] for job in jobs.values() if job[1] == "job") == {State.JOB_FINISHED: 10}
    assert lines(place, "added") == ["0", "1", "2"]
    assert all(jobs[number][3] <= 1 for number in finished)
    assert (place.out / "all.txt").read_text() == "prepared\n" * 3


def test_a_run_under_way_takes_jobs_from_elsewhere_and_refuses_what_cannot_be(place: Place) -> None:
    process = place.begin("run", "--quiet", "--outdir", place.out, write(place, AFTER.replace("sleep 1", "sleep 3")))
    wait_until(lambda: len(lines(place, "began")) == 3)
    run = place.run_id()
    with dag.open(run, place.home) as opened:
        second = opened.job("second")
        added = opened.add(
            ["touch", str(place.folder / "outside")], before=[second], name="outside", stdout="/dev/null"
        )
        assert added.state is State.CREATED
    with dag.open(run, place.home) as opened:
        assert [job.name for job in opened.jobs(name="outs*")] == ["outside"]
        assert "outside" in {job.name for job in opened.job("second").parents()}
    with pytest.raises(UserError, match="wait for each other"), dag.open(run, place.home) as opened:
        second = opened.job("second")
        opened.add(["true"], name="never", after=[second], before=[second])
    with pytest.raises(ValueError, match="changed my mind"), dag.open(run, place.home) as opened:
        opened.add(["true"], name="never")
        raise ValueError("changed my mind")
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert (place.folder / "outside").exists()
    assert "never" not in place.named(run)
    with pytest.raises(UserError, match="not under way"):
        dag.open(run, place.home)


def test_a_job_that_a_script_kills_takes_along_what_waits_for_it(place: Place) -> None:
    after = "if dag.current_job.name == 'first[0]':\n    dag.kill(dag.job('second'))"
    place.call("run", "--quiet", "--outdir", place.out, write(place, after), code=1)
    states = {job[0]: job[2] for job in place.jobs(place.run_id()).values() if job[1] == "job"}
    assert states["second"] is State.USER_KILLED
    assert all(state is State.JOB_FINISHED for name, state in states.items() if name.startswith("first["))
