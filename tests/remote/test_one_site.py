"""Runs whose jobs are all at a machine behind ssh, and what may befall them."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import wait_until
from tests.durability.place import kill
from tests.remote.place import RemotePlace

pytestmark = pytest.mark.servers
HEAD = "cwlVersion: v1.2\nclass: CommandLineTool\n"
SLOW = """cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {names: 'string[]', log: string}
outputs: {all: {type: 'File[]', outputSource: one/out}}
steps:
  one:
    scatter: name
    in: {name: names, log: log}
    out: [out]
    run:
      class: CommandLineTool
      requirements: {ResourceRequirement: {coresMin: 1}}
      inputs: {name: string, log: string}
      outputs: {out: stdout}
      baseCommand: [sh, -c, 'echo $1 >> $2; sleep 0.7; echo done $1', sh]
      arguments: [$(inputs.name), $(inputs.log)]
      stdout: $(inputs.name)
"""


def write(place: RemotePlace, name: str, text: str) -> Path:
    path = place.folder / name
    path.write_text(text)
    return path


def begin_slow(place: RemotePlace, count: int = 12) -> "subprocess.Popen[str]":
    document = write(place, "slow.cwl", SLOW)
    names = [f"n{number}" for number in range(count)]
    job = write(place, "slow.json", json.dumps({"names": names, "log": str(place.folder / "began")}))
    return place.begin("run", "--site", "far", "--outdir", place.out, document, job)


def began(place: RemotePlace) -> list[str]:
    path = place.folder / "began"
    return path.read_text().split() if path.exists() else []


def finished(place: RemotePlace, process: "subprocess.Popen[str]", timeout: float = 90) -> Any:
    told, _ = process.communicate(timeout=timeout)
    assert process.returncode == 0, place.said.read_text()[-4000:]
    return json.loads(told)


def test_a_lost_connection_is_made_again_and_ends_nothing(place: RemotePlace) -> None:
    process = begin_slow(place)
    wait_until(lambda: len(began(place)) >= 3)
    host = place.hosts["far"]
    host.sshd.kill()
    time.sleep(2)
    host.sshd.start()
    outputs = finished(place, process)
    assert [item["basename"] for item in outputs["all"]] == [f"n{number}" for number in range(12)]
    assert sorted(began(place)) == sorted(f"n{number}" for number in range(12))  # each once
    assert "the connection is cut" in place.said.read_text()


def test_an_agent_that_is_killed_costs_only_what_ran(place: RemotePlace) -> None:
    process = begin_slow(place)
    wait_until(lambda: len(began(place)) >= 5)
    kill(*place.hosts["far"].agents())
    outputs = finished(place, process, 120)
    assert len(outputs["all"]) == 12
    counts = [began(place).count(f"n{number}") for number in range(12)]
    assert sum(counts) < 12 + 5  # what had been recorded did not run again


def test_a_killed_run_is_resumed_and_what_ended_there_does_not_run_again(place: RemotePlace) -> None:
    process = begin_slow(place)
    wait_until(lambda: len(began(place)) >= 6)
    process.kill()
    process.communicate()
    time.sleep(1.5)  # jobs end there, and nobody here hears of it
    ended = [path.name for path in place.hosts["far"].work.glob("runs/*/jobs/0/*/n*") if path.stat().st_size]
    outputs = json.loads(place.call("resume", "--quiet", place.run_id()))
    assert len(outputs["all"]) == 12
    assert ended
    assert [name for name in ended if began(place).count(name) > 1] == []


def test_ctrl_c_ends_the_jobs_there(place: RemotePlace) -> None:
    text = f"{HEAD}inputs: []\noutputs: []\nbaseCommand: [sh, -c, 'touch {place.folder}/began; exec sleep 9876']\n"
    process = place.begin("run", "--site", "far", "--outdir", place.out, write(place, "sleep.cwl", text))
    wait_until((place.folder / "began").exists)
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.3)
    process.communicate(timeout=30)
    assert process.returncode == 130
    sleeping = ["pgrep", "-f", "^sleep 9876"]
    wait_until(lambda: not subprocess.run(sleeping, capture_output=True, check=False).stdout, 15)


def test_a_failed_job_shows_what_it_printed_there(place: RemotePlace) -> None:
    text = f"{HEAD}inputs: []\noutputs: []\nbaseCommand: [sh, -c, 'echo words of the tool >&2; exit 3']\n"
    place.call("run", "--site", "far", "--outdir", place.out, write(place, "fail.cwl", text), code=1)
    assert "words of the tool" in place.said.read_text()
    assert "exit code 3" in place.said.read_text()


def test_a_failed_job_shows_what_it_printed_into_a_file_there(place: RemotePlace) -> None:
    command = "[sh, -c, 'echo words of the tool >&2; exit 3']"
    text = f"{HEAD}inputs: []\noutputs: []\nbaseCommand: {command}\nstderr: told.txt\n"
    place.call("run", "--site", "far", "--outdir", place.out, write(place, "fail.cwl", text), code=1)
    place.hosts["far"].sshd.kill()
    assert "| words of the tool" in place.call("explain", place.run_id())


def test_logs_of_all_jobs_are_kept_on_demand_and_read_where_they_are(place: RemotePlace) -> None:
    flow = (
        "cwlVersion: v1.2\nclass: Workflow\ninputs: []\noutputs: []\nsteps:\n"
        "  good: {in: [], out: [out], run: %s}\n  bad: {in: {after: good/out}, out: [], run: %s}\n"
    )
    tool = "{class: CommandLineTool, inputs: %s, outputs: %s, baseCommand: [sh, -c, '%s']}"
    good = tool % ("[]", "{out: stdout}", "echo good words >&2")
    bad = tool % ("{after: File}", "[]", "echo bad words >&2; exit 1")
    document = write(place, "two.cwl", flow % (good, bad))
    kept = place.folder / "logs"
    place.call("run", "--site", "far", "--outdir", place.out, "--log-dir", kept, document, code=1)
    assert {path.name: path.read_text() for path in kept.iterdir()} == {
        "good.log": "good words\n",
        "bad.log": "bad words\n",
    }
    place.call("run", "--site", "far", "--outdir", place.out, document, code=1)
    assert place.call("logs", place.run_id()) == "bad words\n"
    assert place.call("logs", place.run_id(), "good") == "good words\n"
    assert "| good words" in place.call("explain", place.run_id(), "good")
    for log in place.hosts["far"].work.glob("runs/*/jobs/**/*.log"):
        log.unlink()
    assert place.call("logs", place.run_id(), "good") == ""
    assert "cannot be read at site 'far'" in place.said.read_text()


def test_software_that_a_site_lacks_is_told_before_anything_runs(place: RemotePlace) -> None:
    text = (
        f"{HEAD}inputs: []\noutputs: []\nbaseCommand: [touch, {place.folder}/ran]\nrequirements:\n"
        "  SoftwareRequirement: {packages: {sh: {}, no-such-program: {version: ['2']}, bwa: {version: ['1']}}}\n"
    )
    document = write(place, "needs.cwl", text)
    place.call("run", "--site", "far", "--outdir", place.out, document, code=1)
    said = place.said.read_text()
    assert "needs.cwl:" in said
    assert "requires no-such-program 2, which site 'far' does not have" in said
    assert "requires bwa 1" in said
    assert "requires sh" not in said
    assert not (place.folder / "ran").exists()
    place.describe(far=place.hosts["far"].describe(software=["no-such-program=2", "bwa"]))
    place.call("run", "--site", "far", "--outdir", place.out, document)
    assert (place.folder / "ran").exists()


def test_outputs_may_stay_and_be_used_by_the_next_run(place: RemotePlace) -> None:
    text = f"{HEAD}inputs: []\noutputs: {{out: stdout}}\nbaseCommand: [echo, 'made there']\nstdout: made.txt\n"
    make = write(place, "make.cwl", text)
    outputs = json.loads(place.call("run", "--site", "far", "--leave-outputs", "--outdir", place.out, make))
    location = outputs["out"]["location"]
    assert location.startswith(f"site://far{place.hosts['far'].work}/")
    assert not list(place.out.glob("*"))
    use = write(
        place,
        "use.cwl",
        f"{HEAD}inputs: {{file: File}}\noutputs: {{out: stdout}}\nbaseCommand: cat\narguments: [$(inputs.file.path)]\n"
        "stdout: used.txt\n",
    )
    job = write(place, "use.json", json.dumps({"file": {"class": "File", "location": location}}))
    used = json.loads(place.call("run", "--site", "far", "--outdir", place.out, use, job))
    assert Path(used["out"]["path"]).read_text() == "made there\n"


@pytest.mark.parametrize(
    ("site", "told"),
    [
        ({"command": "/nowhere/cwlbalsam"}, "cwlbalsam does not start on far"),
        ({"host": "nohost.invalid"}, "cannot be reached"),
        ({"work": "/proc/nowhere"}, "cannot be written to"),
    ],
)
def test_a_site_that_cannot_be_used_is_told_before_anything_runs(
    place: RemotePlace, site: dict[str, Any], told: str
) -> None:
    place.describe(far=place.hosts["far"].describe(**site))
    text = f"{HEAD}inputs: []\noutputs: []\nbaseCommand: 'true'\n"
    place.call("run", "--site", "far", "--outdir", place.out, write(place, "tool.cwl", text), code=1)
    assert told in place.said.read_text()
    assert "Traceback" not in place.said.read_text()


def test_another_version_there_is_told(place: RemotePlace) -> None:
    text = f"{HEAD}inputs: []\noutputs: []\nbaseCommand: 'true'\n"
    before = "import cwlbalsam; cwlbalsam.__version__ = '9.9.9'"
    tool = write(place, "tool.cwl", text)
    process = place.begin("run", "--site", "far", "--outdir", place.out, tool, before=before)
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert "and 9.9.9 here" in place.said.read_text()


def test_a_container_that_the_site_cannot_run_is_told(place: RemotePlace) -> None:
    place.describe(far=place.hosts["far"].describe(containers=["singularity"]))
    needs = "requirements: {DockerRequirement: {dockerPull: 'debian:stable-slim'}}\n"
    tool = write(place, "tool.cwl", f"{HEAD}{needs}inputs: []\noutputs: []\nbaseCommand: 'true'\n")
    place.call("run", "--site", "far", "--outdir", place.out, tool, code=1)
    assert "no container engine works at site 'far'" in place.said.read_text()


def test_a_step_that_is_not_there_is_told_with_those_that_are(place: RemotePlace) -> None:
    arguments = ["--names", "a", "--log", place.folder / "log"]
    place.call("run", "--site", "tow=far", write(place, "slow.cwl", SLOW), *arguments, code=1)
    assert "has no step 'tow'" in place.said.read_text()
    assert "one" in place.said.read_text()
