from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cwlbalsam.cwl.records import ArrayType, EnumType, Field, Primitive, RecordType, UnionType
from cwlbalsam.service.jobfile import TextFile, parse_tree
from cwlbalsam.service.template import make_template

NULL, FILE = Primitive(name="null"), Primitive(name="File")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="ascii")), inner, max_size=3)
    ),
)


def test_a_template_shows_types_examples_docs_and_defaults() -> None:
    fields = (
        Field(name="reads", type=ArrayType(items=FILE), doc="The reads.\nAll of them."),
        Field(name="n", type=UnionType(options=(NULL, Primitive(name="int")))),
        Field(name="mode", type=EnumType(symbols=("a", "b")), default="b"),
        Field(name="no", type=RecordType(fields=(Field(name="x", type=Primitive(name="double")),))),
    )
    assert make_template(fields) == (
        "# The reads.\n# All of them.\n"
        "reads:  # File[]\n  - class: File\n    path: a/file/path\n"
        "n: null  # int?; for example 0\n"
        "mode: b  # a|b; the default\n"
        '"no":  # {x: double}\n  x: 0.1\n'
    )
    assert make_template(()) == "{}\n"


@given(
    st.dictionaries(st.text(st.characters(codec="ascii"), min_size=1), JSON.filter(lambda v: v is not None), max_size=3)
)
def test_a_template_reads_back_as_the_defaults(defaults: dict[str, Any]) -> None:
    fields = [Field(name=name, type=Primitive(name="Any"), default=value) for name, value in defaults.items()]
    assert parse_tree(TextFile("t", "file:///t", make_template(fields))) == defaults
