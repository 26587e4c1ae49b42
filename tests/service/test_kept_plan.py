"""The plan as it is kept: which site a job goes to, and what is told of it."""

from collections import Counter
from pathlib import Path

import pytest

from cwlbalsam.service.kept_plan import (
    Assignment,
    KeptPlan,
    PlannedJob,
    RunnerUp,
    read_plan,
    reasons,
    write_plan,
)


def job(name: str, site: str, later: float | None = 2.0) -> PlannedJob:
    other = None if later is None else RunnerUp(site="other", nodes=2, cores=4, later_seconds=later)
    return PlannedJob(
        name=name, site=site, nodes=[0], cores=1, start=1.0, end=3.0, why="waits for its nodes", runner_up=other
    )


def test_a_job_goes_where_the_plan_says() -> None:
    sites = Assignment({"each[0]": "a", "each[1]": "b"})
    assert [sites.of(name) for name in ("each[0]", "each[1]")] == ["a", "b"]
    assert sites.count("each") == 2
    assert sites.of("nowhere") == "local"


def test_jobs_that_no_plan_knew_are_shared_out_as_their_step_was() -> None:
    sites = Assignment({**{f"each[{number}]": "a" for number in range(3)}, "each[3]": "b"})
    found = [sites.of(f"each[{number}]") for number in range(4, 44)]
    assert Counter(found) == {"a": 30, "b": 10}
    assert Counter(found[:8]) == {"a": 6, "b": 2}
    assert sites.of("each[4]") == found[0]


def test_it_is_told_why_there_in_that_size_then_and_what_else() -> None:
    place, when, against = reasons(KeptPlan(jobs=[job("align", "a")]), "align")
    assert place.startswith("planned at site 'a' on 1 node x 1 core, which is what its tool asks for there, from 1.0 s")
    assert when == "that time: it waits for its nodes"
    assert against == "that site: the runner-up, 'other' on 2 nodes x 4 cores, would have ended it 2.0 s later"


def test_a_runner_up_may_have_been_earlier_or_not_there() -> None:
    plan = KeptPlan(jobs=[job("early", "a", -1.0), job("alone", "a", None)], again=[(5.0, "it was late")])
    assert "1.0 s earlier" in reasons(plan, "early")[2]
    assert reasons(plan, "alone")[2:] == [
        "that site: no other one may or can run it",
        "planned anew after 5.0 s: it was late",
    ]


def test_of_a_job_that_no_plan_knew_its_steps_shares_are_told() -> None:
    plan = KeptPlan(jobs=[job("each[0]", "a"), job("each[1]", "a"), job("each[2]", "b")])
    assert reasons(plan, "each[7]") == [
        "its step was planned with other jobs (2 at a, 1 at b): it took the site whose share was open"
    ]
    assert reasons(plan, "other") == []


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    plan = KeptPlan(seconds=3.0, interval={"low": None}, jobs=[job("align", "a")], starts={"a": 1.5}, taken=4.0)
    write_plan(tmp_path, plan)
    assert read_plan(tmp_path) == plan
    (tmp_path / "plan.json").write_text("{")
    assert read_plan(tmp_path) is None
    write_plan(tmp_path / "nowhere", plan)  # costs nothing


@pytest.mark.parametrize(
    "text", [b"", b"null", b"\xff", b'{"notes":["\xed\xa0\x80"]}', b'{"x":' + b"[" * 100_000, b'{"a']
)
def test_a_damaged_plan_is_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(text)
    assert read_plan(tmp_path) is None
