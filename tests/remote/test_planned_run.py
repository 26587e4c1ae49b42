"""A run that follows a plan over two machines behind ssh and this one."""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from cwlbalsam.cwl.tasks import Outcome
from cwlbalsam.service.kept_plan import KeptPlan, read_plan
from cwlbalsam.store import open_store
from tests.remote.place import RemotePlace

pytestmark = pytest.mark.servers
DOCUMENT = Path(__file__).with_name("planned.cwl")
COUNT = 5


def sites_of_jobs(place: RemotePlace) -> dict[str, str]:
    """Where the commands of the newest run were."""
    with closing(open_store(place.home)) as store:
        jobs = [job for job in store.jobs(place.run_id()) if job.kind == "job" and job.outcome]
    found = {job.name: msgspec.msgpack.decode(job.outcome or b"", type=Outcome) for job in jobs}
    return {name: outcome.site or "local" for name, outcome in found.items()}


def plan_of(place: RemotePlace) -> KeptPlan:
    plan = read_plan(place.run_folder(place.run_id()))
    assert plan is not None
    return plan


@pytest.fixture
def two(make_place: Callable[..., RemotePlace]) -> RemotePlace:
    place = make_place("near", "far")
    place.describe(**{name: host.describe(nodes={"cores": 2}) for name, host in place.hosts.items()})
    return place


def run(place: RemotePlace, *options: str, count: int = COUNT) -> list[str]:
    """The texts that the jobs made."""
    words = place.folder / "words.txt"
    words.write_text("".join(f"word {number}\n" for number in range(count)))
    told = json.loads(place.call("run", "--outdir", place.out, *options, DOCUMENT, "--words", words))
    return Path(told["all"]["path"]).read_text().splitlines()


def test_jobs_go_where_the_plan_says_and_files_with_them(two: RemotePlace) -> None:
    assert run(two, "--plan", "near,far", "--site", "join=local") == [f"word {number}" for number in range(COUNT)]
    plan, sites = plan_of(two), sites_of_jobs(two)
    commands = {name: site for name, site in sites.items() if not name.startswith("lines")}
    assert commands == {job.name: job.site for job in plan.jobs if job.name in commands}
    assert len(commands) == COUNT + 2
    assert sites["join"] == "local"
    assert Counter(site for name, site in sites.items() if name.startswith("each")).keys() == {"near", "far"}
    assert [why for _, why in plan.again][:1] == [f"step 'each' has {COUNT} jobs, not 10"]

    said = two.said.read_text()
    assert f"planned again, step 'each' has {COUNT} jobs, not 10" in said
    assert "predicted (" in said.splitlines()[-1]
    assert plan.taken > 0
    told = two.call("explain", two.run_id(), "each[1]")
    assert f"planned at site '{sites['each[1]']}' on 1 node x 1 core" in told
    assert "the runner-up, '" in told

    run(two, "--plan", "near,far,local")  # what has been learned by then counts
    assert plan_of(two).seconds < plan.seconds / 3
    assert any("times are learned from" in note for note in plan_of(two).notes)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--plan", "near,fra"), "there is no site 'fra'\n    did you mean 'far'?"),
        (("--plan", "near", "--site", "far"), "--plan chooses the sites, and --site far has chosen one"),
        (("--plan", "near,far", "--deadline", "1s"), "more than the deadline allows (1 s)"),
        (("--plan", "near,far", "--max-node-hours", "0.001"), "more than the 0.001 that are allowed"),
    ],
)
def test_what_cannot_be_planned_is_told_before_anything_runs(
    two: RemotePlace, options: tuple[str, ...], told: str
) -> None:
    words = two.folder / "words.txt"
    words.write_text("a\n")
    two.call("run", *options, DOCUMENT, "--words", words, code=1)
    assert told in two.said.read_text()
    assert not two.run_id()
