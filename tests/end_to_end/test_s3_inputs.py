import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.workplace import Workplace
from tests.s3 import KEY_ID, SECRET, serving

SHOW = """
cwlVersion: v1.2
class: CommandLineTool
inputs:
  file: {type: File, default: {class: File, location: "s3://data/default é.txt"}}
  folder: Directory
baseCommand: [sh, -c, 'cat "$1"; ls "$2"; env', show]
arguments: [$(inputs.file.path), $(inputs.folder.path)]
stdout: said.txt
outputs: {said: stdout}
"""


def test_inputs_come_from_s3_and_secrets_stay_where_they_are(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("show.cwl", SHOW)
    folder = {"class": "Directory", "location": "s3://data/d/"}
    place.write("job.json", json.dumps({"file": {"class": "File", "location": "s3://data/a b.txt"}, "folder": folder}))
    place.write("default.json", json.dumps({"folder": folder}))
    place.write("wrong.json", json.dumps({"file": {"class": "File", "location": "s3://data/no"}, "folder": folder}))
    with serving(place.folder / "objects") as store:
        for name, value in {
            "AWS_ENDPOINT_URL": store.url,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_CONFIG_FILE": str(place.folder / "config"),
        }.items():
            monkeypatch.setenv(name, value)
        store.put("data/a b.txt", b"from afar\n")
        store.put("data/default \N{LATIN SMALL LETTER E WITH ACUTE}.txt", b"by default\n")
        store.put("data/d/x", b"")
        for job, expected in (("job.json", "from afar\nx\n"), ("default.json", "by default\nx\n")):
            called = place.call("--debug", "--leave-tmpdir", "show.cwl", job)
            assert called.code == 0, called.err
            assert Path(called.outputs["said"]["path"]).read_text().startswith(expected)
            assert SECRET not in called.out + called.err
        failed = place.call("show.cwl", "wrong.json")
        assert failed.code == 1
        assert "cannot download s3://data/no: An error occurred (NoSuchKey)" in failed.err
    kept = [path for path in (*place.home.rglob("*"), *place.out.rglob("*")) if path.is_file()]
    assert len(kept) > 2
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]


def test_who_has_no_input_there_does_not_import_boto3() -> None:
    code = (
        "import sys, cwlbalsam.service.run, cwlbalsam.cwl.execution, cwlbalsam.cwl.downloads; "
        "assert not {'boto3', 'botocore', 'urllib3', 'cwlbalsam.cwl.s3'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
