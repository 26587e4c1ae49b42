"""The environment of the scripts before and after jobs."""

import os
from pathlib import Path

import cwlbalsam
from cwlbalsam.service.home import Home

VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR")


def script_environment(home: Home, run: str) -> dict[str, str]:
    """They run on this machine, as their user, and find this very cwlbalsam."""
    kept = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    package = str(Path(cwlbalsam.__file__).parent.parent)
    python = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    return {
        "PATH": os.defpath,
        **kept,
        "PYTHONPATH": python,
        "CWLBALSAM_HOME": str(home.path),
        "CWLBALSAM_RUN": run,
    }
