"""What can be done with a document without running it: check it, pack it, name its files."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin

from cwlbalsam.cwl.records import Field, Primitive, Program, WorkflowProcess
from cwlbalsam.errors import DocumentError, Problem, UserError
from cwlbalsam.parser.address import document_uri
from cwlbalsam.parser.checks import shared_names
from cwlbalsam.service.home import find_home
from cwlbalsam.service.inputs import InputSource, check_inputs, load_inputs, read_job_file
from cwlbalsam.service.jobfile import uri_path
from cwlbalsam.service.options import RunOptions
from cwlbalsam.service.overrides import compile_options

if TYPE_CHECKING:
    from cwlbalsam.parser.cache import Loaded

REFERENCES = {"$import", "run"}
FILES = {"$include", "$schemas", "location"}


def load_document(document: str, options: RunOptions) -> "Loaded":
    """The Program of a document, as `run` would compile it, and the compiler's warnings. Raises DocumentError."""
    from cwlbalsam.parser.cache import load_program

    return load_program(document, compile_options(document, options), find_home(options.home).programs)


def compile_program(document: str, options: RunOptions) -> Program:
    """The Program alone."""
    return load_document(document, options).program


@dataclass(frozen=True)
class Finding:
    """What is wrong with a document (then it is not valid), and what is doubtful."""

    document: str
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def check_document(document: str, options: RunOptions, inputs: InputSource | None = None) -> Finding:
    """Checks a document, and its inputs if there are any."""
    try:
        loaded = load_document(document, options)
        if not inputs or not (inputs.file or inputs.arguments):
            return Finding(document, warnings=loaded.warnings)
        program = loaded.program
        fields = program.processes[program.main].inputs
        order = load_inputs(fields, inputs, base=Path.cwd(), namespaces=program.namespaces)
        check_inputs(program, order.values, order)
    except UserError as error:
        return Finding(document, error.problems)
    return Finding(document, warnings=(*loaded.warnings, *order.warnings))


def report_findings(findings: Sequence[Finding]) -> str:
    """The findings as JSON."""
    report = [
        {
            "document": finding.document,
            "valid": not finding.problems,
            "problems": [asdict(problem) for problem in finding.problems],
            "warnings": [asdict(warning) for warning in finding.warnings],
        }
        for finding in findings
    ]
    return json.dumps(report, indent=4)


def pack_document(document: str, options: RunOptions) -> str:
    """The document and all it refers to as one JSON document. Raises DocumentError if it is not valid."""
    program = compile_program(document, options)  # says clearly what is wrong; packing would not
    workflows = [process for process in program.processes if isinstance(process, WorkflowProcess)]
    if shared := [problem for workflow in workflows for problem in shared_names(workflow)]:
        raise DocumentError([replace(problem, message=f"cannot be packed: {problem.message}") for problem in shared])
    from cwltool.context import LoadingContext
    from cwltool.load_tool import default_loader
    from cwltool.pack import pack
    from schema_salad.exceptions import SchemaSaladException

    from cwlbalsam.parser.frontend import Library

    library = Library(enable_dev=options.enable_dev, strict=options.strict)
    process, _ = library.process(library.resolve(document))
    context = LoadingContext({"enable_dev": options.enable_dev, "strict": options.strict, "skip_schemas": True})
    context.loader = default_loader(enable_dev=options.enable_dev)
    try:
        packed = pack(context, str(process["id"]))
    except SchemaSaladException as error:
        raise DocumentError([Problem(document, f"cannot be packed: {error}")]) from error
    graph = packed["$graph"]
    return json.dumps(packed if len(graph) > 1 else graph[0], indent=4, ensure_ascii=False, default=str)


def document_files(document: str, *, relative_to: str = "primary") -> dict[str, Any]:
    """The files that a document refers to, as cwltool prints them: a File with secondaryFiles, all locations relative.

    relative_to: `primary` (the document's directory) or `cwd`.
    """
    from cwltool.load_tool import default_loader
    from cwltool.process import CWL_IANA, mergedirs, scandeps
    from schema_salad.exceptions import SchemaSaladException

    uri = document_uri(document)
    loader = default_loader()
    try:
        tree = loader.fetch(urldefrag(uri)[0])
        found = scandeps(uri, tree, REFERENCES, FILES, lambda base, name: loader.fetch(urljoin(base, name)))
    except SchemaSaladException as error:
        raise DocumentError([Problem(document, str(error))]) from error
    listing = {"class": "File", "location": uri, "format": CWL_IANA}
    if found:
        listing["secondaryFiles"] = mergedirs(found)
    made: dict[str, Any] = _relative(listing, _base(uri, relative_to))
    return made


def input_files(inputs: InputSource, *, relative_to: str = "primary") -> dict[str, Any]:
    """The files that inputs name, in the same form. Without a job file `primary` is the current directory."""
    job = read_job_file(inputs.file, base=Path.cwd())
    fields = tuple(Field(name=name, type=Primitive(name="Any")) for name in job.values)
    order = load_inputs(fields, InputSource(file=inputs.file), base=Path.cwd(), job=job)
    listing = {"class": "File", "location": job.source.uri, "secondaryFiles": list(_named_files(order.values))}
    made: dict[str, Any] = _relative(listing, _base(job.source.uri, relative_to))
    return made


def _named_files(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [file for item in value for file in _named_files(item)]
    if not isinstance(value, dict):
        return []
    if "location" not in value or value.get("class") not in {"File", "Directory"}:
        return _named_files(list(value.values()))
    kept = {key: value[key] for key in ("class", "location", "basename") if key in value}
    inner = _named_files(value.get("secondaryFiles", []))
    return [kept | ({"secondaryFiles": inner} if inner else {})]


def _base(uri: str, relative_to: str) -> str:
    if relative_to == "cwd" or not uri.startswith("file:"):
        return str(Path.cwd())
    return str(Path(uri_path(urldefrag(uri)[0])).parent)


def _relative(value: Any, base: str) -> Any:
    """A copy in which each local location is a path relative to `base`."""
    if isinstance(value, list):
        return [_relative(item, base) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _relative(item, base) for key, item in value.items()}
    location = made.get("location")
    if isinstance(location, str) and location.startswith("file:"):
        made["location"] = os.path.relpath(uri_path(location), base)
    return made
