"""What a compilation is told besides the document."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

UNREADABLE = ""  # stands for the sha256 of what could not be read, and was not needed


class CompileOptions(Struct, frozen=True, kw_only=True):
    """overrides: `{"overrideTarget": absolute URI of a process or step, "requirements": [...]}` each.
    requirements: of the job order, for the main process (CWL v1.1 and later).
    """

    overrides: Sequence[Mapping[str, Any]] = ()
    requirements: Sequence[Mapping[str, Any]] = ()
    enable_dev: bool = False
    strict: bool = True
    skip_schemas: bool = False  # read no ontologies: formats are then equal or different, nothing between

    def key(self) -> bytes:
        """Equal options have equal keys."""
        return msgspec.json.encode(self, order="sorted")
