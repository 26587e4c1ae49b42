"""What expressions of one job see: its inputs and its runtime."""

from functools import lru_cache
from typing import Any

from cwlbalsam.cwl.expressions import Context, Evaluator
from cwlbalsam.cwl.records import Expr, Process, Scope, Template
from cwlbalsam.cwl.tasks import Settings
from cwlbalsam.errors import JobError


@lru_cache(maxsize=256)
def _evaluator(javascript: bool, library: tuple[str, ...], seconds: float, megabytes: int) -> Evaluator:
    return Evaluator(javascript, library, seconds, megabytes)


def evaluator_for(javascript: bool, library: tuple[str, ...], settings: Settings) -> Evaluator:
    return _evaluator(javascript, library, settings.javascript_seconds, settings.javascript_megabytes)


class Frame:
    """One job's process, inputs and runtime, and how its expressions are evaluated."""

    def __init__(self, process: Process, inputs: dict[str, Any], runtime: dict[str, Any], settings: Settings) -> None:
        self.process = process
        self.requirements = process.requirements
        self.version = process.version
        self.inputs = inputs
        self.runtime = runtime
        self.settings = settings
        self.devices: tuple[str, ...] = ()  # GPUs that the job was given
        self.defaulted: set[str] = set()  # inputs whose values come from the document

    def evaluate(self, template: Any, self_: Any = None) -> Any:
        """The value of a template; what is no `Expr` is returned as it is."""
        if not isinstance(template, Expr):
            return template
        needs = self.requirements
        evaluator = evaluator_for(needs.javascript, needs.expression_lib, self.settings)
        return evaluator.evaluate(template, Context(inputs=self.inputs, self_=self_, runtime=self.runtime))

    def text(self, template: Template, what: str, self_: Any = None) -> str:
        """Like evaluate, for what has to be a string."""
        value = self.evaluate(template, self_)
        if not isinstance(value, str):
            raise wrong(what, "a string", value, template)
        return value


def wrong(what: str, wanted: str, value: Any, template: Any) -> JobError:
    """An expression's result is of the wrong kind."""
    place = template.place if isinstance(template, Expr) else ""
    source = f" (from {template.text.strip()!r})" if isinstance(template, Expr) else ""
    return JobError(f"{what} must be {wanted}, not {value!r:.200}{source}", place=place)


def evaluate_in_scope(template: Any, scope: Scope, inputs: dict[str, Any], self_: Any, settings: Settings) -> Any:
    """Value of a step's expression (valueFrom, when): no runtime is known there."""
    if not isinstance(template, Expr):
        return template
    evaluator = evaluator_for(scope.javascript, scope.expression_lib, settings)
    return evaluator.evaluate(template, Context(inputs=inputs, self_=self_, runtime={}))
