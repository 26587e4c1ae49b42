from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from cwlbalsam.cwl.missing import missing_inputs, without_missing
from cwlbalsam.cwl.tasks import Task
from cwlbalsam.cwl.values import uri_of


def packed(value: Any) -> Raw:
    return Raw(msgspec.msgpack.encode(value))


def file(path: Path | str, **fields: Any) -> dict[str, Any]:
    return {"class": "File", "location": uri_of(str(path)), **fields}


def test_what_is_gone_is_found_wherever_it_is_in_a_value(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.touch()
    gone = [tmp_path / name for name in ("a b", "index", "entry", "before")]
    inputs = {
        "array": [{"record": file(gone[0])}, file(here), file(gone[0])],
        "file": file(here, secondaryFiles=[file(gone[1])]),
        "folder": {"class": "Directory", "location": uri_of(str(tmp_path)), "listing": [file(gone[2])]},
        "literal": {"class": "File", "contents": "", "basename": "x"},
        "remote": {"class": "File", "location": "https://nowhere.example/x"},
        "elsewhere": {"class": "File", "location": "site://far/x"},
        "text": uri_of(str(gone[0])),
    }
    task = Task(
        job=1,
        program="",
        process=0,
        directory="/jobs/0/1",
        inputs={name: packed(value) for name, value in inputs.items()},
        previous={"last": packed(file(gone[3]))},
    )
    assert missing_inputs(task) == tuple(uri_of(str(path)) for path in gone)


def test_only_values_whose_files_are_there_are_left(tmp_path: Path) -> None:
    values = {"there": packed(file(tmp_path)), "gone": packed([file(tmp_path / "x")]), "none": packed(None)}
    assert without_missing(values) == {**values, "gone": packed(None)}
