import gzip
from pathlib import Path

import pytest

from cwlbalsam.errors import UserError
from cwlbalsam.service.simulate import read_log, simulate_log

LOG = "; MaxProcs: 4\n" + "".join(
    f"{number} {number * 10} -1 60 3 -1 -1 3 60 -1 1 1 1 -1 -1 -1 -1 -1\n" for number in range(5)
)


def test_a_compressed_log_of_several_members_is_the_same_log(tmp_path: Path) -> None:
    plain, packed = tmp_path / "log.swf", tmp_path / "log.swf.gz"
    plain.write_text(LOG)
    lines = LOG.splitlines(keepends=True)
    packed.write_bytes(gzip.compress("".join(lines[:3]).encode()) + gzip.compress("".join(lines[3:]).encode()))
    assert read_log(plain) == read_log(packed)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(LOG.encode(), mtime=0)[:-20], "ends too early"),
        (b"\x1f\x8b\x08\x00garbage that is no stream", "broken gzip file"),
        (gzip.compress(LOG.encode(), mtime=0) + b"more", "broken gzip file"),
    ],
    ids=["cut off", "no stream", "trailing"],
)
def test_a_broken_file_is_the_users_error(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "log.swf.gz"
    path.write_bytes(data)
    with pytest.raises(UserError, match=message):
        read_log(path)


def test_the_machine_is_as_large_as_the_log_says_or_the_user(tmp_path: Path) -> None:
    path = tmp_path / "log.swf"
    path.write_text(LOG)
    simulation = simulate_log(path, None, "easy", 4)
    assert (simulation.nodes, simulation.statistics.mean_wait_seconds) == (4, 100)
    assert simulate_log(path, 15, "conservative", 4).statistics.mean_wait_seconds == 0
    path.write_text(LOG.split("\n", 1)[1])
    with pytest.raises(UserError, match="does not say how many nodes"):
        simulate_log(path, None, "easy", 4)
