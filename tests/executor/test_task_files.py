"""The files of one task, where a site tells nonsense of them."""

import asyncio
from typing import Any

from cwlbalsam.executor.task_files import TaskFiles
from tests.executor.test_coordinator import TOOL, program


class Broken:
    """Whereabouts of a site whose answers are no answers."""

    def translate(self, *_: object) -> None:
        raise KeyError("members")


def test_a_log_that_cannot_be_fetched_for_any_reason_stays_where_it_is() -> None:
    broken: Any = Broken()
    assert asyncio.run(TaskFiles(program(TOOL), broken).log("site://far/x/log")) == "site://far/x/log"
