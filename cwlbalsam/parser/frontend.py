"""The front end: documents are fetched, resolved and validated by cwltool and schema-salad, each file once.

The only module, with `parser.ontology`, that imports them (0.5 s): import it lazily.
"""

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin

from cwltool import load_tool
from cwltool import process as cwltool_process
from cwltool.context import LoadingContext
from cwltool.load_tool import default_loader, fetch_document, resolve_and_validate_document, resolve_tool_uri
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from schema_salad.exceptions import SchemaSaladException, ValidationException
from schema_salad.ref_resolver import Loader
from schema_salad.sourceline import SourceLine, cmap

from cwlbalsam.errors import DocumentError, Problem, UnsupportedError
from cwlbalsam.parser.address import document_uri
from cwlbalsam.parser.bombs import check_imports, write_out_aliases
from cwlbalsam.parser.complaints import UNKNOWN_CLASS, problems_of, similar_files
from cwlbalsam.parser.fetching import RecordingFetcher, show_uri
from cwlbalsam.parser.options import UNREADABLE

VERSIONS = ("v1.0", "v1.1", "v1.2")
DEV_VERSIONS = ("v1.1.0-dev1", "v1.2.0-dev1", "v1.2.0-dev2", "v1.2.0-dev3", "v1.2.0-dev4", "v1.2.0-dev5", "v1.3.0-dev1")
EXTENSIONS_MARK = "http://commonwl.org/cwltool#"
EXTENSIONS = {
    "v1.0": "extensions.yml",
    "v1.1": "extensions-v1.1.yml",
    "v1.2": "extensions-v1.2.yml",
    "v1.3.0-dev1": "extensions-v1.3.yml",
}
NO_FILE = "test"  # where schema-salad says a node stands that it made itself
MALFORMED = (TypeError, ValueError, LookupError, AttributeError, AssertionError, StopIteration, YAMLError)
"""What cwltool and schema-salad raise, before they validate, where a node is of a kind that they do not reckon with."""

logging.getLogger("cwltool").setLevel(logging.ERROR)
logging.getLogger("salad").setLevel(logging.ERROR)
logging.getLogger("rdflib.term").setLevel(logging.ERROR)


class _Loader(Loader):  # type: ignore[misc]  # it is Any to mypy
    """schema-salad's follows an inline process once as the link that `run` is, and once as a part of its step: of
    processes nested n deep the innermost is checked 2^n times."""

    def validate_link(self, field: str, link: Any, docid: str, all_doc_ids: dict[str, str]) -> Any:
        """A mapping is no link; what links it has are checked where all parts of a node are."""
        return link if isinstance(link, CommentedMap) else super().validate_link(field, link, docid, all_doc_ids)


load_tool.Loader = _Loader


@dataclass(frozen=True)
class Document:
    """One file, resolved: identifiers are absolute URIs, maps are lists. `root` is a process or a list of them."""

    uri: str
    root: Any
    version: str
    namespaces: Mapping[str, str]
    schemas: tuple[str, ...]
    index: Mapping[str, Any]


@dataclass
class Library:
    """All documents of one compilation, by URI without fragment, and every file that was read with its sha256."""

    enable_dev: bool = False
    strict: bool = True
    files: dict[str, str] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    _broken: dict[str, DocumentError] = field(default_factory=dict)

    def resolve(self, name: str) -> str:
        """The URI of a document given as a path, `path#fragment` or URL. Raises DocumentError if there is none."""
        path = name.partition("#")[0]
        if Path(name).exists() or Path(path).exists():
            return document_uri(name)
        try:
            return str(resolve_tool_uri(name)[0])
        except SchemaSaladException as error:
            raise DocumentError([Problem("", f"no such document: {name}", similar_files(path))]) from error

    def document(self, uri: str) -> Document:
        """The document with this URI (its fragment is ignored), loaded on first use."""
        base = urldefrag(uri)[0]
        if base in self._broken:
            raise self._broken[base]
        if base not in self.documents:
            try:
                self.documents[base] = self._load(base)
            except DocumentError as error:
                self._broken[base] = error
                raise
        return self.documents[base]

    def process(self, uri: str) -> tuple[Any, Document]:
        """The node of a process. Without a fragment, a `$graph` gives its `#main`."""
        document = self.document(uri)
        if urldefrag(uri)[1]:
            node = document.index.get(uri)
            if not isinstance(node, Mapping) or "class" not in node:
                raise _missing_fragment(uri, document)
            return node, document
        if isinstance(document.root, Mapping):
            return document.root, document
        for node in document.root:
            if isinstance(node, Mapping) and node.get("id") == f"{document.uri}#main":
                return node, document
        raise _missing_fragment(f"{document.uri}#main", document)

    def requirements(self, uri: str, requirements: Sequence[Mapping[str, Any]]) -> tuple[Any, Document]:
        """Requirements from outside a document, resolved and validated as if a tool beside it had them."""
        _, document = self.process(uri)
        name = f"{document.uri}#cwlbalsam-overrides-{len(self.documents)}"
        tool = {
            "id": name,
            "cwlVersion": document.version,
            "class": "CommandLineTool",
            "baseCommand": "true",
            "inputs": [],
            "outputs": [],
            "requirements": [dict(entry) for entry in requirements],
        }
        self.documents[name] = self._load_node(cmap(tool, fn=show_uri(document.uri)), name)
        return self.documents[name].root, self.documents[name]

    def fetch(self, url: str) -> str:
        """A text that a document refers to, remembered like the documents themselves."""
        try:
            return str(default_loader(self._fetcher).fetcher.fetch_text(url))
        except SchemaSaladException as error:
            self.files[url] = UNREADABLE
            raise DocumentError(problems_of(error, url, {})) from error

    def _load(self, uri: str) -> Document:
        return self._load_node(uri, uri)

    def _load_node(self, source: Any, uri: str) -> Document:
        """source: a URI, or a node that stands under the URI although no file holds it."""
        context = LoadingContext(
            {
                "do_update": False,
                "enable_dev": self.enable_dev,
                "strict": self.strict,
                "skip_schemas": True,  # its graph is shared by all documents of the process: see parser.ontology
                "fetcher_constructor": self._fetcher,
            }
        )
        try:
            context, node, _ = fetch_document(source, context)
            check_imports(node, uri, default_loader(self._fetcher).fetch)  # a loader of its own: it remembers trees
            version = self._version(node, uri)
            text = context.loader.fetcher.fetch_text(uri) if source is uri else EXTENSIONS_MARK
            write_out_aliases(node, text)
            _use_schema(version, extended=EXTENSIONS_MARK in text)
            context, _ = resolve_and_validate_document(context, node, uri)
            root, metadata = context.loader.resolve_ref(uri)
        except SchemaSaladException as error:
            raise _document_error(problems_of(error, uri, context.loader.idx if context.loader else {}), uri) from error
        except RecursionError as error:
            raise DocumentError(
                [Problem(show_uri(uri), "the document is nested too deeply, or imports itself")]
            ) from error
        except MALFORMED as error:
            raise DocumentError([_malformed(error, uri, self.files)]) from error
        return Document(
            uri=uri,
            root=root,
            version=version,
            namespaces={str(key): str(value) for key, value in (metadata.get("$namespaces") or {}).items()},
            schemas=tuple(map(str, metadata.get("$schemas") or ())),
            index=context.loader.idx,
        )

    def _fetcher(self, known: dict[str, Any], session: Any) -> "RecordingFetcher":
        return RecordingFetcher(known, session, self.files)

    def _version(self, node: Any, uri: str) -> str:
        if not isinstance(node, Mapping):
            raise ValidationException(f"a CWL document is a mapping, not a {type(node).__name__}")
        version = node.get("cwlVersion")
        if version is None:
            raise ValidationException("no cwlVersion found; add, for example, `cwlVersion: v1.2` as the first line")
        version = re.sub(r"^(cwl:|https://w3id.org/cwl/cwl#)", "", str(version))
        known = VERSIONS + (DEV_VERSIONS if self.enable_dev else ())
        if version not in known:
            message = f"cwlVersion {version!r} is not supported; {_other_version(version, known)}"
            raise ValidationException(message, SourceLine(node, "cwlVersion"))
        return version


def _other_version(version: str, known: Sequence[str]) -> str:
    if version in DEV_VERSIONS:
        return "with --enable-dev it is accepted"
    if f"v{version}" in known:
        return f"did you mean v{version}?"
    if drafts := [draft for draft in DEV_VERSIONS if draft.startswith(f"{version}.0-")]:
        return f"of it, --enable-dev accepts the draft {drafts[-1]}"
    return f"known: {', '.join(known)}"


def place_of(node: Any, key: str | int | None, document: Document) -> str:
    """`file:line:column` of a key (or of the node itself), as far as the loader kept it."""
    position = getattr(node, "lc", None)
    if position is None:
        return show_uri(document.uri)
    name = getattr(position, "filename", None)
    if name in (None, "", NO_FILE):
        name = document.uri
    data = position.data or {}
    entry = data.get(key) if isinstance(data, dict) and key is not None else None
    line, column = (entry[0], entry[1]) if entry else (position.line or 0, position.col or 0)
    return f"{show_uri(name)}:{line + 1}:{column + 1}"


def _document_error(problems: list[Problem], uri: str) -> DocumentError:
    """A class in a namespace of somebody's own is a requirement that nobody here knows."""
    found = [UNKNOWN_CLASS.fullmatch(problem.message) for problem in problems]
    if found and found[0] and all(match and not match[1].startswith(urljoin(uri, ".")) for match in found):
        return UnsupportedError(f"unsupported requirement {found[0][1]}", place=problems[0].place)
    return DocumentError(problems)


def _malformed(error: Exception, uri: str, read: Collection[str]) -> Problem:
    """Only the traceback knows how far they had come: the place is that of the innermost node they held."""
    place, trace, known = show_uri(uri), error.__traceback__, set(map(show_uri, read))
    while trace is not None:
        for value in list(trace.tb_frame.f_locals.values()):
            position = getattr(value, "lc", None)
            name = show_uri(getattr(position, "filename", ""))
            if position is not None and position.line is not None and name in known:
                place = f"{name}:{position.line + 1}:{position.col + 1}"
        trace = trace.tb_next
    if isinstance(error, StopIteration):
        return Problem(place, "the document is empty")
    kind = f"it has no {error}" if isinstance(error, KeyError) else str(error)
    hint = "something here is of another kind than CWL says: a list for a string, say, or a number for a mapping"
    return Problem(place, f"this is not CWL: {kind}", hint)


def _missing_fragment(uri: str, document: Document) -> DocumentError:
    known = [str(key) for key, node in document.index.items() if isinstance(node, Mapping) and "class" in node]
    names = sorted(key.removeprefix(document.uri) for key in known if key.startswith(f"{document.uri}#"))
    hint = f"it holds {', '.join(names)}" if names else ""
    fragment = urldefrag(uri)[1]
    return DocumentError([Problem(show_uri(document.uri), f"there is no process '#{fragment}'", hint)])


_schemas: dict[tuple[str, bool], Any] = {}


def _use_schema(version: str, *, extended: bool) -> None:
    """Put the schema of a version, with cwltool's extensions or without, where cwltool looks for it.

    cwltool knows one of the two per process; documents of both kinds are compiled here.
    """
    extended = extended and version in EXTENSIONS
    if (version, extended) not in _schemas:
        if extended:
            text = files("cwltool").joinpath(EXTENSIONS[version]).read_text("utf-8")
            cwltool_process.use_custom_schema(version, "http://commonwl.org/cwltool", text)
        else:
            cwltool_process.use_standard_schema(version)
        _schemas[version, extended] = cwltool_process.get_schema(version)
    cwltool_process.SCHEMA_CACHE[version] = _schemas[version, extended]
