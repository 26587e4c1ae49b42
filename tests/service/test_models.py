"""What models learn from the runs of a store."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from cwlbalsam.cwl.records import Field, Primitive, Program, Requirements, Resources, ToolProcess, WorkflowProcess
from cwlbalsam.cwl.tasks import Ending, Outcome
from cwlbalsam.errors import UserError
from cwlbalsam.jobs.model import BalsamJob, Changes, Move, RunRecord, State
from cwlbalsam.jobs.references import Const, Item, Port, pack_trees
from cwlbalsam.planner.models.book import Book, Page, encode_book
from cwlbalsam.planner.models.observation import Belief, Observation, Prior, Setting
from cwlbalsam.service.home import Home
from cwlbalsam.service.models import find_page, import_book, number_of, observed, read_book, read_export, size_of
from cwlbalsam.store.memory import MemoryStore

FILE = Primitive(name="File")
TOOL = ToolProcess(
    id="align",
    version="v1.2",
    inputs=(Field(name="reads", type=FILE), Field(name="depth", type=Primitive(name="int"))),
    outputs=(Field(name="bam", type=FILE),),
    requirements=Requirements(resources=Resources(cores_min=4), time_limit=600.0, secrets=("token",)),
    digest="d1",
)
PROGRAM = Program(
    uri="w.cwl",
    main=0,
    processes=(WorkflowProcess(id="main", version="v1.2", inputs=(), outputs=(), links=(), steps=()), TOOL),
    digest="p1",
)


def packed(value: Any) -> Raw:
    return Raw(msgspec.msgpack.encode(value))


def file(size: int) -> dict[str, Any]:
    return {"class": "File", "path": "/x", "size": size}


def stored(jobs: list[BalsamJob], outcomes: dict[int, Outcome], edges: list[tuple[int, int]] = []) -> MemoryStore:  # noqa: B006
    store = MemoryStore()
    store.put_program("p1", msgspec.msgpack.encode(PROGRAM))
    record = RunRecord(id="run", name="w", document="w.cwl", program="p1", created=1.0, directory="/r")
    store.create_run(record, Changes(jobs=jobs, edges=edges))
    ended = [
        Move(
            job=job,
            state=State.JOB_FINISHED if outcome.ending == "done" else State.FAILED,
            time=2.0,
            outcome=msgspec.msgpack.encode(outcome),
        )
        for job, outcome in outcomes.items()
    ]
    store.apply("run", Changes(moves=ended))
    return store


def job(number: int, **inputs: Any) -> BalsamJob:
    trees = {name: value if isinstance(value, (Port, Item)) else Const(packed(value)) for name, value in inputs.items()}
    return BalsamJob(id=number, name=f"s[{number}]", kind="job", process=1, inputs=pack_trees(trees))


def outcome(number: int, ending: Ending = "done", **more: Any) -> Outcome:
    return Outcome(job=number, ending=ending, started=100.0, ended=130.0, peak_memory_bytes=5000, **more)


def test_a_job_is_observed_with_its_inputs_and_its_grant() -> None:
    page = observed(stored([job(1, reads=file(700), depth=3)], {1: outcome(1)})).pages[0]
    setting = Setting(input_bytes=700.0, numbers={"depth": 3.0}, threads=4, site="local")
    assert (page.key, page.name) == ("d1", "align")
    assert page.observations == (Observation(setting=setting, wall_seconds=30.0, peak_memory_bytes=5000.0),)
    assert page.prior.wall_seconds.median == 300.0


def test_a_timeout_is_censored_and_failures_and_reused_results_are_left_out() -> None:
    jobs = [job(number, depth=number) for number in range(1, 5)]
    ends = {1: outcome(1, "timeout"), 2: outcome(2, "failed"), 3: outcome(3, reused=True), 4: outcome(4)}
    found = observed(stored(jobs, ends)).pages[0].observations
    assert [(one.setting.numbers["depth"], one.censored) for one in found] == [(1.0, True), (4.0, False)]


def test_files_that_a_scatter_made_while_the_run_went_on_are_found_through_its_jobs() -> None:
    gather = BalsamJob(id=3, name="s", kind="gather", process=0)
    jobs = [job(1, depth=1), job(2, depth=2), gather, job(4, reads=Item(Port(3, "bam"), (1,)))]
    ends = {n: outcome(n, outputs={"bam": packed(file(100 * n))}) for n in (1, 2)} | {4: outcome(4)}
    found = observed(stored(jobs, ends, [(1, 3), (2, 3), (3, 4)])).pages[0].observations
    assert found[-1].setting.input_bytes == 200.0


def test_secrets_are_not_looked_at() -> None:
    found = observed(stored([job(1, token=12345)], {1: outcome(1)})).pages[0].observations
    assert found[0].setting.numbers == {}


def test_inputs_that_cannot_be_resolved_leave_the_rest_of_the_job() -> None:
    found = observed(stored([job(1, reads=Item(Port(1, "nothing"), (0,)), depth=3)], {1: outcome(1)})).pages[0]
    assert found.observations[0].setting.numbers == {"depth": 3.0}


def test_imports_are_kept_beside_what_the_store_shows(tmp_path: Path) -> None:
    home, store = Home(tmp_path / "home"), stored([job(1, depth=3)], {1: outcome(1)})
    other = Book(pages=(Page(key="d1", observations=(Observation(setting=Setting(site="x"), wall_seconds=9.0),)),))
    import_book(home, other)
    import_book(home, other)
    page = read_book(store, home).pages[0]
    assert (page.name, page.prior.wall_seconds.median) == ("align", 300.0)
    assert [one.wall_seconds for one in read_book(store, home).pages[0].observations] == [9.0, 30.0]


def test_what_a_user_believes_wins_over_the_documents_hints(tmp_path: Path) -> None:
    home, store = Home(tmp_path / "home"), stored([job(1, depth=3)], {1: outcome(1)})
    import_book(home, Book(pages=(Page(key="d1", prior=Prior(wall_seconds=Belief(median=7.0))),)))
    assert read_book(store, home).pages[0].prior.wall_seconds.median == 7.0


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*none\.json"):
        read_export(tmp_path / "none.json")


def test_an_application_is_found_by_name_or_key_if_only_one_fits(tmp_path: Path) -> None:
    book = Book(pages=(Page(key="abc1", name="align"), Page(key="abd2", name="align"), Page(key="f3", name="sort")))
    assert find_page(book, "sort").key == find_page(book, "f").key == "f3"
    with pytest.raises(UserError, match="2 applications"):
        find_page(book, "align")
    with pytest.raises(UserError, match="did you mean 'sort'"):
        find_page(book, "sotr")
    assert encode_book(book)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["class", "size", "listing", "secondaryFiles", "x"]), inner, max_size=3)
        | st.fixed_dictionaries({"class": st.sampled_from(["File", "Directory"]), "size": inner, "listing": inner})
    ),
    max_leaves=8,
)


@given(json_values)
def test_no_value_breaks_what_is_counted(value: Any) -> None:
    assert size_of(value) >= 0
    number = number_of(value)
    assert number is None or isinstance(number, float)
