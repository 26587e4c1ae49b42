from pathlib import Path

import pytest

from cwlbalsam.parser.address import document_uri


def test_a_document_with_a_hash_in_its_name_is_no_fragment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a#b.cwl").touch()
    assert document_uri("a#b.cwl") == f"{tmp_path.as_uri()}/a%23b.cwl"
    assert document_uri("c.cwl#b") == f"{tmp_path.as_uri()}/c.cwl#b"
