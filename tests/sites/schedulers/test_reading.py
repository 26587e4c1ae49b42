import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.sites.schedulers import hostlist
from cwlbalsam.sites.schedulers.reading import clock, epoch, json_of, megabytes, moment, number

anything = st.text(max_size=40) | st.integers() | st.floats() | st.none()


@pytest.mark.parametrize(
    ("text", "unit", "seconds"),
    [
        ("1-00:10:00", 60, 87000),
        ("2-03", 60, 2 * 86400 + 3 * 3600),
        ("30:00:00", 60, 108000),
        ("3:00", 60, 180),
        ("1440.0", 60, 86400),
        ("1440.0 min of hosta", 60, 86400),
        ("20", 60, 1200),
        ("UNLIMITED", 60, 0),
        ("N/A", 1, 0),
        ("", 1, 0),
        ("-5", 1, 0),
    ],
)
def test_times_of_day_and_numbers_are_seconds(text: str, unit: float, seconds: float) -> None:
    assert clock(text, unit=unit) == seconds


@pytest.mark.parametrize(
    ("text", "unit", "size"),
    [
        ("4000", "m", 4000),
        ("4000M", "", 4000),
        ("512000+", "m", 512000),
        ("1.5tb", "", 1572864),
        ("2048kb", "", 2),
        ("-", "m", 0),
    ],
)
def test_sizes_are_mebibytes(text: str, unit: str, size: int) -> None:
    assert megabytes(text, unit) == size


def test_a_moment_without_a_year_is_the_nearest_one() -> None:
    january = 1735693200.0  # 2025-01-01 01:00
    assert moment("Dec 31 23:00", "%b %d %H:%M", now=january) == january - 7200
    assert moment("Jan 1 03:00", "%b %d %H:%M", now=january) == january + 7200
    assert moment("Feb 29 00:00", "%b %d %H:%M", now=january) == 1709164800.0  # there is none in 2025
    assert moment("Nev 31 23:00", "%b %d %H:%M", now=january) == 0.0


def test_a_zone_that_is_told_counts() -> None:
    form = "%a %b %d %H:%M:%S %Y %z"
    assert moment("Tue Jan 15 09:00:00 2019 +0100 (CET)", form) == moment("Tue Jan 15 08:00:00 2019 +0000 (UTC)", form)


def test_json_is_found_behind_other_words_and_repaired() -> None:
    assert json_of('Please wait ...\n{"a": "1:20"}') == {"a": "1:20"}
    assert json_of('{"n":inf, "m": 007,\n "t":"Tue 19:20:00 {2022}", "ok": true, "f":-1.5}') == {
        "n": "inf",
        "m": "007",
        "t": "Tue 19:20:00 {2022}",
        "ok": True,
        "f": -1.5,
    }
    assert json_of("[1]") == json_of("") == json_of('{"a"') == json_of("[" * 100_000) == {}
    assert json_of('{"a":' * 100_000) == {}


@given(value=anything)
def test_readers_of_values_are_total(value: object) -> None:
    assert number(value) >= 0
    assert clock(value, unit=60) >= 0
    assert megabytes(value) >= 0
    assert epoch(value) >= 0
    assert moment(value, "%b %d %H:%M", "%a %b %d %H:%M:%S %Y", now=1e9) >= 0


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("n[1-3]", ["n1", "n2", "n3"]),
        ("n[08-10],x", ["n08", "n09", "n10", "x"]),
        ("r[0-1]n[1,3-4]", ["r0n1", "r0n3", "r0n4", "r1n1", "r1n3", "r1n4"]),
        ("a,b-1.example", ["a", "b-1.example"]),
        ("", []),
        ("n[3-1]", ["n3-1"]),
        ("n[0-999999999]", ["n0-999999999"]),
    ],
)
def test_host_lists_expand(text: str, hosts: list[str]) -> None:
    assert hostlist.expand(text) == hosts


@given(text=st.text("n[]0123456789,- ", max_size=40))
def test_no_host_list_fills_the_memory(text: str) -> None:
    assert len(hostlist.expand(text)) <= hostlist.LARGEST
