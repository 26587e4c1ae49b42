"""Work that goes through pilots on simulated batch machines, by any policy that can be written as one function."""

import heapq
from collections.abc import Mapping, Sequence
from math import inf

import msgspec
from msgspec import Struct

from cwlbalsam.planner.pilot_actions import Cancel, Failed, Kind, Pilot, Submit
from cwlbalsam.planner.queues.machine import Change, Machine
from cwlbalsam.planner.queues.requests import Request
from cwlbalsam.planner.simulate.situation import Policy, Situation, States
from cwlbalsam.planner.simulate.work import Noise, Order, Ready, Task, upward_ranks

DAY = 86_400.0


class Rhythm(Struct, frozen=True, kw_only=True):
    """Seconds: between two looks at the queues, and when something of ours has happened; of a launcher's start.

    linger: that a pilot without work waits for some before it ends.
    """

    period: float = 60.0
    least: float = 10.0
    start: float = 30.0
    linger: float = 60.0
    longest: float = 60 * 86_400.0


class Outcome(Struct, frozen=True, kw_only=True):
    """seconds: to solution, infinite if it was given up. held, useful: node-seconds of pilots, and of good tasks.

    first, waited: seconds until the first pilot started, and that those which did have waited, in the mean.
    """

    seconds: float
    held: float
    useful: float
    pilots: int
    cancelled: int
    decisions: int
    first: float
    waited: float

    @property
    def wasted(self) -> float:
        """Share of what was held."""
        return 1 - self.useful / self.held if self.held else 0.0


class _Live(Struct):
    """A pilot as the simulation knows it. tasks: that run in it, by number, with the serial number of their end.

    tried: nothing that is ready fits into what is free, as long as none has become ready since.
    """

    pilot: Pilot
    request: Request
    ready: float = inf
    ends: float = inf
    free: int = 0
    idle_since: float = inf
    tried: int = -1
    tasks: dict[int, int] = {}


class Campaign:
    """One run. machines: forks, which live on; bound: the only site of a task, if it has one."""

    def __init__(
        self,
        machines: Mapping[str, Machine],
        tasks: Sequence[Task],
        policy: Policy,
        noise: Noise,
        *,
        bound: Mapping[int, str] | None = None,
        rhythm: Rhythm | None = None,
        order: Order = upward_ranks,
    ) -> None:
        self.machines = machines
        self.now = self.begun = max(machine.now for machine in machines.values())
        self._tasks, self._policy, self._noise = tasks, policy, noise
        self._rhythm = rhythm or Rhythm()
        ranks = order(tasks)
        self._bound = bound or {}
        self._ready = {site: Ready(tasks, ranks) for site in ["", *machines]}
        self._missing = [len(set(task.parents)) for task in tasks]
        self._children: list[list[int]] = [[] for _ in tasks]
        for number, task in enumerate(tasks):
            for parent in set(task.parents):
                self._children[parent].append(number)
        self._added = 0
        self._attempts = [0] * len(tasks)
        self._unfinished = len(tasks)
        self._live: dict[str, _Live] = {}
        self._failed: list[Failed] = []
        self._ends: list[tuple[float, int, int, str, bool, float]] = []
        self._serial = 0
        self._changed, self._decided, self._looked = True, -inf, -inf
        self._held = self._useful = 0.0
        self._pilots = self._cancelled = self._decisions = self._started = 0
        self._first, self._waited = inf, 0.0
        for number, missing in enumerate(self._missing):
            if not missing:
                self._add_ready(number)

    def run(self) -> Outcome:
        while self._unfinished and self.now - self.begun < self._rhythm.longest:
            if self._decide():
                self._advance(self.now)  # what could start has done so
            self._advance(self._next_time())
        seconds = self.now - self.begun if not self._unfinished else inf
        for name in list(self._live):
            self._drop(name)
        return Outcome(
            seconds=seconds,
            held=self._held,
            useful=self._useful,
            pilots=self._pilots,
            cancelled=self._cancelled,
            decisions=self._decisions,
            first=self._first,
            waited=self._waited / self._started if self._started else inf,
        )

    def _next_time(self) -> float:
        times = [machine.next_time() for machine in self.machines.values()]
        times.append(self._ends[0][0] if self._ends else inf)
        for live in self._live.values():
            if live.ready > self.now:
                times.append(live.ready)
            times.append(live.idle_since + self._rhythm.linger)
        times.append(self._decision_time())
        return max(self.now, min(times))

    def _decision_time(self) -> float:
        """At once after something of ours, else at the next look at the queues; never for nothing."""
        if self._changed:
            return max(self.now, self._decided + self._rhythm.least)
        return self._decided + self._rhythm.period

    def _decide(self) -> bool:
        """Let the policy act, if it is time. Returns whether it did."""
        if self._decision_time() > self.now:
            return False
        self._changed, self._decided = False, self.now
        backlog = {site: demands for site, ready in self._ready.items() if (demands := ready.demands())}
        waiting = any(not live.pilot.started for live in self._live.values())
        if not backlog and not waiting:
            return False
        self._decisions += 1
        situation = Situation(
            now=self.now,
            backlog=backlog,
            machines=States(self.machines),
            pilots=[live.pilot for live in self._live.values()],
            failed=self._failed,
            unfinished=self._unfinished,
        )
        actions = self._policy(situation)
        for action in actions:
            if isinstance(action, Cancel):
                self._take_back(action)
            else:
                self._submit(action)
        return bool(actions)

    def _take_back(self, action: Cancel) -> None:
        pilot = self._live[action.pilot].pilot
        if pilot.kind is Kind.HOLE and not pilot.started:
            self._failed = [one for one in self._failed if self.now - one.time < DAY]
            self._failed.append(
                Failed(site=pilot.site, nodes=pilot.nodes, wall_seconds=pilot.wall_seconds, time=self.now)
            )
        self._drop(action.pilot)
        self._cancelled += 1

    def _submit(self, action: Submit) -> None:
        self._pilots += 1
        name = f"pilot {self._pilots}"
        request = Request(name, action.nodes, action.wall_seconds, self.now, action.wall_seconds)
        pilot = Pilot(
            id=name,
            site=action.site,
            kind=action.kind,
            nodes=action.nodes,
            wall_seconds=action.wall_seconds,
            submitted=self.now,
        )
        self._live[name] = _Live(pilot, request)
        self.machines[action.site].submit(request)

    def _advance(self, until: float) -> None:
        """Live until that moment: our tasks' ends first, then what the machines do, then new work for pilots."""
        self.now = until
        while self._ends and self._ends[0][0] <= until:
            self._end_task(*heapq.heappop(self._ends))
        for machine in self.machines.values():
            for event in machine.advance(until):
                live = self._live.get(event.request.id)
                if live is None:
                    continue
                if event.change is Change.STARTED:
                    live.pilot = msgspec.structs.replace(live.pilot, started=event.time)
                    self._started += 1
                    self._waited += event.time - live.pilot.submitted
                    self._first = min(self._first, event.time - self.begun)
                    live.ready, live.free = event.time + self._rhythm.start, live.pilot.nodes
                    live.ends = event.time + live.pilot.wall_seconds
                    self._changed = True
                else:
                    self._close(live)
        for live in list(self._live.values()):
            if live.ready <= self.now:
                self._give_work(live)

    def _give_work(self, live: _Live) -> None:
        while live.free and live.tried != self._added:
            left = live.ends - self.now
            number = self._ready[live.pilot.site].take(live.free, left)
            if number is None:
                number = self._ready[""].take(live.free, left)
            if number is None:
                live.tried = self._added  # less time is left later
                break
            seconds, good = self._noise.actual(number, self._tasks[number], self._attempts[number])
            self._attempts[number] += 1
            self._serial += 1
            live.tasks[number] = self._serial
            live.free -= self._tasks[number].nodes
            heapq.heappush(self._ends, (self.now + seconds, self._serial, number, live.pilot.id, good, seconds))
        if live.tasks:
            live.idle_since = inf
        elif live.idle_since == inf:
            live.idle_since = self.now
        if self.now - live.idle_since >= self._rhythm.linger:
            self._drop(live.pilot.id)

    def _end_task(self, _: float, serial: int, number: int, name: str, good: bool, seconds: float) -> None:
        live = self._live.get(name)
        if live is None or live.tasks.get(number) != serial:  # its pilot has ended
            return
        del live.tasks[number]
        live.free += self._tasks[number].nodes
        live.tried = -1
        if not good:
            self._add_ready(number)
            return
        self._useful += self._tasks[number].nodes * seconds
        self._unfinished -= 1
        for child in self._children[number]:
            self._missing[child] -= 1
            if not self._missing[child]:
                self._add_ready(child)

    def _add_ready(self, number: int) -> None:
        self._ready[self._bound.get(number, "")].add(number)
        self._added += 1
        self._changed = True

    def _drop(self, name: str) -> None:
        live = self._live[name]
        self.machines[live.pilot.site].cancel(live.request)
        self._close(live)

    def _close(self, live: _Live) -> None:
        """It is gone, and what ran in it has to run again."""
        del self._live[live.pilot.id]
        if live.pilot.started:
            self._held += live.pilot.nodes * (self.now - live.pilot.started)
        for number in live.tasks:
            self._add_ready(number)
        self._changed = True
