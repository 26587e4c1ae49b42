"""Containers of one worker."""

from collections.abc import Callable
from typing import Any

from cwlbalsam.cwl.tasks import Settings
from cwlbalsam.errors import JobError
from cwlbalsam.executor.spawn import Start


class Containers:
    def __init__(self, settings: Settings, folder: str) -> None:
        self._settings = settings

    def when_ready(self, command: Any, then: Callable[[], None]) -> None:
        raise JobError("containers are not supported yet")

    def start(self, command: Any) -> tuple[Start, str]:
        raise JobError("containers are not supported yet")

    def ended(self, pid: int) -> bool:
        return False

    def kill(self, name: str) -> None:
        pass

    def close(self) -> None:
        pass
