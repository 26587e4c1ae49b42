from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.cwl.execution import Mount, Prepared, static_grant
from cwlbalsam.cwl.expressions import compile_template
from cwlbalsam.cwl.records import (
    ArrayType,
    Binding,
    Docker,
    ExpressionProcess,
    Field,
    Link,
    Loop,
    Mpi,
    Program,
    Requirements,
    Resources,
    Step,
    WorkflowProcess,
)
from cwlbalsam.cwl.tasks import Grant, Settings
from cwlbalsam.cwl.values import path_of, uri_of
from cwlbalsam.errors import JobError
from tests.cwl.jobs import FILE, INT, STRING, needing, output, run, start, tool


def echo():
    return tool(
        inputs=(Field(name="message", type=STRING, binding=Binding(position=1)),),
        outputs=(output("out", FILE, "out.txt"),),
        base_command=("echo",),
        stdout="out.txt",
    )


def test_a_tool_with_stdout_gives_a_file_with_checksum_and_size(tmp_path: Path):
    outputs = run(echo(), {"message": "hello"}, tmp_path)
    file = outputs["out"]
    assert Path(path_of(file)).read_text() == "hello\n"
    assert file == {
        "class": "File",
        "location": uri_of(str(tmp_path / "job" / "out.txt")),
        "basename": "out.txt",
        "nameroot": "out",
        "nameext": ".txt",
        "size": 6,
        "checksum": "sha1$f572d396fae9206628714fb2ce00f72e94f2258f",
    }


def test_steps_are_skipped_by_when_which_sees_value_from_and_all_links(tmp_path: Path):
    assert start_step(tmp_path, {"message": "x", "go": False}).ending == "skipped"
    prepared = start_step(tmp_path, {"message": "x", "go": True})
    assert prepared.ending is None
    assert prepared.command is not None
    assert prepared.command.argv == ["echo", "x-true"]


def test_a_when_that_is_no_boolean_is_an_error(tmp_path: Path):
    with pytest.raises(JobError, match="'when' must be true or false, not 'maybe'"):
        start_step(tmp_path, {"message": "x", "go": "maybe"})


def start_step(tmp_path: Path, inputs: dict[str, Any], **more: Any) -> Prepared:
    """A job of a step that sets message from two links, one of which the tool does not have."""
    links = (
        Link(name="message", value_from=compile_template("$(self)-$(inputs.go)")),
        Link(name="go", value_from=compile_template("$(self)")),
    )
    step = Step(
        name="s",
        run=1,
        inputs=links,
        outputs=("out",),
        when=compile_template("$(inputs.go)"),
        version="v1.2",
        loop=more.pop("repeat", None),
    )
    workflow = WorkflowProcess(id="w", version="v1.2", inputs=(), outputs=(), links=(), steps=(step,))
    program = Program(uri="", main=0, processes=(workflow, echo()))
    return start(echo(), inputs, tmp_path, program=program, index=1, step=(0, 0), **more)


def test_a_loops_links_see_the_inputs_before_and_the_rest_carries_over(tmp_path: Path):
    repeat = Loop(links=(Link(name="message", value_from=compile_template("$(self)<-$(inputs.message)")),))
    prepared = start_step(
        tmp_path,
        {"message": "new"},
        repeat=repeat,
        loop=True,
        previous={"message": "old", "go": True},
        mode="prologue",
    )
    assert prepared.outputs == {"message": "new<-old", "go": True}


def test_all_mistakes_in_the_inputs_are_told_at_once(tmp_path: Path):
    process = tool(inputs=(Field(name="a", type=INT), Field(name="b", type=STRING)), base_command=("true",))
    with pytest.raises(JobError) as caught:
        start(process, {"a": "x", "other": 1}, tmp_path)
    assert [problem.message for problem in caught.value.problems] == [
        "inputs.a: expected int, got string 'x'",
        "input 'b' is required, but has no value",
    ]


def test_defaults_stand_for_null_and_are_not_shared_between_jobs(tmp_path: Path):
    field = Field(name="a", type=ArrayType(items=INT), default=[1], binding=Binding())
    process = tool(inputs=(field,), base_command=("echo",))
    first = start(process, {"a": None}, tmp_path)
    assert first.command is not None and first.command.argv == ["echo", "1"]
    assert field.default == [1]


def test_a_missing_file_of_the_user_is_named_with_its_input(tmp_path: Path):
    process = tool(inputs=(Field(name="f", type=FILE),), base_command=("true",))
    with pytest.raises(JobError, match=r"input 'f': file /no/such: No such file"):
        start(process, {"f": {"class": "File", "path": "/no/such"}}, tmp_path, top=True)
    with pytest.raises(JobError, match="scheme 'ftp'"):
        start(process, {"f": {"class": "File", "location": "ftp://h/f"}}, tmp_path, top=True)


def test_secret_values_are_not_in_messages(tmp_path: Path):
    process = tool(
        inputs=(Field(name="password", type=INT),),
        base_command=("x",),
        requirements=Requirements(secrets=("password",)),
    )
    with pytest.raises(JobError) as caught:
        start(process, {"password": "hunter2"}, tmp_path)
    assert "hunter2" not in str(caught.value)
    assert "(secret)" in str(caught.value)


@pytest.mark.parametrize(
    ("code", "ending"), [(0, "done"), (1, "failed"), (3, "done"), (4, "temporary"), (-9, "failed")]
)
def test_exit_codes_mean_what_the_tool_says(tmp_path: Path, code: int, ending: str):
    process = tool(base_command=("true",), success_codes=(3,), temporary_fail_codes=(4,))
    assert start(process, {}, tmp_path).collect(code)[0] == ending


def test_the_environment_is_built_and_not_inherited(tmp_path: Path):
    process = tool(
        inputs=(Field(name="a", type=STRING),),
        base_command=("env",),
        requirements=Requirements(env=(("A", compile_template("<$(inputs.a)>")),)),
    )
    command = start(process, {"a": "x y"}, tmp_path, settings=Settings(path="/bin")).command
    assert command is not None
    assert command.environment == {
        "PATH": "/bin",
        "HOME": str(tmp_path / "job"),
        "TMPDIR": str(tmp_path / "tmp"),
        "A": "<x y>",
    }


def test_stdout_stays_in_the_output_directory(tmp_path: Path):
    for name in ("../x", "/tmp/x", "a/../../x", ".."):
        with pytest.raises(JobError, match="stdout must be the name of a file"):
            start(tool(base_command=("true",), stdout=name), {}, tmp_path)


def test_size_mode_evaluates_resources_only(tmp_path: Path):
    process = tool(
        inputs=(Field(name="n", type=INT),),
        base_command=("true",),
        requirements=needing(resources=Resources(cores_min=compile_template("$(inputs.n / 2)"), ram_max=100)),
    )
    prepared = start(process, {"n": 3}, tmp_path, mode="size")
    assert prepared.outputs == {"cores": 1.5, "ram": 100.0, "tmpdir": 1024.0, "outdir": 1024.0}
    assert static_grant(process) is None
    assert static_grant(tool(version="v1.0")) == Grant(ram=1024.0)
    assert not (tmp_path / "job").exists()


def test_mpi_jobs_are_started_by_the_launcher_unless_they_have_no_processes(tmp_path: Path):
    for count, argv in ((2, ["mpirun", "-n", "2", "x"]), (0, ["x"])):
        process = tool(base_command=("x",), requirements=Requirements(mpi=Mpi(processes=count)))
        command = start(process, {}, tmp_path).command
        assert command is not None and command.argv == argv


def test_a_required_container_without_engine_fails_the_job(tmp_path: Path):
    process = tool(base_command=("x",), requirements=Requirements(docker=Docker(pull="i", required=True)))
    with pytest.raises(JobError, match="no container engine"):
        start(process, {}, tmp_path)


def test_in_a_container_inputs_are_mounted_and_paths_are_those_inside(tmp_path: Path):
    (tmp_path / "in.txt").write_text("x")
    process = tool(
        inputs=(Field(name="f", type=FILE, binding=Binding()),),
        outputs=(output("o", FILE, "copy"), output("same", FILE, output_eval="$(inputs.f)")),
        base_command=("cat",),
        stdin=compile_template("$(inputs.f.path)"),
        requirements=Requirements(docker=Docker(pull="image"), network=False),
    )
    location = (tmp_path / "in.txt").as_uri()
    prepared = start(process, {"f": {"class": "File", "location": location}}, tmp_path, settings=Settings(engine="e"))
    command = prepared.command
    assert command is not None and command.container is not None
    assert command.argv == ["cat", "/var/lib/cwl/0/in.txt"]
    assert command.stdin == str(tmp_path / "in.txt")
    container = command.container
    assert Mount(str(tmp_path / "in.txt"), "/var/lib/cwl/0/in.txt", False) in container.mounts
    assert Mount(str(tmp_path / "job"), container.workdir, True) in container.mounts
    assert container.environment == {"HOME": container.workdir, "TMPDIR": "/tmp"}
    (tmp_path / "job" / "copy").symlink_to("/var/lib/cwl/0/in.txt")
    ending, outputs, error = prepared.collect(0)
    assert ending == "done", error
    assert outputs["o"]["location"] == outputs["same"]["location"] == location
    assert "path" not in outputs["same"]


def test_expression_tools_give_values_and_write_literals(tmp_path: Path):
    process = ExpressionProcess(
        id="e",
        version="v1.2",
        inputs=(Field(name="n", type=INT),),
        outputs=(Field(name="twice", type=INT), Field(name="file", type=FILE)),
        requirements=needing(),
        expression=compile_template(
            '${ return {twice: inputs.n * 2, file: {"class": "File", basename: "a b#.txt", contents: "hi"}}; }'
        ),
    )
    outputs = start(process, {"n": 4}, tmp_path).outputs
    assert outputs["twice"] == 8
    assert outputs["file"]["location"].endswith("/a%20b%23.txt")
    assert Path(path_of(outputs["file"])).read_text() == "hi"


def test_expression_tools_cannot_name_files_that_are_not_theirs(tmp_path: Path):
    process = ExpressionProcess(
        id="e",
        version="v1.2",
        inputs=(),
        outputs=(Field(name="f", type=FILE),),
        requirements=needing(),
        expression=compile_template('${ return {f: {"class": "File", location: "file:///etc/passwd"}}; }'),
    )
    with pytest.raises(JobError, match="neither in the output directory nor an input"):
        start(process, {}, tmp_path)
