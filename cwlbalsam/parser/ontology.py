"""Format ontologies (`$schemas`), read into a map of format -> parents.

One fresh graph per Program: what one document says of formats is unknown to the next.
"""

from typing import Any

from cwlbalsam.errors import DocumentError, Problem
from cwlbalsam.parser.fetching import show_uri
from cwlbalsam.parser.frontend import Library


def load_ontology(library: Library, warnings: list[Problem]) -> dict[str, tuple[str, ...]]:
    """Parents and equivalents of every format named by the `$schemas` of the library's documents.

    One that cannot be read is a warning: most of them only describe the document, and are pages that come and go.
    """
    urls = dict.fromkeys(url for document in library.documents.values() for url in document.schemas)
    if not urls:
        return {}
    from rdflib import Graph
    from rdflib.namespace import OWL, RDFS

    parents: dict[str, set[str]] = {}
    for url in urls:
        try:
            graph = _parse(library, url, Graph())
        except DocumentError as error:
            warnings += (Problem(found.place, f"$schemas: {found.message}", found.hint) for found in error.problems)
            continue
        for child, parent in graph.subject_objects(RDFS.subClassOf):
            parents.setdefault(str(child), set()).add(str(parent))
        for one, other in graph.subject_objects(OWL.equivalentClass):
            parents.setdefault(str(one), set()).add(str(other))
            parents.setdefault(str(other), set()).add(str(one))
    return {child: tuple(sorted(found)) for child, found in sorted(parents.items())}


def _parse(library: Library, url: str, graph: Any) -> Any:
    text = library.fetch(url)
    errors = []
    for syntax in ("xml", "turtle", "json-ld"):
        try:
            return graph.parse(data=text, format=syntax, publicID=url)
        except Exception as error:  # rdflib's parsers raise whatever their XML, JSON and turtle readers do
            errors.append(f"as {syntax}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    raise DocumentError([Problem(show_uri(url), "no RDF that can be read", "\n".join(errors))])
