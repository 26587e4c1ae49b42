from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cwl.execution import Mount
from cwlbalsam.cwl.expressions import compile_template
from cwlbalsam.cwl.records import Dirent, Docker, Expr, Field
from cwlbalsam.cwl.tasks import Settings
from cwlbalsam.cwl.values import path_of, uri_of
from cwlbalsam.errors import JobError
from tests.cwl.jobs import DIRECTORY, FILE, FILES, bash, needing, output, run, start


def entry(text: str, name: str | None = None, *, writable: bool = False) -> Dirent:
    return Dirent(
        entry=compile_template(text, strip=False),
        entryname=None if name is None else compile_template(name),
        writable=writable,
    )


def listing(text: str) -> Expr:
    found = compile_template(text)
    assert isinstance(found, Expr)
    return found


def job(script: str, *workdir: Any, **more: Any) -> Any:
    requirements = needing(workdir=workdir, **more.pop("requirements", {}))
    return bash(script, inputs=(Field(name="f", type=FILE),), requirements=requirements, **more)


def user_file(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "user.txt").write_text("mine")
    return {"class": "File", "location": uri_of(str(tmp_path / "user.txt"))}


def test_text_is_written_and_other_values_as_json(tmp_path: Path):
    process = job(
        "cat a/b.txt c.json > out",
        entry("<$(inputs.f.basename)>\n", "a/b.txt"),
        entry("$({'n': [1, null]})", "c.json"),
        entry("$(null)", "never"),
        outputs=(output("o", FILE, "out"),),
    )
    outputs = run(process, {"f": user_file(tmp_path)}, tmp_path / "run")
    assert Path(path_of(outputs["o"])).read_text() == '<user.txt>\n{"n": [1, null]}'
    assert not (tmp_path / "run" / "job" / "never").exists()


def test_a_writable_copy_is_the_jobs_own_and_a_link_is_still_the_users(tmp_path: Path):
    value = user_file(tmp_path)
    (tmp_path / "user.txt").chmod(0o444)
    process = job(
        "echo more >> copy.txt",
        entry("$(inputs.f)", "copy.txt", writable=True),
        outputs=(output("o", FILE, "copy.txt"),),
    )
    outputs = run(process, {"f": value}, tmp_path / "1")
    assert Path(path_of(outputs["o"])).read_text() == "minemore\n"
    assert (tmp_path / "user.txt").read_text() == "mine"
    assert (tmp_path / "user.txt").stat().st_mode & 0o777 == 0o444
    process = job("true", entry("$(inputs.f)", "l"), outputs=(output("o", FILE, "l"),))
    assert run(process, {"f": value}, tmp_path / "2")["o"]["location"] == value["location"]


def test_inputs_in_the_work_directory_have_their_path_there(tmp_path: Path):
    process = job("true", listing("$(inputs.f)"), arguments=(compile_template("$(inputs.f.path)"),))
    command = start(process, {"f": user_file(tmp_path)}, tmp_path / "run").command
    assert command is not None and command.argv[-1] == str(tmp_path / "run" / "job" / "user.txt")


def test_in_place_updates_change_the_original_and_nothing_is_copied(tmp_path: Path):
    value = user_file(tmp_path)
    process = job(
        "echo more >> user.txt",
        entry("$(inputs.f)", writable=True),
        requirements={"inplace_update": True},
        outputs=(output("o", FILE, "user.txt"),),
    )
    outputs = run(process, {"f": {**value, "checksum": "sha1$stale"}}, tmp_path / "run")
    assert (tmp_path / "user.txt").read_text() == "minemore\n"
    assert outputs["o"]["location"] == value["location"]
    assert outputs["o"]["size"] == 9
    assert outputs["o"]["checksum"] != "sha1$stale"


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", ".."])
def test_names_do_not_leave_the_output_directory(tmp_path: Path, name: str):
    with pytest.raises(JobError, match="InitialWorkDirRequirement"):
        start(job("true", entry("x", name)), {"f": user_file(tmp_path)}, tmp_path / "run")


def test_nothing_is_written_into_a_directory_that_is_only_linked(tmp_path: Path):
    (tmp_path / "d").mkdir()
    directory = listing(f"$({{class: 'Directory', location: '{uri_of(str(tmp_path / 'd'))}'}})")
    process = job("true", directory, entry("x", "d/x"))
    with pytest.raises(JobError, match="only linked here"):
        start(process, {"f": user_file(tmp_path)}, tmp_path / "run")
    assert list((tmp_path / "d").iterdir()) == []


def test_a_listing_expression_may_give_dirents_arrays_and_nulls(tmp_path: Path):
    expression = "${ return [null, [inputs.f], {entry: 'text', entryname: 't'}, {entry: inputs.f, entryname: 'g'}]; }"
    process = bash(
        "true",
        inputs=(Field(name="f", type=FILE),),
        outputs=(output("o", FILES, "*"),),
        requirements=needing(workdir=listing(expression)),
    )
    outputs = run(process, {"f": user_file(tmp_path)}, tmp_path / "run")
    assert [file["basename"] for file in outputs["o"]] == ["g", "t", "user.txt"]


def test_a_directory_literal_is_made_and_its_copies_can_be_written(tmp_path: Path):
    expression = "$({class: 'Directory', basename: 'd', listing: [inputs.f]})"
    process = job(
        "echo x >> d/user.txt; rm d/user.txt; touch d/new",
        entry(expression, writable=True),
        outputs=(output("o", DIRECTORY, "d"),),
    )
    outputs = run(process, {"f": user_file(tmp_path)}, tmp_path / "run")
    assert [path.name for path in Path(path_of(outputs["o"])).iterdir()] == ["new"]
    assert (tmp_path / "user.txt").read_text() == "mine"


@pytest.mark.parametrize("value", ["$(3)", "$([3])", "$({'a': 1})"])
def test_entries_that_are_nothing_of_the_kind_are_refused(tmp_path: Path, value: str):
    with pytest.raises(JobError, match="must be"):
        process = bash("true", inputs=(Field(name="f", type=FILE),), requirements=needing(workdir=listing(value)))
        start(process, {"f": user_file(tmp_path)}, tmp_path / "run")


def test_in_a_container_entries_are_mounted_also_at_absolute_paths(tmp_path: Path):
    value = user_file(tmp_path)
    process = job(
        "true",
        entry("$(inputs.f)", "here.txt"),
        entry("text", "/etc/tool.conf"),
        requirements={"docker": Docker(pull="i", required=True)},
        outputs=(output("o", FILE, "here.txt"),),
    )
    prepared = start(process, {"f": value}, tmp_path / "run", settings=Settings(engine="e"))
    assert prepared.command is not None and prepared.command.container is not None
    container = prepared.command.container
    assert Mount(str(tmp_path / "user.txt"), f"{container.workdir}/here.txt", False) in container.mounts
    (conf,) = [mount for mount in container.mounts if mount.target == "/etc/tool.conf"]
    assert Path(conf.source).read_text() == "text"
    (tmp_path / "run" / "job" / "here.txt").touch()  # what an engine leaves as a mount point
    ending, outputs, error = prepared.collect(0)
    assert ending == "done", error
    assert outputs["o"]["location"] == value["location"]
    assert outputs["o"]["size"] == 4
