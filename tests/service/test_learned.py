"""Estimates from what earlier runs showed."""

import pytest

from cwlbalsam.cwl.records import Field, Primitive, ToolProcess
from cwlbalsam.planner.models.book import Book, Page
from cwlbalsam.planner.models.observation import Observation, Setting
from cwlbalsam.service.expected import TOOL
from cwlbalsam.service.learned import Learned

ANY = Primitive(name="Any")
KNOWN = ToolProcess(id="known", version="v1.2", inputs=(Field(name="x", type=ANY),), outputs=(), digest="k")
NEW = ToolProcess(id="new", version="v1.2", inputs=(), outputs=(), digest="n")


def seen(seconds: float, site: str = "local", **fields: float) -> Observation:
    numbers = {"x": fields.pop("x")} if "x" in fields else {}
    return Observation(setting=Setting(site=site, numbers=numbers), wall_seconds=seconds, **fields)


def estimates(*observations: Observation) -> Learned:
    return Learned(Book(pages=(Page(key="k", name="known", observations=observations),)))


def test_what_ran_is_expected_to_take_as_long_again_at_each_site() -> None:
    found = estimates(*[seen(10.0)] * 4, *[seen(20.0, "far")] * 4)
    at = {site: found.seconds(KNOWN, [{"x": 1}], site)[0] for site in ("local", "far", "other")}
    assert at["local"].median == pytest.approx(10.0, rel=0.05)
    assert at["far"].median == pytest.approx(20.0, rel=0.05)
    assert at["other"].spread > at["far"].spread


def test_inputs_tell_jobs_apart() -> None:
    found = estimates(*(seen(2.0 * x, x=x) for x in (1.0, 2.0, 4.0, 8.0)))
    short, long = found.seconds(KNOWN, [{"x": 1.0}, {"x": 8.0}], "local")
    assert long.median / short.median == pytest.approx(8.0, rel=0.2)


def test_what_is_not_known_yet_is_taken_to_be_as_usual() -> None:
    found = estimates(*(seen(2.0 * x, x=x) for x in (1.0, 2.0, 4.0)))
    assert found.seconds(KNOWN, [{}], "local")[0].median == pytest.approx(4.0, rel=0.2)


def test_what_never_ran_is_assumed_and_said() -> None:
    found = estimates(seen(10.0))
    assert found.seconds(NEW, [{}, {}], "local") == [TOOL, TOOL]
    assert found.output_bytes(NEW) == 0.0
    learned, unseen, assumed = found.notes({"a": KNOWN, "b": NEW}, ["local", "far"])
    assert learned == "step 'a': times are learned from 1 jobs (1 at local)"
    assert "never ran at far" in unseen
    assert assumed == "step 'b': 60 s a job are assumed: none has run yet"


def test_a_job_that_ended_counts_at_once() -> None:
    found = Learned(Book())
    assert found.seconds(KNOWN, [{"x": 1}], "local") == [TOOL]
    found.add([(KNOWN, seen(5.0, output_bytes=100.0))])
    assert found.seconds(KNOWN, [{"x": 1}], "local")[0].median == pytest.approx(5.0, rel=0.1)
    assert found.output_bytes(KNOWN) == 100.0


def test_more_memory_than_is_asked_for_is_said() -> None:
    notes = estimates(*[seen(1.0, peak_memory_bytes=float(1 << 30))] * 5).notes({"a": KNOWN}, ["local"])
    assert any("256 MiB are asked for" in note for note in notes)
