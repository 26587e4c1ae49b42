"""What is known of a job before it runs, and what is learned from it afterwards."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1, le=1 << 40)]
Amount = Annotated[float, Meta(ge=0.0, le=1e30)]


class Setting(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One job of an application, before it runs. numbers: its numeric inputs, by name.

    ranks: in all; threads: of each rank. site: "" where there is only one.
    """

    input_bytes: Amount = 0.0
    numbers: dict[str, float] = {}
    nodes: Count = 1
    ranks: Count = 1
    threads: Count = 1
    site: str = ""

    @property
    def processors(self) -> int:
        """Ranks with their threads."""
        return self.ranks * self.threads


class Observation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One job that ended. peak_memory_bytes: of all its processes; 0: not known. output_bytes: of all files it made.

    censored: it was ended by its time limit, so that it would have taken longer than wall_seconds.
    """

    setting: Setting
    wall_seconds: Amount
    peak_memory_bytes: Amount = 0.0
    censored: bool = False
    output_bytes: Amount = 0.0


class Belief(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is held of a quantity before any job ran: its median, and the factor that it may be off by (one deviation).

    floor: values below count as this much: what the clock and the system add to any job.
    """

    median: Annotated[float, Meta(gt=0.0, le=1e30)]
    factor: Annotated[float, Meta(gt=1.0, le=1e9)] = 20.0
    floor: Amount = 0.01


class SiteSpeed(Struct, frozen=True, kw_only=True):
    """The logarithm of how many times longer jobs take there than elsewhere."""

    log_slowness: float
    deviation: Annotated[float, Meta(gt=0.0)]


class Prior(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All beliefs about one application. sites: by name; those not named are `OTHER_SITE`."""

    wall_seconds: Belief = Belief(median=60.0)
    memory_bytes: Belief = Belief(median=256.0 * (1 << 20), factor=10.0, floor=float(1 << 20))
    sites: dict[str, SiteSpeed] = {}


OTHER_SITE = SiteSpeed(log_slowness=0.0, deviation=0.4)
"""A machine that nothing is known of is faster or slower by half: the spread of a few generations of processors."""


def hinted_prior(time_limit_seconds: float = 0.0, ram_megabytes: float = 0.0) -> Prior:
    """Beliefs from what a document asks for; 0: it does not say.

    People ask for more than they need: in the logs of KTH's SP2 and of Theta jobs take 0.41 and 0.80 of the time they
    asked for in the median. Of memory nothing as good is known; the same is assumed.
    """
    prior = Prior()
    wall, memory = prior.wall_seconds, prior.memory_bytes
    if time_limit_seconds > 0:
        wall = Belief(median=max(time_limit_seconds / 2, wall.floor), factor=3.0)
    if ram_megabytes > 0:
        memory = msgspec.structs.replace(memory, median=max(ram_megabytes / 2 * (1 << 20), memory.floor), factor=3.0)
    return Prior(wall_seconds=wall, memory_bytes=memory)
