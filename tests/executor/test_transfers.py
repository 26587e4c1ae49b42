"""The mover, with protocols that do what a script says."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cwlbalsam.executor.events import TransferEnded, TransferEvent, TransferStarted
from cwlbalsam.executor.gates import CONCURRENT
from cwlbalsam.executor.transfers import Clock, Mover
from cwlbalsam.executor.wanted import TransferFailed, Wanted
from cwlbalsam.jobs.links import HALF_LIFE_SECONDS, Figures, LinkName
from cwlbalsam.jobs.replicas import Catalogue, Replica, ReplicaState
from cwlbalsam.sites.transfers.base import Batch, Carrier, Endpoint, Progress, Result, Ssh, Trouble

SITES = ("a", "b", "c")
ENDPOINTS = {name: Endpoint(site=name, root=f"/{name}", ssh=Ssh(host=name)) for name in SITES}
Script = Callable[[int, str, Batch], list[Trouble]]
"""(number of the batch, protocol, batch) -> what happens to each item"""


class Scripted:
    """A protocol between all sites."""

    ALIASED, OWN, RESUMES = True, True, True

    def __init__(self, name: str, seconds: float = 1.0) -> None:
        self.NAME = name
        self._figures = Figures(latency_seconds=seconds, file_seconds=0.001, bytes_per_second=1e6)

    def can(self, source: Endpoint, target: Endpoint) -> str:
        return ""

    def refuses(self, source: Endpoint, path: str) -> str:
        return ""

    def guess(self, source: Endpoint, target: Endpoint) -> Figures:
        return self._figures


class World:
    """Sites, what they have, and a mover between them with a clock of its own."""

    def __init__(
        self,
        replicas: list[tuple[str, str]],
        script: Script,
        protocols: tuple[str, ...] = ("p", "q"),
        figures: dict[LinkName, Figures] | None = None,
        endpoints: dict[str, Endpoint] = ENDPOINTS,
    ) -> None:
        self.there = {(site, f"/{site}/{file}") for file, site in replicas}
        rows = [
            Replica(file=file, site=site, path=f"/{site}/{file}", state=ReplicaState.VALID) for file, site in replicas
        ]
        self.catalogue = Catalogue(rows)
        self.script = script
        self.events: list[TransferEvent] = []
        self.sent: list[tuple[str, Batch, bool]] = []
        self.now = 1000.0
        self.under_way: Counter[tuple[str, str]] = Counter()
        self.links: Counter[tuple[str, str]] = Counter()
        self.most = 0  # batches at the same time
        carriers: dict[str, Carrier] = {
            name: Scripted(name, number + 1.0)  # type: ignore[dict-item]
            for number, name in enumerate(protocols)
        }
        clock = Clock(lambda: self.now, self._sleep, lambda: 0.5)
        self.mover = Mover(
            endpoints,
            self.catalogue,
            self.events.append,
            carriers=carriers,
            figures=figures,
            clock=clock,
            carry=self._carry,
        )

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    async def _carry(self, carrier: Carrier, batch: Batch, watch: Any, *, resume: bool) -> list[Result]:
        link = batch.source.site, batch.target.site
        self.links[link] += 1
        self.most = max(self.most, self.links.total())
        for item in batch.items:
            self.under_way[batch.target.site, item.target] += 1
            assert self.under_way[batch.target.site, item.target] == 1, "twice at the same time"
            assert (batch.target.site, item.target) not in self.there, "it was there already"
        number = len(self.sent)
        self.sent.append((carrier.NAME, batch, resume))
        await asyncio.sleep(0)
        watch(Progress())
        self.now += 1.0
        results = []
        for item, trouble in zip(batch.items, self.script(number, carrier.NAME, batch), strict=True):
            self.under_way[batch.target.site, item.target] -= 1
            if (batch.source.site, item.source) not in self.there:
                trouble = Trouble.MISSING
            if trouble is Trouble.NONE:
                self.there.add((batch.target.site, item.target))
                results.append(Result(item=item, size_bytes=10, files=1))
            else:
                results.append(Result(item=item, trouble=trouble, message=f"{carrier.NAME} failed"))
        self.links[link] -= 1
        return results

    def bring(self, *wanted: tuple[str, str]) -> list[Replica | TransferFailed]:
        async def whole() -> list[Replica | TransferFailed]:
            found = await self.mover.bring([want(file, site) for file, site in wanted])
            self.mover._left.clear()
            await self.mover.close()
            return found

        return asyncio.run(whole())

    def pins(self) -> int:
        return sum(replica.pins for copies in self.catalogue._replicas.values() for replica in copies.values())


def want(file: str, site: str, size: int = 10) -> Wanted:
    return Wanted(file=file, site=site, path=f"/{site}/{file}", size=size)


def well(number: int, protocol: str, batch: Batch) -> list[Trouble]:
    return [Trouble.NONE] * len(batch.items)


def test_many_files_that_are_wanted_together_go_in_one_batch() -> None:
    world = World([(str(number), "a") for number in range(500)], well)
    found = world.bring(*((str(number), "b") for number in range(500)))
    assert all(isinstance(one, Replica) and one.state is ReplicaState.VALID for one in found)
    assert [len(batch.items) for _, batch, _ in world.sent] == [500]


def test_what_a_site_has_is_not_sent_and_what_is_wanted_twice_is_sent_once() -> None:
    world = World([("x", "a"), ("y", "b")], well)
    found = world.bring(("x", "b"), ("x", "b"), ("y", "b"))
    assert [one.path for one in found if isinstance(one, Replica)] == ["/b/x", "/b/x", "/b/y"]
    assert [len(batch.items) for _, batch, _ in world.sent] == [1]


def apart(world: World, count: int = 9) -> int:
    """So many batches were under way at the same time, of files that are each a batch."""

    async def bring() -> None:
        for number in range(count):
            world.mover._ask(want(str(number), "b", 10**9))
        await asyncio.gather(*(quest.future for quest in world.mover._quests.values()))

    asyncio.run(bring())
    assert len(world.sent) == count
    return world.most


def test_a_site_that_says_nothing_takes_a_few_batches_from_each_other_one() -> None:
    assert apart(World([(str(number), "a") for number in range(9)], well)) == CONCURRENT


def test_a_site_takes_no_more_batches_than_it_says() -> None:
    for a, b, most in ((2, 0, 2), (0, 6, 6), (6, 1, 1)):
        limits = {"a": a, "b": b, "c": 0}
        endpoints = {name: replace(ENDPOINTS[name], at_once=limits[name]) for name in SITES}
        files = [(str(number), "ac"[number % 2] if b == 1 else "a") for number in range(9)]
        assert apart(World(files, well, endpoints=endpoints)) == most


def test_only_the_ways_that_both_ends_want_are_taken_in_their_order() -> None:
    def fails(number: int, protocol: str, batch: Batch) -> list[Trouble]:
        return [Trouble.DENIED] * len(batch.items)

    for ways, tried in (((), "pqr"), (("r", "q"), "rq"), (("q",), "q"), (("none",), "")):
        endpoints = {**ENDPOINTS, "b": replace(ENDPOINTS["b"], ways=ways)}
        world = World([("f", "a")], fails, ("p", "q", "r"), endpoints=endpoints)
        (failed,) = world.bring(("f", "b"))
        assert isinstance(failed, TransferFailed)
        assert "".join(protocol for protocol, _, _ in world.sent) == tried
    both = {**endpoints, "a": replace(ENDPOINTS["a"], ways=("p", "q")), "b": replace(ENDPOINTS["b"], ways=("r", "q"))}
    world = World([("f", "a")], fails, ("p", "q", "r"), endpoints=both)
    world.bring(("f", "b"))
    assert [protocol for protocol, _, _ in world.sent] == ["q"]


def test_a_file_system_that_both_sites_see_needs_no_transfer() -> None:
    world = World([("x", "a")], well)
    shared = {name: Endpoint(site=name, root=f"/{name}", filesystem="lustre") for name in ("a", "b")}
    world.mover._endpoints = shared
    (found,) = world.bring(("x", "b"))
    assert isinstance(found, Replica)
    assert (found.path, world.sent) == ("/a/x", [])


def test_a_cut_transfer_is_gone_on_with_and_then_left_to_the_next_protocol() -> None:
    def script(number: int, protocol: str, batch: Batch) -> list[Trouble]:
        return [Trouble.CUT if protocol == "p" else Trouble.NONE]

    world = World([("x", "a")], script)
    assert isinstance(world.bring(("x", "b"))[0], Replica)
    assert [(protocol, resume) for protocol, _, resume in world.sent][:2] == [("p", False), ("p", True)]
    assert world.sent[-1][0] == "q"
    records = [event.record for event in world.events if isinstance(event, TransferEnded)]
    assert (records[0].trouble, records[0].attempt) == ("cut", 0)
    assert (records[-1].trouble, records[-1].protocol, records[-1].size_bytes) == ("", "q", 10)


def test_a_copy_that_is_gone_is_forgotten_and_another_one_taken() -> None:
    world = World([("x", "a"), ("x", "b")], well)
    world.there.discard(("a", "/a/x"))
    assert isinstance(world.bring(("x", "c"))[0], Replica)
    lost = world.catalogue.at("x", "a")
    assert lost is not None
    assert lost.state is ReplicaState.GONE


def test_a_file_that_no_site_has_any_more_has_to_be_made_again() -> None:
    world = World([("x", "a")], well)
    world.there.clear()
    found, never = world.bring(("x", "c"), ("never", "c"))
    assert isinstance(found, TransferFailed)
    assert isinstance(never, TransferFailed)
    assert (found.trouble, never.trouble) == (Trouble.MISSING, Trouble.MISSING)


def test_a_site_that_is_down_for_two_minutes_is_waited_for() -> None:
    world = World([("x", "a")], lambda *_: [Trouble.UNREACHABLE] if world.now < 1120 else [Trouble.NONE])
    assert isinstance(world.bring(("x", "b"))[0], Replica)
    assert 1120 <= world.now < 1190
    assert len(world.sent) < 40


def test_a_site_that_stays_down_is_told_in_the_end() -> None:
    world = World([("x", "a")], lambda *_: [Trouble.UNREACHABLE])
    (found,) = world.bring(("x", "b"))
    assert isinstance(found, TransferFailed)
    assert (found.trouble, "resume the run" in str(found)) == (Trouble.UNREACHABLE, True)


def test_a_full_disk_ends_it_at_once_for_that_file_alone() -> None:
    world = World([("x", "a"), ("y", "a")], lambda n, p, batch: [Trouble.FULL, Trouble.NONE][: len(batch.items)])
    full, other = world.bring(("x", "b"), ("y", "b"))
    assert isinstance(full, TransferFailed)
    assert (full.trouble, len(world.sent)) == (Trouble.FULL, 1)
    assert isinstance(other, Replica)


def test_one_file_that_spoils_its_batches_does_not_keep_the_others() -> None:
    def script(number: int, protocol: str, batch: Batch) -> list[Trouble]:
        bad = any(item.source.endswith("/77") for item in batch.items)
        return [Trouble.OTHER if bad else Trouble.NONE] * len(batch.items)

    world = World([(str(number), "a") for number in range(1000)], script)
    found = world.bring(*((str(number), "b") for number in range(1000)))
    assert [number for number, one in enumerate(found) if isinstance(one, TransferFailed)] == [77]
    assert len(world.sent) < 60


def test_a_mistake_of_ours_leaves_nobody_waiting() -> None:
    import pytest

    def script(number: int, protocol: str, batch: Batch) -> list[Trouble]:
        raise ZeroDivisionError

    world = World([("x", "a")], script)
    with pytest.raises(ZeroDivisionError):
        world.bring(("x", "b"))
    assert world.pins() == 0


def test_the_mover_learns_what_a_link_can_do() -> None:
    world = World([("x", "a")], well)
    world.bring(("x", "b"))
    assert world.mover.figures["a", "b", "p"].samples == 1


FILES = st.integers(0, 5).map(str)
TROUBLES = st.sampled_from([*Trouble, *([Trouble.NONE] * 6)])


@settings(max_examples=200)
@given(
    replicas=st.sets(st.tuples(FILES, st.sampled_from(SITES)), max_size=10),
    gone=st.sets(st.tuples(st.sampled_from(SITES), FILES), max_size=3),
    wanted=st.lists(st.tuples(FILES, st.sampled_from(SITES)), max_size=15),
    troubles=st.lists(TROUBLES, min_size=1, max_size=40),
)
def test_whatever_happens_each_file_arrives_once_or_is_told_why_not(
    replicas: set[tuple[str, str]],
    gone: set[tuple[str, str]],
    wanted: list[tuple[str, str]],
    troubles: list[Trouble],
) -> None:
    def script(number: int, protocol: str, batch: Batch) -> list[Trouble]:
        return [troubles[(number * 7 + index) % len(troubles)] for index in range(len(batch.items))]

    world = World(sorted(replicas), script)
    before = set(replicas)
    world.there -= {(site, f"/{site}/{file}") for site, file in gone}
    really = set(world.there)
    found = world.bring(*wanted)
    for (file, site), one in zip(wanted, found, strict=True):
        if isinstance(one, Replica):
            assert one.file == file
            assert one.site == site or (file, site) in before
            assert (site, one.path) in world.there or (file, site) in before
        else:
            assert one.problems[0].message
    arrived = Counter((batch.target.site, item.target) for _, batch, _ in world.sent for item in batch.items)
    assert not set(arrived) & really
    assert world.pins() == 0
    started = sum(isinstance(event, TransferStarted) for event in world.events)
    ended = sum(isinstance(event, TransferEnded) for event in world.events)
    assert started == ended == len(world.sent)
    assert world.mover._quests == {}


def learned(site: str, protocol: str, seconds: float, when: float = 1000.0) -> tuple[LinkName, Figures]:
    figures = Figures(latency_seconds=seconds, file_seconds=0.001, bytes_per_second=1e6, samples=9, learned=when)
    return (site, "b", protocol), figures


def test_the_first_transfer_goes_by_what_earlier_runs_have_learned() -> None:
    slow = [learned("a", "p", 9.0), learned("a", "q", 9.0), learned("c", "p", 5.0)]
    world = World([("f", "a"), ("f", "c")], well, figures=dict([*slow, learned("c", "q", 0.1)]))
    world.bring(("f", "b"))
    assert [(protocol, batch.source.site) for protocol, batch, _ in world.sent] == [("q", "c")]


def test_what_was_learned_long_ago_is_tried_anew() -> None:
    (link, figures) = learned("a", "p", 9.0, 1000.0 - 100 * HALF_LIFE_SECONDS)
    world = World([("f", "a")], well, figures={link: figures})
    world.bring(("f", "b"))
    assert [protocol for protocol, _, _ in world.sent] == ["p"]
