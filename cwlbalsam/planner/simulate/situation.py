"""What a policy sees of a simulation."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from cwlbalsam.jobs.batch import MachineState
from cwlbalsam.planner.packing import Demand
from cwlbalsam.planner.pilot_actions import Action, Failed, Pilot
from cwlbalsam.planner.queues.machine import Machine


class Situation(Struct, frozen=True, kw_only=True):
    """What a policy may know. backlog: by site of the tasks that are bound to one, "" for the others."""

    now: float
    backlog: Mapping[str, Sequence[Demand]]
    machines: Mapping[str, MachineState]
    pilots: Sequence[Pilot]
    failed: Sequence[Failed]
    unfinished: int


Policy = Callable[[Situation], Sequence[Action]]


class States(Mapping[str, MachineState]):
    """Of the machines, told only to who asks."""

    def __init__(self, machines: Mapping[str, Machine]) -> None:
        self._machines = machines
        self._told: dict[str, MachineState] = {}

    def __getitem__(self, site: str) -> MachineState:
        if site not in self._told:
            self._told[site] = self._machines[site].state()
        return self._told[site]

    def __iter__(self) -> Iterator[str]:
        return iter(self._machines)

    def __len__(self) -> int:
        return len(self._machines)
