"""What the conformance suite does not cover."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.workplace import Workplace

SAY = """
cwlVersion: v1.2
class: CommandLineTool
$namespaces: {cwltool: "http://commonwl.org/cwltool#"}
requirements: {EnvVarRequirement: {envDef: {WORD: $(inputs.word)}}}
inputs: {word: string}
baseCommand: [sh, -c, 'echo "$WORD"']
stdout: said.txt
outputs: {said: stdout}
"""


def said(outputs: dict[str, Any], name: str = "said") -> str:
    return Path(outputs[name]["path"]).read_text()


# --- extensions ---


def test_an_mpi_tool_is_started_by_the_configured_runner(place: Workplace) -> None:
    launcher = place.write("launch", '#!/bin/sh\necho "$@" > "$RANKS"\nshift 3\nexec "$@"\n')
    launcher.chmod(0o755)
    ranks = place.folder / "ranks"
    place.write(
        "mpi.yml",
        f"runner: {launcher}\nnproc_flag: -np\nextra_flags: [--quiet]\nenv_set: {{RANKS: {ranks}}}\n",
    )
    tool = SAY.replace("requirements: {", "requirements: {cwltool:MPIRequirement: {processes: $(inputs.count)}, ")
    tool = tool.replace("{word: string}", "{word: string, count: int}")
    called = place.call("--mpi-config-file", "mpi.yml", place.write("mpi.cwl", tool), "--word", "hi", "--count", "3")
    assert called.code == 0, called.err
    assert said(called.outputs) == "hi\n"
    assert ranks.read_text() == '--quiet -np 3 sh -c echo "$WORD"\n'


def test_secrets_are_nowhere_in_what_is_kept_or_told(place: Workplace) -> None:
    tool = SAY.replace("requirements: {", "requirements: {cwltool:Secrets: {secrets: [word]}, ")
    tool = tool.replace("""'echo "$WORD"']""", """'echo ${#WORD}; exit 3']""")
    tool = tool.replace("stdout: said.txt\n", "").replace("{said: stdout}", "{}")
    job = place.write("job.yml", "word: correct-horse-battery\n")
    path = place.write("secret.cwl", tool)
    called = place.call("--debug", "--leave-tmpdir", path, job)
    assert called.code == 1
    assert "correct-horse" not in called.err + called.out
    kept = [file for file in place.home.rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if b"correct-horse" in file.read_bytes()]


def test_a_time_limit_of_cwltool_ends_a_tool(place: Workplace) -> None:
    tool = SAY.replace("v1.2", "v1.0").replace("requirements: {", "requirements: {cwltool:TimeLimit: {timelimit: 1}, ")
    result = place.run(place.write("slow.cwl", tool.replace('echo "$WORD"', "sleep 60")), {"word": "x"})
    assert result.exit_code == 1
    assert "time limit of 1 second" in result.failures[0].error


def test_overrides_beat_the_document(place: Workplace) -> None:
    place.write("say.cwl", SAY)
    workflow = """
cwlVersion: v1.2
class: Workflow
inputs: {word: string}
steps:
  a: {run: say.cwl, in: {word: word}, out: [said]}
  b: {run: say.cwl, in: {word: word}, out: [said]}
outputs:
  a: {type: File, outputSource: a/said}
  b: {type: File, outputSource: b/said}
"""
    place.write("wf.cwl", workflow)
    target = {"wf.cwl#a": {"requirements": {"EnvVarRequirement": {"envDef": {"WORD": "a only"}}}}}
    place.write("overrides.json", json.dumps({"cwltool:overrides": target}))
    outputs = place.outputs("wf.cwl", {"word": "x"}, overrides="overrides.json")
    tool = {"say.cwl": {"requirements": {"EnvVarRequirement": {"envDef": {"WORD": "both"}}}}}
    assert {said(outputs, "a"), said(outputs, "b")} <= {"a only\n", "x\n"}
    outputs = place.outputs("wf.cwl", {"word": "x", "cwltool:overrides": tool})
    assert (said(outputs, "a"), said(outputs, "b")) == ("both\n", "both\n")


def test_requirements_in_the_job_file_count(place: Workplace) -> None:
    requirement = {"class": "EnvVarRequirement", "envDef": {"WORD": "from job"}}
    job = {"word": "x", "cwl:requirements": [requirement]}
    assert said(place.outputs(place.write("say.cwl", SAY), job)) == "from job\n"


# --- documents ---


def test_a_process_of_a_graph_is_run_by_its_name(place: Workplace) -> None:
    bare = SAY.replace("\ncwlVersion: v1.2\n", "").replace("\n", "\n  ")
    bare = bare.replace('$namespaces: {cwltool: "http://commonwl.org/cwltool#"}\n', "id: NAME\n")
    graph = [bare.replace("NAME", "loud").replace('echo "', 'echo "!'), bare.replace("NAME", "main")]
    text = "cwlVersion: v1.2\n$graph:\n" + "\n".join(f"- {process}" for process in graph)
    place.write("graph.cwl", text)
    assert said(place.outputs("graph.cwl", {"word": "hi"})) == "hi\n"
    assert said(place.outputs("graph.cwl#loud", {"word": "hi"})) == "!hi\n"


@pytest.fixture
def server(place: Workplace) -> Iterator[str]:
    """Serves the folder `www`."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

    handler = functools.partial(Quiet, directory=str(place.folder / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


def test_documents_job_files_and_inputs_come_over_http(place: Workplace, server: str) -> None:
    place.write(
        "www/sub/cat.cwl",
        """
cwlVersion: v1.2
class: CommandLineTool
inputs: {file: {type: File, inputBinding: {}}}
baseCommand: cat
stdout: said.txt
outputs: {said: stdout}
""",
    )
    place.write(
        "www/wf.cwl",
        """
cwlVersion: v1.2
class: Workflow
inputs: {file: File}
steps: {cat: {run: sub/cat.cwl, in: {file: file}, out: [said]}}
outputs: {said: {type: File, outputSource: cat/said}}
""",
    )
    place.write("www/data.txt", "from afar")
    place.write("www/job.yml", "file: {class: File, location: data.txt}\n")
    for job in ("job.yml", "again"):
        called = place.call("--quiet", f"{server}/wf.cwl", f"{server}/job.yml")
        assert (called.code, called.err) == (0, ""), job
        assert said(called.outputs) == "from afar"
    place.write(
        "www/sub/cat.cwl", place.folder.joinpath("www/sub/cat.cwl").read_text().replace("cat\n", "[echo, -n]\n")
    )
    assert "data.txt" in said(place.call("--quiet", f"{server}/wf.cwl", f"{server}/job.yml").outputs)


# --- the Program cache ---

CACHED = """
cwlVersion: v1.2
class: Workflow
$namespaces: {ex: "http://example.org/"}
$schemas: [ontology.ttl]
requirements: [{$import: javascript.yml}]
inputs: {word: {type: string, default: a}}
steps: {step: {run: tool.cwl, in: {word: word}, out: [result]}}
outputs: {result: {type: string, outputSource: step/result}}
"""
FILES = {
    "wf.cwl": CACHED,
    "ontology.ttl": "<http://e.org/a> <http://www.w3.org/2000/01/rdf-schema#subClassOf> <http://e.org/b> .",
    "lib.js": "function f(x) { return x + '1'; }",
    "javascript.yml": "{class: InlineJavascriptRequirement, expressionLib: [{$include: lib.js}]}",
    "tool.cwl": "{cwlVersion: v1.2, class: ExpressionTool, inputs: {word: string}, outputs: {result: string},"
    " expression: '$({result: f(inputs.word)})'}",
}


def test_a_second_run_imports_no_front_end(place: Workplace) -> None:
    for name, text in FILES.items():
        place.write(name, text)
    first = place.start("wf.cwl", python=("-X", "importtime"))
    second = place.start("wf.cwl", python=("-X", "importtime"))
    assert (first.code, second.code) == (0, 0), first.err
    assert first.outputs == second.outputs == {"result": "a1"}
    heavy = ("cwltool", "schema_salad", "rdflib", "sqlalchemy", "ruamel", "networkx", "numpy")
    assert [name for name in heavy if f" {name}\n" in first.err]
    assert [name for name in heavy if f" {name}\n" in second.err] == []


@pytest.mark.parametrize(
    ("name", "old", "new", "result"),
    [
        ("lib.js", "'1'", "'2'", "a2"),
        ("javascript.yml", "lib.js}", "lib.js}, 'function f(x) { return x + 9; }'", "a9"),
        ("tool.cwl", "f(inputs.word)", "f(inputs.word + inputs.word)", "aa1"),
        ("wf.cwl", "default: a", "default: b", "b1"),
        ("ontology.ttl", "e.org/b", "e.org/c", "a1"),
    ],
)
def test_a_change_in_any_file_is_noticed(place: Workplace, name: str, old: str, new: str, result: str) -> None:
    for file, text in FILES.items():
        place.write(file, text)
    assert place.outputs("wf.cwl", {}) == {"result": "a1"}
    known = {path: path.read_bytes() for path in (place.home / "programs").rglob("*") if path.is_file()}
    assert place.outputs("wf.cwl", {}) == {"result": "a1"}
    assert known == {path: path.read_bytes() for path in (place.home / "programs").rglob("*") if path.is_file()}
    assert old in FILES[name]
    place.write(name, FILES[name].replace(old, new))
    assert place.outputs("wf.cwl", {}) == {"result": result}
    assert known != {path: path.read_bytes() for path in (place.home / "programs").rglob("*") if path.is_file()}


# --- tools and steps ---


def test_hints_about_streams_and_reuse_change_no_result(place: Workplace) -> None:
    tool = SAY.replace(
        "inputs: {", "hints: {WorkReuse: {enableReuse: false}}\ninputs: {file: {type: File, streamable: true}, "
    )
    given = {"word": "x", "file": {"class": "File", "path": str(place.write("f", ""))}}
    assert said(place.outputs(place.write("tool.cwl", tool), given)) == "x\n"


def test_a_chain_of_in_place_updates_changes_one_file(place: Workplace) -> None:
    place.write(
        "append.cwl",
        """
cwlVersion: v1.2
class: CommandLineTool
requirements:
  InplaceUpdateRequirement: {inplaceUpdate: true}
  InitialWorkDirRequirement: {listing: [{entry: $(inputs.file), writable: true}]}
inputs: {file: File, word: string}
baseCommand: [sh, -c, 'echo $1 >> $0']
arguments: [$(inputs.file.basename), $(inputs.word)]
outputs: {file: {type: File, outputBinding: {glob: $(inputs.file.basename)}}}
""",
    )
    place.write("make.cwl", SAY)
    workflow = place.write(
        "wf.cwl",
        """
cwlVersion: v1.2
class: Workflow
requirements: {StepInputExpressionRequirement: {}}
inputs: {word: string}
steps:
  make: {run: make.cwl, in: {word: word}, out: [said]}
  two: {run: append.cwl, in: {file: make/said, word: {default: two}}, out: [file]}
  three: {run: append.cwl, in: {file: two/file, word: {default: three}}, out: [file]}
outputs: {said: {type: File, outputSource: three/file}}
""",
    )
    assert said(place.outputs(workflow, {"word": "one"})) == "one\ntwo\nthree\n"


NEST = """
cwlVersion: v1.2
class: Workflow
requirements: {SubworkflowFeatureRequirement: {}, ScatterFeatureRequirement: {}, InlineJavascriptRequirement: {},
  MultipleInputFeatureRequirement: {}}
"""
ODD = (
    NEST
    + """
inputs: {number: int}
steps:
  double:
    run: {class: ExpressionTool, inputs: {number: int}, outputs: {result: int},
      expression: '$({result: inputs.number * 2})'}
    when: $(inputs.number % 2 == 1)
    in: {number: number}
    out: [result]
outputs:
  result: {type: int?, outputSource: double/result}
  given: {type: int, outputSource: [double/result, number], pickValue: first_non_null}
"""
)
ROW = (
    NEST
    + """
inputs: {row: 'int[]'}
steps: {cell: {run: odd.cwl, scatter: number, in: {number: row}, out: [result, given]}}
outputs:
  odd: {type: 'int[]', outputSource: cell/result, pickValue: all_non_null}
  all: {type: 'int[]', outputSource: cell/given}
"""
)
TABLE = (
    NEST
    + """
inputs: {table: {type: {type: array, items: {type: array, items: int}}}}
steps: {row: {run: row.cwl, scatter: row, in: {row: table}, out: [odd, all]}}
outputs:
  odd: {type: {type: array, items: {type: array, items: int}}, outputSource: row/odd}
  all: {type: {type: array, items: {type: array, items: int}}, outputSource: row/all}
"""
)


def test_scatters_of_subworkflows_with_conditions_inside_nest(place: Workplace) -> None:
    place.write("odd.cwl", ODD)
    place.write("row.cwl", ROW)
    table = [[1, 2, 3], [], [4], [5, 6]]
    assert place.outputs(place.write("table.cwl", TABLE), {"table": table}) == {
        "odd": [[2, 6], [], [], [10]],
        "all": [[2, 2, 6], [], [4], [10, 6]],
    }


def test_workflows_nest_deeply(place: Workplace) -> None:
    depth = 40
    place.write(
        "level0.cwl",
        "{cwlVersion: v1.2, class: ExpressionTool, requirements: {InlineJavascriptRequirement: {}},"
        " inputs: {n: int}, outputs: {n: int}, expression: '$({n: inputs.n + 1})'}",
    )
    for level in range(1, depth):
        place.write(
            f"level{level}.cwl",
            NEST
            + f"""
inputs: {{n: int}}
steps: {{down: {{run: level{level - 1}.cwl, in: {{n: n}}, out: [n]}}}}
outputs: {{n: {{type: int, outputSource: down/n}}}}
""",
        )
    assert place.outputs(f"level{depth - 1}.cwl", {"n": 1}) == {"n": 2}
