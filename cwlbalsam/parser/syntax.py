"""JavaScript syntax errors, found before anything runs."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from cwlbalsam.cwl.expressions import check_library_syntax, check_syntax
from cwlbalsam.cwl.records import Expr, Js, Process, Program, Scope, WorkflowProcess
from cwlbalsam.errors import Problem


def check_expressions(program: Program) -> list[Problem]:
    """A problem for every expression or expressionLib that is no JavaScript, each source text checked once."""
    seen: set[tuple[str, str]] = set()
    libraries: set[tuple[str, ...]] = set()
    problems = []
    for process in program.processes:
        for expression, scope in _expressions(process):
            if not scope.javascript or (expression.place, expression.text) in seen:
                continue
            if scope.expression_lib not in libraries:
                libraries.add(scope.expression_lib)
                problem = check_library_syntax(scope, process.place)
                if problem is not None:
                    problems.append(problem)
            seen.add((expression.place, expression.text))
            if any(isinstance(part, Js) for part in expression.parts):
                problem = check_syntax(expression, scope)
                if problem is not None:
                    problems.append(problem)
    return problems


def _expressions(process: Process) -> Iterator[tuple[Expr, Scope]]:
    requirements = process.requirements
    scope = Scope(javascript=requirements.javascript, expression_lib=requirements.expression_lib)
    if isinstance(process, WorkflowProcess):
        for step in process.steps:
            for expression in _walk(step):
                yield expression, step.scope
        return
    for expression in _walk(process):
        yield expression, scope


def _walk(value: Any) -> Iterator[Expr]:
    if isinstance(value, Expr):
        yield value
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from _walk(getattr(value, name))
    elif isinstance(value, tuple):
        for entry in value:
            yield from _walk(entry)
