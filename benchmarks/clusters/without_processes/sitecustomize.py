"""With this folder on PYTHONPATH every tool's job has ended well as soon as a worker takes it; nothing is started.

Its only output says which node it was: the fork server there, by its process id.
"""

import os
from typing import Any

from cwlbalsam.cwl import execution

_prepare = execution.prepare


def prepare(program: Any, task: Any, settings: Any, tmpdir: str) -> execution.Prepared:
    """In place of `cwl.execution.prepare`; the boundary of a workflow passes its inputs on as ever."""
    if task.mode == "run":
        return execution.Prepared("done", {"out": os.getppid()})
    return _prepare(program, task, settings, tmpdir)


execution.prepare = prepare
