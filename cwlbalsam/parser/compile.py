"""Compilation of a document, from its name to a Program."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from cwlbalsam.cwl.records import Program
from cwlbalsam.errors import DocumentError, Problem, UserError
from cwlbalsam.parser.frontend import Library
from cwlbalsam.parser.link import Linker
from cwlbalsam.parser.nodes import Node
from cwlbalsam.parser.options import CompileOptions
from cwlbalsam.parser.requirements import Entry, read_entries
from cwlbalsam.parser.syntax import check_expressions

log = logging.getLogger(__name__)


class Compiled(Struct, frozen=True):
    """A Program with all that was read to make it: URL -> sha256."""

    program: Program
    files: dict[str, str]
    warnings: tuple[Problem, ...]


def compile_document(name: str, options: CompileOptions | None = None) -> Compiled:
    """Compile the document at a path, `path#fragment` or URL.

    Raises DocumentError with all its mistakes, UnsupportedError if it asks for what is not supported.
    """
    options = options or CompileOptions()
    try:
        return _compile(name, options)
    except RecursionError as error:
        raise DocumentError([Problem(name, "the document is nested too deeply")]) from error
    except UnicodeEncodeError as error:
        hint = "write the whole character, or both halves"
        raise DocumentError([Problem(name, "a text holds half of a character, as \\ud83d is", hint)]) from error


def _compile(name: str, options: CompileOptions) -> Compiled:
    library = Library(enable_dev=options.enable_dev, strict=options.strict)
    uri = library.resolve(name)
    linker = Linker(library, _overrides(library, uri, options), with_ontology=not options.skip_schemas)
    program = linker.program(uri)
    problems = check_expressions(program)
    if problems:
        raise DocumentError(problems)
    return Compiled(program, library.files, tuple(dict.fromkeys(linker.warnings)))


def _overrides(library: Library, uri: str, options: CompileOptions) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for override in options.overrides:
        target = str(override.get("overrideTarget", ""))
        found.setdefault(target, []).extend(_entries(library, uri, override.get("requirements", ())))
    if options.requirements:
        main, document = library.process(uri)
        if document.version == "v1.0":
            hint = "use `cwltool:overrides`, or set the document's cwlVersion to v1.1 or later"
            raise UserError("`cwl:requirements` in the input object is not part of CWL v1.0", hint=hint)
        found.setdefault(str(main["id"]), []).extend(_entries(library, uri, options.requirements))
    return found


def _entries(library: Library, uri: str, requirements: Sequence[Mapping[str, Any]]) -> list[Entry]:
    node = Node(*library.requirements(uri, requirements))
    return read_entries(node, "requirements")
