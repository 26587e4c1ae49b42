import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.errors import UserError
from cwlbalsam.planner.queues.requests import Request
from cwlbalsam.planner.simulate.swf import check_fits, parse_log

HEAD = "; Version: 2.2\n; MaxNodes: 50\n;\n; MaxProcs: 100\n; MaxNodes: 50\n\n"


def line(
    number: int, submitted: float, seconds: float, allocated: int = 4, requested: int = -1, wall: float = -1
) -> str:
    return f"{number} {submitted} 7 {seconds} {allocated} -1 -1 {requested} {wall} -1 1 1 1 -1 -1 -1 -1 -1\n"


def test_a_log_is_read_sorted_by_arrival_and_cleaned() -> None:
    text = (
        HEAD + line(2, 20, 50, requested=8, wall=40) + line(1, 10, 30) + line(3, 30, 0) + line(4, 40, 5, allocated=-1)
    )
    log = parse_log(text, "x.swf")
    assert log.requests == (Request("1", 4, 30, 10, 30), Request("2", 8, 40, 20, 40))
    assert (log.nodes, log.dropped, log.waits["2"]) == (100, 2, 7)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "x.swf", "no job"),
        ("; only a remark\n", "x.swf", "no job"),
        (line(1, 0, 0), "x.swf", "no job"),
        (line(1, 0, 1) + "1 2 3\n", "x.swf:2", "3 of 18"),
        ("; x\n" + line(1, 0, 1).replace("7", "seven"), "x.swf:2", "field 3 is no number: 'seven'"),
        (line(1, 0, 1).replace("7", "nan"), "x.swf:1", "field 3 is out of bounds"),
        (line(1, 0, 1, allocated=10**15), "x.swf:1", "field 5 is out of bounds"),
        (line(1, 0, 1) + line(1, 0, 1), "x.swf:2", "job 1 is there twice"),
    ],
)
def test_what_is_no_log_is_an_error_with_its_line(text: str, place: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        parse_log(text, "x.swf")
    assert raised.value.problems[0].place == place


@given(st.one_of(st.text(), st.lists(st.text("0123456789 -.einaf;\n", min_size=30), max_size=3).map(" ".join)))
def test_whatever_a_file_holds_it_is_a_log_or_a_users_error(text: str) -> None:
    with contextlib.suppress(UserError):
        assert parse_log(text, "x").requests


def test_a_machine_must_hold_the_widest_job() -> None:
    log = parse_log(line(1, 0, 1, allocated=9), "x.swf")
    check_fits(log, 9, "x.swf")
    with pytest.raises(UserError, match="job 1 asks for 9 nodes, the machine has 8"):
        check_fits(log, 8, "x.swf")
