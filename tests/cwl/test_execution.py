import time
from pathlib import Path

from cwlbalsam.cwl.records import Binding, Field
from cwlbalsam.cwl.values import path_of, uri_of
from tests.cwl.jobs import FILE, STRING, output, run, tool


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


def test_prepare_and_collect_take_a_fraction_of_a_millisecond(tmp_path: Path):
    process = echo()
    run(process, {"message": "hello"}, tmp_path / "warm")
    from cwlbalsam.cwl.execution import prepare
    from cwlbalsam.cwl.records import Program
    from cwlbalsam.cwl.tasks import Task
    from tests.cwl.jobs import SETTINGS, encoded

    program = Program(uri="", main=0, processes=(process,))
    inputs = encoded({"message": "hello"})
    tmp = str(tmp_path)
    total = 0
    n = 1000
    for i in range(n):
        t = Task(job=i, program="", process=0, inputs=inputs, directory=f"{tmp}/{i}")
        a = time.perf_counter()
        p = prepare(program, t, SETTINGS, tmp)
        total += time.perf_counter() - a
        Path(p.command.stdout).write_text("hello\n")
        a = time.perf_counter()
        assert p.collect(0)[0] == "done"
        total += time.perf_counter() - a
    print(total / n * 1000, "ms")
