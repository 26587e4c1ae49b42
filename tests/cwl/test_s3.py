import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cwl import s3
from cwlbalsam.cwl.downloads import download
from cwlbalsam.cwl.values import normalise, path_of
from cwlbalsam.errors import JobError
from tests.s3 import KEY_ID, SECRET, Store, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with serving(tmp_path_factory.mktemp("objects")) as made:
        s3._client.cache_clear()
        yield made
        s3._client.cache_clear()  # processes forked by other tests would inherit it


@pytest.fixture
def store(tmp_path: Path, server: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Empty. The client, which is slow to make, is the same for all tests that do not say who they are."""
    server.root, server.cuts, server.asked = tmp_path / "objects", 0, []
    set_login(tmp_path, monkeypatch, server.url)
    return server


def set_login(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str, key: str = KEY_ID, secret: str = SECRET) -> None:
    (folder / "credentials").write_text(f"[default]\naws_access_key_id={key}\naws_secret_access_key={secret}\n")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture
def fresh() -> Iterator[None]:
    """A client of the test's own."""
    s3._client.cache_clear()
    yield
    s3._client.cache_clear()


def fetched(tmp_path: Path, location: str, kind: str = "File") -> tuple[dict[str, Any], Path]:
    value = {"class": kind, "location": location}
    normalise(value)
    download(value, str(tmp_path / "downloads"))
    return value, Path(path_of(value))


def refusal(tmp_path: Path, location: str, kind: str = "File") -> str:
    """What is said; nothing is left."""
    with pytest.raises(JobError) as told:
        fetched(tmp_path, location, kind)
    left = [path for path in (tmp_path / "downloads").rglob("*") if path.parent != tmp_path / "downloads"]
    assert left == []
    assert SECRET not in str(told.value)
    assert location.rstrip("/") in str(told.value)
    return str(told.value)


def test_an_object_is_fetched_once_under_the_last_part_of_its_key(tmp_path: Path, store: Store) -> None:
    store.put("data/runs/a b%20+é#1?.txt", b"remote")
    for _ in range(2):
        value, path = fetched(tmp_path, "s3://data/runs/a b%20+é#1?.txt")
        assert path.read_bytes() == b"remote"
        assert value["basename"] == path.name == "a b%20+é#1?.txt"
        assert value["nameext"] == ".txt"
    assert [method for method, _, _ in store.asked] == ["HEAD", "GET"]


def test_an_empty_object_is_an_empty_file(tmp_path: Path, store: Store) -> None:
    store.put("data/empty", b"")
    assert fetched(tmp_path, "s3://data/empty")[1].read_bytes() == b""


def test_credentials_of_the_environment_go_before_those_of_the_file(
    tmp_path: Path, store: Store, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("data/x", b"1")
    set_login(tmp_path, monkeypatch, store.url, key="STRANGER")
    assert "InvalidAccessKeyId" in refusal(tmp_path, "s3://data/x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    s3._client.cache_clear()
    assert fetched(tmp_path, "s3://data/x")[1].read_bytes() == b"1"


def test_a_wrong_secret_is_told(tmp_path: Path, store: Store, fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("data/x", b"1")
    set_login(tmp_path, monkeypatch, store.url, secret="guessed")
    assert "SignatureDoesNotMatch" in refusal(tmp_path, "s3://data/x")


def test_who_has_no_credentials_reads_what_is_public(tmp_path: Path, store: Store, fresh: None) -> None:
    store.put("public/x", b"1")
    store.put("data/x", b"2")
    (tmp_path / "credentials").unlink()
    told = refusal(tmp_path, "s3://data/x")
    assert "AccessDenied" in told
    assert "no credentials were found" in told
    assert fetched(tmp_path, "s3://public/x")[1].read_bytes() == b"1"


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("s3://nowhere/x", "NoSuchBucket"),
        ("s3://data/nothing", "NoSuchKey"),
        ("s3://data/denied/x", "AccessDenied"),
        ("s3://data", "names no object"),
        ("s3://not a bucket/x", "Invalid bucket name"),
    ],
)
def test_what_the_server_refuses_is_told_in_its_words(tmp_path: Path, store: Store, location: str, reason: str) -> None:
    store.put("data/denied/x", b"")
    told = refusal(tmp_path, location)
    assert reason in told
    assert "no credentials" not in told


def test_a_server_that_is_not_there_is_told(
    tmp_path: Path, store: Store, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert "Could not connect to the endpoint URL" in refusal(tmp_path, "s3://data/x")


def test_only_the_range_that_broke_off_is_fetched_again(tmp_path: Path, store: Store) -> None:
    data = bytes(range(256)) * 4 * 9 * 1024
    store.put("data/large", data)
    store.cuts = 1
    assert fetched(tmp_path, "s3://data/large")[1].read_bytes() == data
    ranges = [span for method, _, span in store.asked if method == "GET"]
    assert len(ranges) == 3
    assert set(ranges) == {"bytes=0-8388607", "bytes=8388608-"}


def test_a_body_that_is_always_cut_leaves_no_file(tmp_path: Path, store: Store) -> None:
    store.put("data/x", b"0123456789")
    store.cuts = 100
    assert "5 read, but total bytes expected is 10" in refusal(tmp_path, "s3://data/x")


def test_a_directory_is_all_below_a_prefix(tmp_path: Path, store: Store) -> None:
    for name in ("a", "b/c", "b/d e", "b/f/g", "h"):
        store.put(f"data/runs/7/{name}", name.encode())
    store.put("data/runs/70/x", b"another")
    value, path = fetched(tmp_path, "s3://data/runs/7/", "Directory")
    assert value["basename"] == "7"
    found = {str(each.relative_to(path)): each.read_text() for each in path.rglob("*") if each.is_file()}
    assert found == {name: name for name in ("a", "b/c", "b/d e", "b/f/g", "h")}


def test_a_bucket_may_be_a_directory(tmp_path: Path, store: Store) -> None:
    store.put("data/x", b"1")
    _, path = fetched(tmp_path, "s3://data/", "Directory")
    assert [each.name for each in path.iterdir()] == ["x"]


def test_a_directory_comes_whole_or_not_at_all(tmp_path: Path, store: Store) -> None:
    store.put("data/d/x", b"12")
    store.put("data/d/y", b"12")
    store.cuts = 100
    assert "1 read, but total bytes expected is 2" in refusal(tmp_path, "s3://data/d/", "Directory")
    store.cuts = 0
    assert "nothing is below it" in refusal(tmp_path, "s3://data/none/", "Directory")
    assert "NoSuchBucket" in refusal(tmp_path, "s3://nowhere/d/", "Directory")


@pytest.mark.parametrize("key", ["d/../../x", "d//x", "d/./x"])
def test_keys_that_lead_out_of_a_directory_are_refused(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    store.put("data/d/a", b"")
    monkeypatch.setattr(Store, "keys", lambda self, bucket: ["d/a", key])
    assert "cannot be the name of a file" in refusal(tmp_path, "s3://data/d/", "Directory")


def test_without_boto3_the_way_to_get_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    assert "pip install 'cwlbalsam[s3]'" in refusal(tmp_path, "s3://data/x")
