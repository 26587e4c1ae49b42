import json

import pytest
from cwl_utils.errors import JavascriptException, SubstitutionError
from cwl_utils.expression import interpolate, needs_parsing
from hypothesis import given, settings
from hypothesis import strategies as st

from cwlbalsam.cwl.expressions import (
    Context,
    Evaluator,
    check_library_syntax,
    check_syntax,
    compile_template,
    follow_reference,
)
from cwlbalsam.cwl.records import Expr, Js, Ref, Scope
from cwlbalsam.errors import JobError, UserError

PLAIN = Evaluator(javascript=False)
SCRIPTED = Evaluator(javascript=True)
BAR = {"baz": "zab1", "b az": 2, "b'az": True, 'b"az': None, "buz": ["a", "b", "c"]}


def evaluate(text: str, inputs: dict | None = None, *, scripted: bool = False, **options: str | bool) -> object:
    template = compile_template(text, place="tool.cwl:3:5", **options)
    return (SCRIPTED if scripted else PLAIN).evaluate(template, Context(inputs or {}))


@pytest.mark.parametrize("scripted", [False, True])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(inputs)", {"bar": BAR}),
        ("$(inputs['bar'][\"baz\"])", "zab1"),
        ("$(inputs.bar['b az'])", 2),
        (r"$(inputs.bar['b\'az'])", True),
        ('$(inputs.bar["b\'az"])', True),
        ("$(inputs.bar['b\"az'])", None),
        ("-$(inputs['bar'].baz)", "-zab1"),
        ("$(inputs.bar.baz) $(inputs.bar.baz)", "zab1 zab1"),
        ("$(inputs.bar['b\"az']) $(inputs.bar.buz[1])", "null b"),
        ("$(inputs.bar.buz[1])", "b"),
        ("$(null)", None),
        ("$(inputs.bar.buz.length)", 3),
        ("x$(inputs.bar.buz)", 'x["a", "b", "c"]'),
    ],
)
def test_a_parameter_reference_has_the_value_of_the_params_conformance_tests(text, expected, scripted):
    assert evaluate(text, {"bar": BAR}, scripted=scripted) == expected


def test_length_is_a_field_of_an_object_and_the_size_of_an_array():
    assert evaluate("$(inputs.length)", {"length": 7}) == 7
    assert evaluate("$(inputs.baz.length.bap)", {"baz": {"length": {"bap": 5}}}) == 5
    assert evaluate("$(inputs.a.length)", {"a": []}) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("$(inputs.bar.length)", "inputs.bar is a number, which has no 'length'"),
        ("$(null.something)", "there is no 'null'"),
        ("$(input.bar)", "there is no 'input'; parameter references start with inputs, self or runtime"),
        ("$(inputs.baz)", "inputs has no field 'baz'; it has bar, list"),
        ("$(inputs.list[2])", r"inputs.list has 1 elements, so there is no \[2\]"),
        ("$(inputs.list.length.x)", "inputs.list is an array, which has no 'length'"),
        ("$(inputs.bar + 1)", "is JavaScript, but InlineJavascriptRequirement is missing"),
        ("${return 1}", "is JavaScript, but InlineJavascriptRequirement is missing"),
    ],
)
def test_what_a_reference_cannot_find_is_an_error_that_says_what_there_is(text, message):
    with pytest.raises(JobError, match=message) as caught:
        evaluate(text, {"bar": 0, "list": [1]})
    assert caught.value.problems[0].place == "tool.cwl:3:5"
    assert text in str(caught.value)


def test_backslashes_are_read_as_the_conformance_test_on_quoting_says():
    lines = {
        r"echo \$(echo \ ": r"echo $(echo \ ",
        "'$(inputs.val)'": "'val'",
        r"'\$(inputs.val)'": "'$(inputs.val)'",
        r"'\\$(inputs.val)'": r"'\val'",
        r"'\\\$(inputs.val)'": r"'\$(inputs.val)'",
        r"'\\\\$(inputs.val)'": r"'\\val'",
        r"'\' '\\' '\\\'": r"'\' '\' '\\'",
        r"'$' '\$' '\\$' '$$' '$$$'": r"'$' '\$' '\$' '$$' '$$$'",
    }
    marker = r" \${"  # so that every text is looked at
    for text, expected in lines.items():
        assert evaluate(text + marker, {"val": "val"}) == expected + " ${", text


def test_before_v1_2_a_backslash_hides_whatever_follows():
    assert evaluate(r"a\b\$(inputs.x)\\ \${", version="v1.1") == r"ab$(inputs.x)\ ${"


def test_a_text_without_expressions_is_a_plain_string():
    assert compile_template(r" \\ \n $ x ") == r" \\ \n $ x "
    assert compile_template(r" \$(x) ") == "$(x)"
    assert compile_template(r" \$(x) ", strip=False) == " $(x) "


def test_white_space_around_an_expression_counts_only_unless_stripped():
    assert evaluate(" $(inputs.x)\n", {"x": 3}) == 3
    assert evaluate("$(inputs.x)\n", {"x": 3}, strip=False) == "3\n"


def test_expressions_are_compiled_to_references_where_they_are_references():
    expr = compile_template("""a$(self["x y"][0].z)$( self )${return ")}"}""")
    assert isinstance(expr, Expr)
    assert expr.parts == (
        "a",
        Ref(root="self", path=("x y", 0, "z"), text="""self["x y"][0].z"""),
        Js(code=" self "),
        Js(code='return ")}"', body=True),
    )


def test_joined_values_are_written_as_the_reference_runner_writes_them():
    inputs = {"f": 1e10, "n": 10**25, "t": True, "o": {"b": 1, "a": "é"}}
    assert evaluate("$(inputs.f) $(inputs.n) $(inputs.t) $(inputs.o)", inputs) == (
        '10000000000.0 10000000000000000000000000 true {"a": "\\u00e9", "b": 1}'
    )


@pytest.mark.parametrize("text", ["$(inputs.x", "a ${ return '}' ", "$(inputs['x)", '$("\\")'])
def test_an_expression_without_an_end_is_an_error_with_its_place(text):
    with pytest.raises(UserError, match="has no end") as caught:
        compile_template(text, place="tool.cwl:9:1")
    assert caught.value.problems[0].place == "tool.cwl:9:1"


def test_a_failed_reference_is_tried_as_javascript():
    assert evaluate("$(inputs.text.length)", {"text": "abcd"}, scripted=True) == 4
    assert evaluate("$(inputs.missing)", {}, scripted=True) is None
    with pytest.raises(JobError, match="cannot read property 'x' of undefined"):
        evaluate("$(inputs.missing.x)", {}, scripted=True)


def test_a_string_that_javascript_returns_gets_no_quotes():
    assert evaluate(
        """${return 'quote "' + inputs.quote + '"'}\n""", {"quote": "Hello"}, scripted=True, strip=False
    ) == ('quote "Hello"\n')


def test_a_javascript_error_names_the_line_and_the_source_of_it():
    evaluator = Evaluator(True, ("var one = 1;\n", "// two\nfunction f(x) {\n  return x.no.way;\n}"))
    with pytest.raises(JobError) as caught:
        evaluator.evaluate(compile_template("${\n  var a = 1;\n  return b;\n}", place="t.cwl:1:1"), Context({}))
    assert str(caught.value).endswith("ReferenceError: b is not defined\n    line 3: return b;")
    with pytest.raises(JobError) as caught:
        evaluator.evaluate(compile_template("$(f({}))"), Context({}))
    assert caught.value.problems[0].hint == "expressionLib[1] line 3: return x.no.way;"


def test_syntax_errors_are_found_without_running_anything():
    scope = Scope(javascript=True)
    for text in ("$(self.x + 1)", "${ while (true) {} }", "$(self)", "$((function () { throw 1 })())"):
        expr = compile_template(text)
        assert isinstance(expr, Expr)
        assert check_syntax(expr, scope) is None
    broken = compile_template("${\n  return 1;\n  var = 2;\n}", place="t.cwl:7:3")
    assert isinstance(broken, Expr)
    problem = check_syntax(broken, scope)
    assert problem is not None
    assert (problem.place, problem.hint) == ("t.cwl:7:3", "line 3: var = 2;")
    assert "SyntaxError" in problem.message


def test_javascript_without_the_requirement_is_found_before_it_runs():
    for text in ("$(self + 1)", "$(slef.x)"):
        expr = compile_template(text)
        assert isinstance(expr, Expr)
        problem = check_syntax(expr, Scope())
        assert problem is not None
        assert "InlineJavascriptRequirement: {}" in problem.hint


def test_a_syntax_error_in_expression_lib_is_found():
    problem = check_library_syntax(Scope(javascript=True, expression_lib=("var a;", "var b;\nvar c = ;")), "t.cwl:2:1")
    assert problem is not None
    assert problem.message.startswith("expressionLib[1]: SyntaxError")
    assert problem.hint == "line 2: var c = ;"


def test_a_template_function_of_expression_lib_reads_the_inputs():
    underscore = """var _ = { template: function (text, settings) { return function (data) {
      return text.replace(/<%=([\\s\\S]+?)%>/g, function (whole, expression) {
        return new Function(settings.variable, "return (" + expression + ");")(data); }); }; } };"""
    t = "var t = function(s) { return _.template(s, {variable: 'data'})({'inputs': inputs}); };"
    text = r"""$(t("The file is <%= data.inputs.file1.path.split('/').slice(-1)[0] %>\n"))"""
    context = Context({"file1": {"class": "File", "path": "/a/b/whale.txt"}})
    assert Evaluator(True, (underscore, t)).evaluate(compile_template(text), context) == "The file is whale.txt\n"


# --- properties ----------------------------------------------------------------------------------------------------

GARBAGE = st.one_of(st.text(), st.text("$(){}[]\\'\" .ab0inputs\n")) | st.lists(
    st.sampled_from(
        ["$(inputs.a)", "$(", "${", "\\", "$", ")", "}", "'", '"', "x", " ", "$(inputs['b c'][1])", "$(null)"]
    )
).map("".join)
NAMES = st.sampled_from(["a", "b c", "length", "it's", "toString", "__proto__", "0"]) | st.text(max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5) | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


@given(st.text().filter(lambda text: "$" not in text))
def test_text_without_a_dollar_is_untouched(text):
    assert compile_template(text) == text


@given(GARBAGE, st.sampled_from(["v1.0", "v1.2"]))
@settings(max_examples=400)
def test_any_text_gives_what_the_reference_runner_gives_and_no_error_but_a_users(text, version):
    inputs = {"a": "A", "b c": [1, {"x": None}]}
    try:
        ours = evaluate(text, inputs, version=version)
    except UserError:
        ours = UserError
    try:
        roots = {"inputs": inputs, "self": None, "runtime": {}}
        behaviour = 1 if version == "v1.0" else 2
        theirs = interpolate(text, roots, escaping_behavior=behaviour) if needs_parsing(text) else text
    except (SubstitutionError, JavascriptException):
        theirs = UserError
    assert ours == theirs


@given(st.lists(st.text("abc (){}'", min_size=1) | st.just("$(inputs.x[0])"), min_size=2))
def test_literals_and_references_are_joined_in_their_order(pieces):
    expected = "".join("one" if piece.startswith("$") else piece for piece in pieces)
    if "$" not in "".join(pieces):
        return
    assert evaluate("".join(pieces), {"x": ["one"]}, strip=False) == expected


@given(VALUES, st.data())
@settings(max_examples=150, deadline=None)
def test_a_reference_has_the_same_value_as_the_javascript_of_the_same_text(value, data):
    context = Context({"root": value})
    path: list[str | int] = []
    while isinstance(value, (dict, list)) and value:
        key = data.draw(st.sampled_from(sorted(value)) if isinstance(value, dict) else st.integers(0, len(value) - 1))
        value = value[key]
        path.append(key)
    text = "inputs.root" + "".join(f"[{json.dumps(key)}]" for key in path)
    reference = Ref(root="inputs", path=("root", *path), text=text)
    script = Expr(parts=(Js(code=text),), text=text)
    assert SCRIPTED.evaluate(script, context) == follow_reference(reference, context)
