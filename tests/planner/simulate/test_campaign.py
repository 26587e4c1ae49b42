from collections.abc import Sequence
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cwlbalsam.jobs.batch import Queue
from cwlbalsam.planner.packing import node_seconds
from cwlbalsam.planner.pilot_actions import Action, Cancel, Kind, Limits, Submit
from cwlbalsam.planner.pilots import decide
from cwlbalsam.planner.queues.machine import Machine
from cwlbalsam.planner.queues.requests import Request
from cwlbalsam.planner.simulate.campaign import Campaign, Outcome, Rhythm
from cwlbalsam.planner.simulate.situation import Policy, Situation
from cwlbalsam.planner.simulate.work import Noise, Ready, Task, upward_ranks

NOW = 1000.0  # nothing starts at 0: that means that it has not started
SURE = Noise(sigma=0, failures=0)
RHYTHM = Rhythm(start=10, linger=0)


def task(nodes: int, seconds: float, *parents: int) -> Task:
    return Task(nodes=nodes, seconds=seconds, most_seconds=seconds, parents=parents)


def ask(nodes: int, wall: float, site: str = "here") -> Submit:
    return Submit(site=site, queue="batch", kind=Kind.LINE, nodes=nodes, wall_seconds=wall, reason="")


class Always:
    """A pilot of this shape whenever there is none."""

    def __init__(self, nodes: int, wall: float) -> None:
        self.shape = nodes, wall

    def __call__(self, seen: Situation) -> Sequence[Action]:
        return [] if seen.pilots else [ask(*self.shape)]


def ours(seen: Situation) -> Sequence[Action]:
    return decide(seen.now, seen.backlog.get("", []), seen.machines, seen.pilots, Limits(), seen.failed)


def run(tasks: Sequence[Task], policy: Policy, load: Sequence[Request] = (), noise: Noise = SURE) -> Outcome:
    return Campaign({"here": Machine(8, "easy", load, time=NOW)}, tasks, policy, noise, rhythm=RHYTHM).run()


def test_a_chain_takes_its_launcher_and_its_tasks() -> None:
    outcome = run([task(1, 50), task(1, 30, 0)], Always(2, 200))
    assert (outcome.seconds, outcome.pilots) == (90, 1)
    assert (outcome.held, outcome.useful) == (180, 80)


def test_a_pilot_starts_when_the_machine_lets_it() -> None:
    load = [Request("other", 8, 100, NOW, 100)]
    machine = Machine(8, "easy", load)
    machine.advance(NOW)
    outcome = Campaign({"here": machine}, [task(1, 50)], Always(1, 100), SURE, rhythm=RHYTHM).run()
    assert outcome.seconds == 160


def test_what_would_not_end_in_time_is_not_started_there() -> None:
    outcome = run([task(1, 50), task(1, 50)], Always(1, 100))
    assert (outcome.pilots, outcome.seconds) == (2, 120)


def test_what_a_pilots_end_has_killed_and_what_failed_runs_again() -> None:
    late = Task(nodes=1, seconds=120, most_seconds=80)
    longer = iter([100, 300])

    def growing(seen: Situation) -> Sequence[Action]:
        return [] if seen.pilots else [ask(1, next(longer))]

    outcome = run([late], growing)
    assert (outcome.pilots, outcome.useful) == (2, 120)
    assert outcome.held == 100 + 130
    assert outcome.wasted == pytest.approx(1 - 120 / 230)
    unlucky = run([task(1, 50)] * 40, Always(4, 1e5), noise=Noise(sigma=0, failures=0.5))
    assert unlucky.useful == 40 * 50
    assert unlucky.held > 1.2 * unlucky.useful


def test_a_campaign_without_end_is_given_up() -> None:
    outcome = Campaign(
        {"here": Machine(8, "easy", time=NOW)}, [task(1, 50)], lambda _: [], SURE, rhythm=Rhythm(longest=1000)
    ).run()
    assert outcome.seconds == inf


def test_a_task_that_is_bound_runs_at_its_site_alone() -> None:
    machines = {name: Machine(8, "easy", time=NOW) for name in ("here", "there")}

    def wrong_site_first(seen: Situation) -> Sequence[Action]:
        return [] if seen.pilots else [ask(1, 100, "here" if seen.now < NOW + 500 else "there")]

    outcome = Campaign(machines, [task(1, 50)], wrong_site_first, SURE, bound={0: "there"}, rhythm=RHYTHM).run()
    assert 500 < outcome.seconds < 700


def test_a_cancelled_pilot_for_a_hole_is_remembered() -> None:
    seen_failed = []

    def probing(seen: Situation) -> Sequence[Action]:
        seen_failed.append(len(seen.failed))
        if not seen.pilots:
            return [Submit(site="here", queue="", kind=Kind.HOLE, nodes=8, wall_seconds=100, reason="")]
        return [Cancel(pilot=pilot.id, reason="") for pilot in seen.pilots if not pilot.started]

    machine = Machine(8, "easy", [Request("other", 4, 200, NOW, 200)])
    machine.advance(NOW)
    outcome = Campaign({"here": machine}, [task(1, 50)], probing, SURE, rhythm=RHYTHM).run()
    assert outcome.cancelled == seen_failed[-1] > 0
    assert outcome.seconds < inf


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(10, 600), st.booleans()), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(1, 8), st.integers(60, 900), st.integers(0, 300)), max_size=12),
)
def test_our_policy_ends_all_work_and_no_machine_is_overfull(
    work: list[tuple[int, int, bool]], load: list[tuple[int, int, int]]
) -> None:
    tasks = [
        task(nodes, seconds, *([number - 1] if chained and number else []))
        for number, (nodes, seconds, chained) in enumerate(work)
    ]
    arrivals = sorted(
        (Request(f"o{n}", size, wall, at, wall) for n, (size, wall, at) in enumerate(load)), key=lambda r: r.submitted
    )
    machines = {
        "here": Machine(8, "easy", arrivals, Queue(name="batch", nodes=8, max_nodes=8, max_queued=5), time=NOW),
        "there": Machine(4, "conservative", (), Queue(name="batch", nodes=4, max_nodes=4, max_queued=2), time=NOW),
    }
    outcome = Campaign(machines, tasks, ours, Noise(sigma=0.1, failures=0.1), rhythm=RHYTHM).run()
    assert outcome.seconds < inf
    assert outcome.useful <= outcome.held
    for machine in machines.values():
        machine.advance(inf)
        assert (machine.rules.free, machine.rules.queue, machine.running) == (machine.nodes, [], {})


def test_ranks_are_the_time_to_the_end_of_all_that_follows() -> None:
    assert upward_ranks([task(1, 5), task(1, 7, 0), task(1, 1, 0), task(1, 2, 1, 2)]) == [14, 9, 3, 2]


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 1000)), max_size=30), st.integers(1, 4), st.integers(1, 1000)
)
def test_the_most_urgent_that_fits_is_taken_and_the_demands_are_what_is_left(
    work: list[tuple[int, int]], nodes: int, seconds: int
) -> None:
    tasks = [task(size, length) for size, length in work]
    ready = Ready(tasks, upward_ranks(tasks))
    for number in range(len(tasks)):
        ready.add(number)
    taken = ready.take(nodes, seconds)
    fitting = [one.seconds for one in tasks if one.nodes <= nodes and one.seconds <= seconds]
    assert (tasks[taken].seconds if taken is not None else None) == max(fitting, default=None)
    left = [one for number, one in enumerate(tasks) if number != taken]
    assert len(ready) == len(left) == sum(demand.count for demand in ready.demands())
    assert node_seconds(ready.demands()) == pytest.approx(sum(one.nodes * one.seconds for one in left))
