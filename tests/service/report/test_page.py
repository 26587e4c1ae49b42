"""The page, of stores that are filled through their own interface."""

import time
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from cwlbalsam.cwl.records import Program, Step, ToolProcess, WorkflowProcess
from cwlbalsam.cwl.tasks import Invocation, Outcome
from cwlbalsam.jobs.model import BalsamJob, Changes, Move, RunRecord, State
from cwlbalsam.service.report import gather, write_page
from cwlbalsam.service.report.text import say
from cwlbalsam.store import Store, open_store

RUN = "0199e6a2-0001-7000-8000-000000000000"
BEGAN = 1_700_000_000.0
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\u202e\x00]]>"
VOID = {"meta", "br", "img", "input"}
EMPTY = {"rect", "line", "path"}


class Checker(HTMLParser):
    """Every element is closed in order; collects elements, texts and attributes that would run something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.sources: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = {name: value or "" for name, value in attrs}
        assert not any(name.startswith("on") for name in names), names
        self.sources += [names[name] for name in ("src", "href", "xlink:href") if name in names]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in EMPTY
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "home")


def fill(
    store: Store, names: list[str], bad: set[int], program: Program | None = None, text: str = "", log: str = ""
) -> None:
    """Jobs one after another on four cores, each 0.1 s long."""
    store.put_program("digest", msgspec.msgpack.encode(program) if program else b"")
    jobs, moves = [], []
    for index, name in enumerate(names):
        start = BEGAN + index * 0.025
        ending = "failed" if index in bad else "done"
        outcome = Outcome(
            job=index,
            ending=ending,  # type: ignore[arg-type]
            error=text if index in bad else "",
            started=start,
            ended=start + 0.1,
            cpu_seconds=0.05,
            peak_memory_bytes=30 << 20,
            log=log or text,
            command=Invocation(argv=["sh", "-c", text], environment={"KEY": "private"}) if index in bad else None,
        )
        state = State.FAILED if index in bad else State.JOB_FINISHED
        jobs.append(BalsamJob(id=index, name=name, kind="job", process=0, state=State.READY))
        moves.append(Move(job=index, state=state, time=start, outcome=msgspec.msgpack.encode(outcome)))
    run = RunRecord(
        id=RUN, name=text or "mosaic", document=text, program="digest", created=BEGAN, directory=text, host=text
    )
    store.create_run(run, Changes(jobs))
    store.apply(RUN, Changes(moves=moves))
    store.finish_run(RUN, "failed" if bad else "finished", message=text, ended=BEGAN + len(names) * 0.025 + 1)


def page_of(store: Store) -> str:
    return write_page(gather(store, store.run(RUN)))


def hostile_program() -> Program:
    tool = ToolProcess(id=EVIL, version="v1.2", inputs=(), outputs=())
    steps = tuple(Step(name=EVIL + str(number), run=1, inputs=(), outputs=(), version="v1.2") for number in range(2))
    workflow = WorkflowProcess(id=EVIL, version="v1.2", inputs=(), outputs=(), links=(), steps=steps)
    return Program(uri="x", main=0, processes=(workflow, tool))


def test_hostile_names_errors_and_logs_are_only_ever_text(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "<b>log"
    log.write_text(f"printed {EVIL}")
    fill(store, [f"{EVIL}[{number}]" for number in range(20)], {3, 4}, hostile_program(), EVIL, str(log))
    page = page_of(store)
    checked = Checker(page)
    assert checked.tags.count("script") == 1
    assert [source[:26] for source in checked.sources] in ([], ["data:image/svg+xml;base64,"])
    assert any(text.startswith("printed <script>alert(1)</script>") for text in checked.texts)
    assert "\u202e" not in page and "\0" not in page
    assert "private" not in page  # environments are not for a page that is passed on


def test_a_page_needs_nothing_from_elsewhere_and_runs_no_script_but_its_own(store: Store) -> None:
    fill(store, ["a", "b[0]", "b[1]"], set())
    page = page_of(store)
    assert "default-src 'none'" in page and "script-src 'sha256-" in page
    assert "http:" not in page and "https:" not in page and "url(" not in page and "@import" not in page
    assert Checker(page).tags.count("section") == 4


def test_a_page_of_many_jobs_stays_small(store: Store) -> None:
    names = [f"stage/step_{number % 97}[{number}]" for number in range(20_000)]
    fill(store, names, set(range(0, 20_000, 7)), text="no such table\n" * 2000)
    page = page_of(store)
    Checker(page)
    assert len(page.encode()) < 1_500_000
    assert "58 other steps" in page and "the first 50 of 2,858" in page


def test_a_chain_of_thousands_of_steps_is_cut_to_the_longest(store: Store) -> None:
    fill(store, [f"step_{number}" for number in range(5000)], {4999})
    page = page_of(store)
    assert len(page.encode()) < 1_000_000
    assert "4,700 short ones are left out" in page
    assert page.count("step_4999") >= 2  # what failed is never left out


def test_a_run_that_has_not_begun_has_a_page_too(store: Store) -> None:
    store.put_program("digest", b"")
    job = BalsamJob(id=0, name="a", kind="job", process=0, state=State.READY)
    store.create_run(
        RunRecord(id=RUN, name="x", document="x", program="digest", created=time.time(), directory=""), Changes([job])
    )
    page = page_of(store)
    Checker(page)
    assert "Timeline" not in page


def test_long_texts_keep_their_ends() -> None:
    said = say("a" * 5000 + "<b>")
    assert said.endswith("a&lt;b&gt;") and "characters left out" in said and len(said) < 4200
