"""ExpressionTool: an expression whose value is the outputs."""

import os
from typing import Any

from cwlbalsam.cwl.frame import Frame, wrong
from cwlbalsam.cwl.outputs import check_outputs
from cwlbalsam.cwl.records import ExpressionProcess
from cwlbalsam.cwl.settling import Settling
from cwlbalsam.cwl.staging import Stage
from cwlbalsam.cwl.values import files_and_directories, path_of, set_name


def run_expression(frame: Frame, process: ExpressionProcess, directory: str) -> dict[str, Any]:
    """Outputs of an ExpressionTool: its Files are inputs' or literals, which are written into `directory`."""
    stage = Stage(directory, "")
    for value in frame.inputs.values():
        for found in files_and_directories(value):
            if "location" in found:
                path = path_of(found)
                stage.origins[path] = found["location"]
                if found["class"] == "File":
                    found["dirname"] = os.path.dirname(path)
                found["path"] = path
            elif "basename" not in found:
                set_name(found, "literal")
    found = frame.evaluate(process.expression)
    if not isinstance(found, dict) or "class" in found:
        raise wrong(
            "the expression of an ExpressionTool", "an object that maps outputs to values", found, process.expression
        )
    outputs = {field.name: found.get(field.name) for field in process.outputs}
    Settling(stage, frame.settings.compute_checksum).settle_all(outputs)
    check_outputs(process, outputs)
    return outputs
