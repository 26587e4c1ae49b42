"""Documents for tests, written as text or as plain data."""

import json
from pathlib import Path
from typing import Any

from cwlbalsam.cwl.records import Process, Program, Step, WorkflowProcess
from cwlbalsam.parser.compile import Compiled, compile_document
from cwlbalsam.parser.options import CompileOptions

FEATURES = ("Scatter", "Subworkflow", "MultipleInput")
ALL_FEATURES: dict[str, Any] = {
    **{f"{name}FeatureRequirement": {} for name in FEATURES},
    "StepInputExpressionRequirement": {},
    "InlineJavascriptRequirement": {},
}


def tool(**fields: Any) -> dict[str, Any]:
    defaults = {"inputs": {"x": "Any?"}, "outputs": {"out": "stdout"}, "baseCommand": "echo"}
    return {"cwlVersion": "v1.2", "class": "CommandLineTool", **defaults, **fields}


def expression_tool(**fields: Any) -> dict[str, Any]:
    defaults = {"inputs": {"x": "Any?"}, "outputs": {"out": "Any?"}, "expression": "$({'out': inputs.x})"}
    javascript: dict[str, Any] = {"InlineJavascriptRequirement": {}}
    return {"cwlVersion": "v1.2", "class": "ExpressionTool", "requirements": javascript, **defaults, **fields}


def workflow(steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    defaults = {"inputs": {"x": "Any?"}, "outputs": {}, "requirements": ALL_FEATURES}
    return {"cwlVersion": "v1.2", "class": "Workflow", "steps": steps, **defaults, **fields}


def step(run: Any, **fields: Any) -> dict[str, Any]:
    return {"run": run, "in": {"x": "x"}, "out": ["out"], **fields}


def compile_text(folder: Path, document: str | dict[str, Any], **options: Any) -> Compiled:
    """The document as it is compiled from a file `main.cwl` of the folder."""
    path = folder / "main.cwl"
    path.write_text(document if isinstance(document, str) else json.dumps(document, indent=1))
    return compile_document(str(path), CompileOptions(**options))


def main_of(program: Program) -> Process:
    return program.processes[program.main]


def steps_of(program: Program) -> dict[str, Step]:
    main = main_of(program)
    assert isinstance(main, WorkflowProcess)
    return {step.name: step for step in main.steps}


def called(program: Program, step: str) -> Process:
    return program.processes[steps_of(program)[step].run]
