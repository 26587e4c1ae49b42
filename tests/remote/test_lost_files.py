"""Files that a machine behind ssh has made and lost, as the next step needs them there or here."""

import json
from pathlib import Path

import pytest

from tests.remote.place import RemotePlace

pytestmark = pytest.mark.servers
LOST = """cwlVersion: v1.2
class: Workflow
inputs: {log: string}
outputs: {out: {type: File, outputSource: read/out}}
steps:
  make:
    in: {log: log}
    out: [out]
    run:
      class: CommandLineTool
      inputs: {log: string}
      outputs: {out: stdout}
      baseCommand: [sh, -c, 'echo make >>$0; echo made']
      arguments: [$(inputs.log)]
      stdout: out.txt
  steal:
    in: {file: make/out}
    out: [out]
    run:
      class: CommandLineTool
      inputs: {file: File}
      outputs: {out: stdout}
      baseCommand: [sh, -c, 'rm $(readlink -f $0); echo stolen']
      arguments: [$(inputs.file)]
      stdout: stolen.txt
  read:
    in: {file: make/out, after: steal/out}
    out: [out]
    run:
      class: CommandLineTool
      inputs: {file: File, after: File}
      outputs: {out: stdout}
      baseCommand: cat
      arguments: [$(inputs.file)]
      stdout: out.txt
"""


@pytest.mark.parametrize("at_site", [("make", "steal", "read"), ("make", "steal")])
def test_what_a_site_has_lost_it_makes_again(place: RemotePlace, at_site: tuple[str, ...]) -> None:
    document, log = place.folder / "lost.cwl", place.folder / "log"
    document.write_text(LOST)
    sites = [word for step in at_site for word in ("--site", f"{step}=far")]
    outputs = json.loads(place.call("run", *sites, "--outdir", place.out, document, "--log", log))
    assert Path(outputs["out"]["path"]).read_text() == "made\n"
    assert log.read_text().split() == ["make", "make"]
