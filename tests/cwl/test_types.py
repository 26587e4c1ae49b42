from cwlbalsam.cwl.records import ArrayType, EnumType, Field, RecordType, UnionType
from cwlbalsam.cwl.types import check, describe, matches, unknown_fields
from tests.cwl.jobs import ANY, BOOLEAN, DOUBLE, FILE, INT, NULL, STRING, optional

READ = RecordType(fields=(Field(name="depth", type=INT), Field(name="file", type=FILE)))


def test_all_mistakes_are_named_by_their_path():
    value = [{"depth": "x", "file": {"class": "Directory", "location": "file:///d"}}, {"depth": 1}, 3]
    assert check(value, ArrayType(items=READ), "inputs.reads") == [
        "inputs.reads[0].depth: expected int, got string 'x'",
        "inputs.reads[0].file: expected File, got Directory 'file:///d'",
        "inputs.reads[1].file: missing, expected File",
        "inputs.reads[2]: expected record with depth, file, got int 3",
    ]


def test_an_optional_record_is_looked_into():
    assert check({"depth": 1.5, "file": None}, optional(READ), "r") == [
        "r.depth: expected int, got float 1.5",
        "r.file: expected File, got null",
    ]


def test_numbers_fit_by_range_and_booleans_are_no_numbers():
    assert matches(2**31 - 1, INT)
    assert not matches(2**31, INT)
    assert matches(3, DOUBLE)
    assert not matches(True, INT)
    assert not matches(1, BOOLEAN)


def test_any_is_everything_but_null():
    assert matches([None], ANY)
    assert not matches(None, ANY)


def test_types_are_described_in_the_words_of_cwl():
    assert describe(optional(FILE)) == "File?"
    assert describe(ArrayType(items=STRING)) == "string[]"
    assert describe(UnionType(options=(NULL, INT, EnumType(symbols=("a", "b"))))) == "int or one of 'a', 'b' or null"


def test_unknown_fields_are_found_but_no_mistake():
    value = {"depth": 1, "file": {"class": "File", "location": "file:///f"}, "extra": 2}
    assert matches(value, READ)
    assert list(unknown_fields([value], ArrayType(items=READ), "in")) == [
        "in[0].extra: the record type has no such field"
    ]
