import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.parser.cache import Loaded, load_program
from cwlbalsam.parser.options import CompileOptions
from tests.parser.documents import step, tool, workflow


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A workflow that runs another file, with the line ends of another system."""
    (tmp_path / "tool.cwl").write_bytes(json.dumps(tool(), indent=1).replace("\n", "\r\n").encode())
    path = tmp_path / "main.cwl"
    path.write_text(json.dumps(workflow({"s": step("tool.cwl")})))
    return path


def load(document: Path, **options: Any) -> Loaded:
    return load_program(str(document), CompileOptions(**options), document.parent / "cache")


def test_a_document_is_compiled_once_until_a_file_or_an_option_changes(document: Path) -> None:
    first, second = load(document), load(document)
    assert (first.cached, second.cached) == (False, True)
    assert (first.program, first.encoded, first.warnings) == (second.program, second.encoded, second.warnings)
    assert not load(document, strict=False).cached
    (document.parent / "tool.cwl").write_text(json.dumps(tool(baseCommand="cat")))
    third = load(document)
    assert not third.cached
    assert third.program.digest != first.program.digest
    assert load(document).cached


def test_without_a_folder_nothing_is_kept(document: Path) -> None:
    assert not load_program(str(document), CompileOptions(), None).cached
    assert not load_program(str(document), CompileOptions(), None).cached


@pytest.mark.parametrize("keep", [0, 1, 0.5, 0.999])
def test_a_damaged_entry_is_made_anew(document: Path, keep: float) -> None:
    load(document)
    (entry,) = (document.parent / "cache").iterdir()
    data = entry.read_bytes()
    entry.write_bytes(data[: int(len(data) * keep)] if keep < 1 else data[:-9] + b"\xc1" * 9)
    assert not load(document).cached
    assert load(document).cached


def test_many_runs_may_write_one_entry_at_the_same_time(document: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: load(document).encoded, range(4)))
    assert len(set(found)) == 1
    assert [path.suffix for path in (document.parent / "cache").iterdir()] == [".msgpack"]
    assert load(document).cached


def test_a_cache_that_cannot_be_written_does_no_harm(document: Path) -> None:
    (document.parent / "cache").write_text("a file stands in its place")
    assert not load(document).cached


def test_a_warm_start_imports_nothing_of_the_front_end(document: Path) -> None:
    load(document)
    script = f"""
import sys
from pathlib import Path
from typing import Any
from cwlbalsam.parser.cache import load_program
from cwlbalsam.parser.options import CompileOptions
from cwlbalsam.parser.expand import Expander
loaded = load_program({str(document)!r}, CompileOptions(), Path({str(document.parent / "cache")!r}))
Expander(loaded.program).start({{}})
assert loaded.cached
heavy = {{"cwltool", "schema_salad", "ruamel", "rdflib", "networkx", "sqlalchemy", "asyncio"}}
print(*sorted(heavy & {{name.partition(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
