"""The job order: the values that a run starts with, from a file, an address, standard input or arguments."""

import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

from msgspec import Struct
from msgspec.structs import replace

from cwlbalsam.cwl.records import Field, Program
from cwlbalsam.cwl.types import accepts_null, mistakes, show_path
from cwlbalsam.errors import DocumentError, Problem, UserError, did_you_mean
from cwlbalsam.parser.address import is_address
from cwlbalsam.service.input_arguments import parse_arguments, type_name
from cwlbalsam.service.jobfile import TextFile, file_uri, parse_tree, read_file, uri_path
from cwlbalsam.service.overrides import OVERRIDE_KEYS, REQUIREMENT_KEYS, requirement_list, resolve_uri, take_key

TOOL_KEYS = ("cwl:tool", "https://w3id.org/cwl/cwl#tool")
PATH_ALONE = re.compile(r"expected (File|Directory)(\[\])?\??, got string (.*)", re.DOTALL)
KEPT_SCHEMES = ("http", "https", "ftp", "gsiftp", "s3", "gs", "site")


class InputSource(Struct, frozen=True, kw_only=True):
    """Where inputs come from: a job file (path, address or `-`; empty: none), then arguments, which win.

    reserved: the command's own options, `--outdir` and so on, which somebody may have written among the inputs.
    """

    file: str = ""
    arguments: tuple[str, ...] = ()
    reserved: frozenset[str] = frozenset()


class JobFile(Struct, frozen=True, kw_only=True):
    """A job order as it was read, before the document is known: what compiling needs is in it.

    overrides: as written; `absolute_overrides` makes them ready for the parser.
    """

    source: TextFile
    values: dict[str, Any]
    tool: str = ""
    requirements: tuple[dict[str, Any], ...] = ()
    overrides: Any = ()
    namespaces: dict[str, str] = {}


class JobOrder(Struct, frozen=True, kw_only=True):
    """values: File and Directory objects have an absolute `location`, unless they are literals, and no `path`.

    source, given: the job file, and the names of the inputs that come from arguments instead.
    """

    values: dict[str, Any]
    warnings: tuple[Problem, ...] = ()
    source: TextFile | None = None
    given: frozenset[str] = frozenset()

    def place(self, path: Sequence[str | int]) -> str:
        """`file:line:column` of a value of the job file; empty for others."""
        if self.source is None or path[0] not in self.values or path[0] in self.given:
            return ""
        return self.source.place(path)


def split_arguments(arguments: Sequence[str]) -> InputSource:
    """What follows a document on the command line: a job file, if the first is no option, then `--name value`."""
    if arguments and (arguments[0] == "-" or not arguments[0].startswith("-")):
        return InputSource(file=arguments[0], arguments=tuple(arguments[1:]))
    return InputSource(arguments=tuple(arguments))


def read_job_file(name: str, *, base: Path) -> JobFile:
    """Reads a job file alone. base: directory that relative paths of standard input are resolved against."""
    source = read_file(name, base)
    tree = parse_tree(source)
    if not isinstance(tree, dict):
        hint = "write a mapping of input names to values, or {} if there are none"
        found = "nothing" if tree is None else f"a {type(tree).__name__}"
        raise UserError(f"the job order is not a mapping but {found}", place=source.name, hint=hint)
    tool = take_key(tree, TOOL_KEYS) or ""
    overrides = take_key(tree, OVERRIDE_KEYS) or ()
    requirements = requirement_list(take_key(tree, REQUIREMENT_KEYS), source.name)
    namespaces = tree.pop("$namespaces", None)
    for key in ("$schemas", "$graph"):
        tree.pop(key, None)
    return JobFile(
        source=source,
        values=tree,
        tool=resolve_uri(str(tool), source.uri) if tool else "",
        requirements=requirements,
        overrides=overrides,
        namespaces=namespaces if isinstance(namespaces, dict) else {},
    )


def is_job_file(name: str) -> bool:
    """Whether a file holds inputs, not a document: a mapping that is of no version of CWL and of no class."""
    if is_address(name) or not Path(name).is_file():
        return False
    try:
        tree = parse_tree(read_file(name, Path.cwd()))
    except UserError:
        return False
    return isinstance(tree, dict) and not {"cwlVersion", "class", "$graph"} & set(tree)


def swap_tool(document: str, source: InputSource, *, base: Path) -> tuple[str, InputSource]:
    """A job file with `cwl:tool` may stand where the document stands; says which is which then."""
    if source.file or is_address(document) or not Path(document).is_file():
        return document, source
    text = Path(document).read_bytes()
    if not any(key.encode() in text for key in TOOL_KEYS) or b"cwlVersion" in text:
        return document, source
    job = read_job_file(document, base=base)
    return (job.tool, replace(source, file=document)) if job.tool else (document, source)


def load_inputs(
    program_inputs: tuple[Field, ...],
    source: InputSource,
    *,
    base: Path,
    job: JobFile | None = None,
    namespaces: Mapping[str, str] = {},
) -> JobOrder:
    """Reads all inputs, makes their files absolute and sees that they exist.

    base: directory that paths in arguments are relative to. job: the job file, if it has been read already.
    namespaces: prefixes of the document. Raises DocumentError with every mistake. Types are not checked here.
    """
    if job is None and source.file:
        job = read_job_file(source.file, base=base)
    resolver = _Resolver({**(job.namespaces if job else {}), **namespaces})
    values: dict[str, Any] = {}
    if job:
        resolver.origin = job.source
        resolver.base = job.source.uri
        values = {name: resolver.resolve(value, (name,)) for name, value in job.values.items()}
    given = parse_arguments(program_inputs, source.arguments, source.reserved)
    resolver.origin, resolver.base = None, file_uri(base) + "/"
    values |= {name: resolver.resolve(value, (name,)) for name, value in given.items()}
    if resolver.problems:
        raise DocumentError(resolver.problems)
    warnings = _unknown_inputs(program_inputs, job) if job else ()
    known = {parameter.name for parameter in program_inputs}
    return JobOrder(
        values={name: value for name, value in values.items() if name in known},
        warnings=warnings,
        source=job.source if job else None,
        given=frozenset(given),
    )


def _unknown_inputs(inputs: Sequence[Field], job: JobFile) -> tuple[Problem, ...]:
    """Values that no input takes: cwltool ignores them, so they are warnings. `id` and prefixed names are metadata."""
    known = [field.name for field in inputs]
    strangers = [name for name in job.values if name not in known and name != "id" and not set(name) & set(":$@")]
    return tuple(
        Problem(job.source.place([name]), f"the document has no input '{name}'; ignored", did_you_mean(name, known))
        for name in strangers
    )


class _Resolver:
    """Makes File and Directory objects absolute; collects what is wrong with them."""

    def __init__(self, namespaces: Mapping[str, str]) -> None:
        self.namespaces = namespaces
        self.origin: TextFile | None = None  # None: arguments
        self.base = ""
        self.problems: list[Problem] = []

    def complain(self, path: tuple[str | int, ...], message: str, hint: str = "") -> None:
        place = self.origin.place(path) if self.origin else ""
        self.problems.append(Problem(place, f"input '{path[0]}{show_path(path[1:])}': {message}", hint))

    def resolve(self, value: Any, path: tuple[str | int, ...]) -> Any:
        if isinstance(value, list):
            return [self.resolve(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        kind = value.get("class")
        if kind not in {"File", "Directory"}:
            return {name: self.resolve(item, (*path, name)) for name, item in value.items()}
        made = dict(value)
        self.locate(made, kind, path)
        for part in ("secondaryFiles", "listing"):
            if isinstance(made.get(part), list):
                made[part] = self.resolve(made[part], (*path, part))
        if isinstance(made.get("format"), str):
            made["format"] = self.expand_format(made["format"])
        return made

    def expand_format(self, written: str) -> str:
        prefix, colon, rest = written.partition(":")
        return self.namespaces[prefix] + rest if colon and prefix in self.namespaces else written

    def locate(self, value: dict[str, Any], kind: str, path: tuple[str | int, ...]) -> None:
        """Puts an absolute `location` in place of `path` or `location`."""
        key = "location" if "location" in value else "path"
        written = value.pop(key, None)
        value.pop("path", None)
        if written is None:
            self.check_literal(value, kind, path)
            return
        if not isinstance(written, str) or not written:
            self.complain((*path, key), f"`{key}` must be text, not {written!r}")
            return
        location = self.absolute(written, key)
        if location.startswith("file:"):
            self.check_place(location, kind, written, (*path, key))
            value.pop("listing", None)  # what is on the disk counts
        elif not location.startswith("_:") and location.partition(":")[0] not in KEPT_SCHEMES:
            hint = "a location is a URI: write ':' as %3A, or use `path`"
            self.complain((*path, key), f"cannot read location '{written}'", hint)
        value["location"] = location

    def absolute(self, written: str, key: str) -> str:
        scheme = written.partition("://")[0]
        if written.startswith("file:"):
            return file_uri(uri_path(written))
        if scheme in KEPT_SCHEMES:
            return written
        if key == "path":
            if not self.base.startswith("file:"):
                return urljoin(self.base, quote(written))
            return file_uri(uri_path(urljoin(self.base, ".")) + written if not written.startswith("/") else written)
        joined = urljoin(self.base, written)
        return file_uri(uri_path(joined)) if joined.startswith("file:") else joined

    def check_literal(self, value: dict[str, Any], kind: str, path: tuple[str | int, ...]) -> None:
        needed = "contents" if kind == "File" else "listing"
        if needed not in value:
            self.complain(path, f"a {kind} needs `path` or `location`, or `{needed}` if it is a literal")

    def check_place(self, location: str, kind: str, written: str, path: tuple[str | int, ...]) -> None:
        place = uri_path(location)
        try:
            is_directory = stat.S_ISDIR(Path(place).stat().st_mode)
        except (OSError, ValueError) as error:
            message = "no such" if isinstance(error, FileNotFoundError) else "cannot reach"
            self.complain(path, f"{message} {kind.lower()}: {written}", f"looked for {place}")
            return
        if is_directory != (kind == "Directory"):
            found = "a directory" if is_directory else "a file"
            self.complain(path, f"{written} is {found}, not a {kind}")


def _file_hint(message: str) -> str:
    """The way to write a File, for those who wrote its path alone."""
    found = PATH_ALONE.fullmatch(message)
    if not found:
        return ""
    written = f"{{class: {found[1]}, path: {found[3]}}}"
    return f"write [{written}]" if found[2] else f"write {written}"


def check_inputs(program: Program, values: Mapping[str, Any], order: JobOrder | None = None) -> None:
    """Checks values against the types of the program's inputs. Raises DocumentError with every mistake.

    An input without value counts as its default.
    """
    problems = []
    for parameter in program.processes[program.main].inputs:
        value = values.get(parameter.name)
        value = parameter.default if value is None else value
        if value is None and not accepts_null(parameter.type):
            hint = f"give it in the job file, or as --{parameter.name} {type_name(parameter.type)}"
            problems.append(Problem("", f"input '{parameter.name}' is required but has no value", hint))
        else:
            for path, message in mistakes(value, parameter.type):
                place = order.place((parameter.name, *path)) if order else ""
                hint = _file_hint(message)
                problems.append(Problem(place, f"input '{parameter.name}{show_path(path)}': {message}", hint))
    if problems:
        raise DocumentError(problems)
