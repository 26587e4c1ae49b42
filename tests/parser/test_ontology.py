from pathlib import Path

from tests.parser.documents import compile_text, tool

TURTLE = """@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
<http://e/fastq> rdfs:subClassOf <http://e/text> .
<http://e/fq> owl:equivalentClass <http://e/fastq> .
"""


def test_formats_of_one_document_are_unknown_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "formats.ttl").write_text(TURTLE)
    with_formats = compile_text(tmp_path, tool(**{"$schemas": ["formats.ttl"]}))
    assert with_formats.program.ontology == {
        "http://e/fastq": ("http://e/fq", "http://e/text"),
        "http://e/fq": ("http://e/fastq",),
    }
    assert (tmp_path / "formats.ttl").as_uri() in with_formats.files
    assert compile_text(tmp_path, tool()).program.ontology == {}
    skipped = compile_text(tmp_path, tool(**{"$schemas": ["formats.ttl"]}), skip_schemas=True)
    assert skipped.program.ontology == {}


def test_an_ontology_that_cannot_be_read_is_a_doubt_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "formats.ttl").write_text("this is no RDF")
    compiled = compile_text(tmp_path, tool(**{"$schemas": ["formats.ttl", "missing.ttl"]}))
    assert compiled.program.ontology == {}
    unreadable, missing = compiled.warnings
    assert unreadable.message == "$schemas: no RDF that can be read"
    assert unreadable.place == str(tmp_path / "formats.ttl")
    assert missing.place == str(tmp_path / "missing.ttl")
    assert compiled.files[(tmp_path / "missing.ttl").as_uri()] == ""
