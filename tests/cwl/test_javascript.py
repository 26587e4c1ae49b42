import os
import signal
import subprocess
import sys
import time

import pytest

from cwlbalsam.cwl.javascript import JavaScriptError, Library, run_javascript
from cwlbalsam.cwl.records import Js

VALUES = {"inputs": {"n": 1, "list": [1, 2]}, "self": None, "runtime": {"cores": 2}}


def run(
    code: str, *, lib: tuple[str, ...] = (), seconds: float = 20, megabytes: int = 256, values: dict = VALUES
) -> object:
    return run_javascript(Js(code=code, body="return" in code), Library(lib), values, seconds, megabytes)


def test_values_keep_their_json_types():
    assert repr(run("[1.0, 1.5, -7, 2e3, 'é\\u0000', true, null]")) == repr([1, 1.5, -7, 2000, "é\0", True, None])
    assert run("undefined") is None
    assert run("({a: undefined, b: [undefined]})") == {"b": [None]}
    assert run("[inputs, self, runtime]") == [VALUES["inputs"], None, VALUES["runtime"]]


def test_integers_that_no_message_could_hold_become_floats():
    assert repr(run("[1e20, 1e300, 9007199254740992]")) == "[1e+20, 1e+300, 9007199254740992]"


def test_not_a_number_and_infinity_reach_javascript():
    values = {"inputs": {"x": float("nan"), "y": float("-inf"), "z": None, "big": 2**70}}
    code = "[isNaN(inputs.x), inputs.y < -1e308, inputs.z === null, inputs.big > 1e21]"
    assert run(code, values=values) == [True, True, True, True]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("0 / 0", "the result is NaN"),
        ("[{a: 1 / 0}]", "has a field 'a' that is Infinity"),
        ("function () {}", "the result is a function"),
        ("[isNaN]", "is a function"),
        ("var a = []; a.push(a); return a", "circular"),
        ("1n", "BigInt"),
        ("'\\ud800'", "broken character"),
        ("throw 'no'; return 1", "^threw no$"),
        ("throw {code: 3}; return 1", '^threw {"code":3}$'),
        ("throw new Error('no luck'); return 1", "^no luck$"),
        ("'\ud800'", "not valid Unicode"),
        ("undeclared = 3", "ReferenceError"),
        ("1); (", "SyntaxError"),
    ],
)
def test_what_cannot_be_a_result_is_a_clear_error(code, message):
    with pytest.raises(JavaScriptError, match=message):
        run(code)


def test_an_evaluation_leaves_nothing_behind():
    lib = ("var counter = 0;", "function count() { return ++counter; }")
    spoil = "inputs.n = 5; Object.prototype.bad = 1; globalThis.leak = 1; JSON.stringify = null; count(); return 1"
    assert run(spoil, lib=lib) == 1
    assert run("[count(), typeof leak, typeof {}.bad, inputs.n]", lib=lib) == [1, "undefined", "undefined", 1]
    assert VALUES["inputs"]["n"] == 1


def test_expression_lib_sees_inputs_and_may_declare_constants():
    lib = ("const twice = 2 * inputs.n; // two", "let root = this; class C { f() { return root.runtime.cores } }")
    assert run("twice + new C().f()", lib=lib) == 4


def test_globals_are_reached_by_indirect_names():
    for code in (
        "globalThis['in' + 'puts'].n",
        "(0, eval)('inp' + 'uts').n",
        "isNaN['constr' + 'uctor']('re' + 'turn inp' + 'uts.n')()",
    ):
        assert run(code) == 1


def test_comments_and_line_breaks_may_surround_an_expression():
    assert run("\n inputs.n // the number") == 1


def test_there_is_a_silent_console_but_no_way_out():
    assert run("console.log(1)") is None
    assert run("[typeof require, typeof process, typeof std, typeof os, typeof setTimeout]") == ["undefined"] * 5


@pytest.mark.parametrize(
    "code",
    ["while (1) {} return 1", "try { while (1) {} } catch (e) {} return 1", "/(a+)+$/.test('a'.repeat(40) + 'b')"],
)
def test_time_is_limited(code):
    started = time.process_time()
    with pytest.raises(JavaScriptError, match=r"more than 0\.2 s of CPU time"):
        run(code, seconds=0.2)
    assert time.process_time() - started < 2


def test_time_of_expression_lib_is_limited():
    with pytest.raises(JavaScriptError, match="CPU time") as caught:
        run("1", lib=("", "\nwhile (1) {}"), seconds=0.2)
    assert caught.value.fragment == 1


@pytest.mark.parametrize("code", ["'x'.repeat(5e7)", "var a = []; for (;;) a.push([1, 2]); return a"])
def test_memory_is_limited(code):
    with pytest.raises(JavaScriptError, match="more than 16 MiB of memory"):
        run(code, megabytes=16)


@pytest.mark.parametrize("code", ["function f() { return f() } return f()", "(" * 10**6, "JSON.parse('['.repeat(1e6))"])
def test_the_stack_is_limited(code):
    with pytest.raises(JavaScriptError, match="recursion is too deep"):
        run(code)


def test_code_that_cannot_be_interrupted_ends_the_process():
    program = """
from cwlbalsam.cwl import javascript, records
javascript.run_javascript(records.Js(code="new Array(1e9).join('x')"), javascript.Library(), {}, 0.01, 256)
"""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    result = subprocess.run([sys.executable, "-c", program], check=False, env=environment)
    assert result.returncode == -signal.SIGPROF
