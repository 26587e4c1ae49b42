"""What the rules of a batch queue know of a batch job."""

from msgspec import Struct


class Request(Struct, frozen=True, gc=False):
    """Asks for so many nodes for at most wall_seconds; it really takes `seconds` of them, which no rule looks at."""

    id: str
    nodes: int
    wall_seconds: float
    submitted: float = 0.0
    seconds: float = 0.0
