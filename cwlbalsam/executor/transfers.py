"""Brings files to the sites that want them: each once, by the way that should be fastest, again if it fails.

What a site has is never sent again, and nothing is sent twice at the same time: whoever wants the same file at the same
site waits for the same transfer.
"""

import asyncio
import hashlib
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
from msgspec import Struct

from cwlbalsam.executor.events import TransferEnded, TransferEvent, TransferProgress, TransferStarted
from cwlbalsam.executor.gates import Gates
from cwlbalsam.executor.wanted import TransferFailed, Wanted, expected_replica
from cwlbalsam.jobs.links import Figures, LinkName, TransferRecord, faded, learn
from cwlbalsam.jobs.replicas import Catalogue, Replica, ReplicaEvent
from cwlbalsam.sites.transfers import CARRIERS
from cwlbalsam.sites.transfers.base import (
    Batch,
    Carrier,
    Endpoint,
    Item,
    Progress,
    Result,
    Trouble,
    preference,
    share_files,
)
from cwlbalsam.sites.transfers.carry import carry, clear
from cwlbalsam.sites.transfers.choose import GiveUp, Go, History, Option, Wait, batches, choose, record
from cwlbalsam.sites.transfers.sessions import end_sessions

Carry = Callable[..., Awaitable[list[Result]]]


class Clock(Struct, frozen=True):
    """Time and chance, which tests make themselves."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


class Quest(Struct):
    """A wanted file until it is there."""

    wanted: Wanted
    future: "asyncio.Future[Replica]"
    history: History = msgspec.field(default_factory=History)


class Choice(Struct):
    """What a quest tries now: the source is pinned until it has ended."""

    quest: Quest
    option: Option
    source: Replica


class Mover:
    """One for all sites. figures: what is known of links; it learns.

    resuming: an earlier process may have left transfers that can be gone on with. owner: whose transfers these are:
    another one's, of the same files at the same time, are none of ours.
    """

    def __init__(  # noqa: PLR0913 (the last four are for tests and resumed runs)
        self,
        endpoints: Mapping[str, Endpoint],
        catalogue: Catalogue,
        report: Callable[[TransferEvent], None],
        *,
        carriers: Mapping[str, Carrier] = CARRIERS,
        figures: dict[LinkName, Figures] | None = None,
        resuming: bool = False,
        owner: str = "",
        clock: Clock | None = None,
        carry: Carry = carry,
    ) -> None:
        self.figures = figures if figures is not None else {}
        self._endpoints, self._catalogue, self._report, self._carriers = endpoints, catalogue, report, carriers
        self._resuming, self._owner, self._clock, self._carry = resuming, owner, clock or Clock(), carry
        self._quests: dict[tuple[str, str], Quest] = {}
        self._ready: list[Quest] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._left: dict[str, Batch] = {}  # batches whose folders are still at their sites
        self._gates = Gates(endpoints)

    async def bring(self, wanted: Sequence[Wanted]) -> list[Replica | TransferFailed]:
        """Where each file is at its site, once it is there, or why it cannot be."""
        found = [self._ask(one) for one in wanted]
        waiting = [future for future in found if isinstance(future, asyncio.Future)]
        if waiting:
            await asyncio.wait(waiting)
        return [one if isinstance(one, Replica) else _outcome(one) for one in found]

    async def close(self) -> None:
        """End what is under way, and remove what failed attempts have left."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for quest in list(self._quests.values()):
            self._end(quest, asyncio.CancelledError())
        for batch in self._left.values():
            await clear(batch)
        await end_sessions()

    def _ask(self, wanted: Wanted) -> "Replica | asyncio.Future[Replica]":
        there = self._present(wanted)
        if there is not None:
            return there
        key = wanted.file, wanted.site
        quest = self._quests.get(key)
        if quest is None:
            quest = self._quests[key] = Quest(wanted, asyncio.get_running_loop().create_future())
            self._catalogue.apply(ReplicaEvent.EXPECTED, expected_replica(wanted))
            self._queue(quest)
        return quest.future

    def _present(self, wanted: Wanted) -> Replica | None:
        """A copy that the site sees already, its own or one on a file system that it shares."""
        target = self._endpoints[wanted.site]
        seen = [
            replica
            for replica in self._catalogue.valid(wanted.file)
            if share_files(self._endpoints.get(replica.site, _NOWHERE), target)
        ]
        return min(seen, key=lambda replica: replica.site != wanted.site, default=None)

    def _queue(self, quest: Quest) -> None:
        """What comes in one turn of the loop is batched together."""
        self._ready.append(quest)
        if len(self._ready) == 1:
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        ready, self._ready = self._ready, []
        peers: defaultdict[str, int] = defaultdict(int)
        for quest in ready:
            peers[quest.wanted.site] += 1
        groups: defaultdict[tuple[LinkName, int], list[Choice]] = defaultdict(list)
        for quest in ready:
            target = quest.wanted.site
            match choose(self._options(quest.wanted, peers[target]), quest.history, self._clock.now()):
                case Go(option):
                    source = self._catalogue.at(quest.wanted.file, option.source)
                    assert source is not None
                    self._catalogue.pin(source)
                    group = groups[(option.source, target, option.protocol), quest.history.most_files]
                    group.append(Choice(quest, option, source))
                case Wait(seconds):
                    self._start(self._later(seconds, quest))
                case GiveUp(trouble, message):
                    self._end(quest, TransferFailed(quest.wanted, trouble, message))
        for (link, most_files), group in groups.items():
            sizes = [choice.quest.wanted.size or 0 for choice in group]
            for batch in batches(group, sizes, self._figures(link), most_files):
                self._start(self._send(link, batch))

    def _start(self, work: "Awaitable[None]") -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _later(self, seconds: float, quest: Quest) -> None:
        await self._clock.sleep(seconds)
        self._queue(quest)

    def _options(self, wanted: Wanted, peers: int) -> list[Option]:
        """All ways there are. peers: files that want to go to the same site now, and share a batch's latency."""
        target = self._endpoints[wanted.site]
        found = []
        for replica in self._catalogue.valid(wanted.file):
            source = self._endpoints.get(replica.site)
            if source is None:
                continue
            for name, carrier in self._carriers.items():
                rank = preference(source, target, name)
                if rank is not None and not carrier.can(source, target):
                    figures = self._figures((source.site, target.site, name))
                    own = figures.seconds(1, wanted.size or 0) - figures.latency_seconds
                    found.append(Option(source.site, name, own + figures.latency_seconds / peers, rank))
        return found

    def _figures(self, link: LinkName) -> Figures:
        source, target, protocol = link
        known = self.figures.get(link)
        guess = self._carriers[protocol].guess(self._endpoints[source], self._endpoints[target])
        return faded(known, guess, self._clock.now()) if known else guess

    async def _send(self, link: LinkName, choices: list[Choice]) -> None:
        try:
            async with self._gates.through(*link[:2]):
                batch = self._batch(link, choices)
                carrier = self._carriers[link[2]]
                started = self._clock.now()
                size = sum(choice.quest.wanted.size or 0 for choice in choices)
                self._report(TransferStarted(batch.id, *link, len(choices), size))
                resume = batch.id in self._left or self._resuming
                self._left[batch.id] = batch
                watch = self._watch(batch.id)
                results = await self._carry(carrier, batch, watch, resume=resume)
        except BaseException as error:  # a mistake of ours, or the end: nobody may wait for ever
            for choice in choices:
                self._end(choice.quest, error)
            raise
        finally:
            for choice in choices:
                self._catalogue.unpin(choice.source)
        if all(result.arrived for result in results):
            del self._left[batch.id]
        self._settle(link, batch, choices, results, started)

    def _batch(self, link: LinkName, choices: list[Choice]) -> Batch:
        """Its id is the same for the same files on the same way, so that an attempt can go on with the one before."""
        keys = [[self._owner, *link], *([choice.quest.wanted.file, choice.quest.wanted.path] for choice in choices)]
        items = [
            Item(
                source=choice.source.path,
                target=choice.quest.wanted.path,
                size=None if choice.quest.wanted.directory else choice.quest.wanted.size,
                checksum=choice.quest.wanted.checksum,
                kind="directory" if choice.quest.wanted.directory else "file",
            )
            for choice in choices
        ]
        return Batch(
            id=hashlib.sha256(msgspec.json.encode(keys)).hexdigest()[:24],
            source=self._endpoints[link[0]],
            target=self._endpoints[link[1]],
            items=items,
        )

    def _watch(self, batch: str) -> Callable[[Progress], None]:
        def watch(now: Progress) -> None:
            self._report(TransferProgress(batch, now.files, now.size_bytes, now.bytes_per_second, now.message))

        return watch

    def _settle(
        self, link: LinkName, batch: Batch, choices: list[Choice], results: Sequence[Result], started: float
    ) -> None:
        now = self._clock.now()
        failed = [result for result in results if not result.arrived]
        files, size = sum(result.files for result in results), sum(result.size_bytes for result in results)
        attempt = max(choice.quest.history.failures for choice in choices)
        if not failed:
            self.figures[link] = learn(self._figures(link), files, size, now - started, now)
        together = len(failed) if len(failed) == len(results) else 1
        share = self._clock.chance()
        for choice, result in zip(choices, results, strict=True):
            quest = choice.quest
            if result.arrived:
                arrived = msgspec.structs.replace(expected_replica(quest.wanted), size=result.size_bytes)
                self._end(quest, self._catalogue.apply(ReplicaEvent.ARRIVED, arrived))
                continue
            if result.trouble is Trouble.MISSING:
                self._catalogue.apply(ReplicaEvent.LOST, choice.source)
            record(quest.history, choice.option, result.trouble, result.message, now, together, share)
            self._queue(quest)
        self._report(
            TransferEnded(
                TransferRecord(
                    batch=batch.id,
                    source=link[0],
                    target=link[1],
                    protocol=link[2],
                    started=started,
                    seconds=now - started,
                    files=files,
                    size_bytes=size,
                    attempt=attempt,
                    failed=len(failed),
                    trouble=failed[0].trouble if failed else "",
                    message=failed[0].message if failed else "",
                ),
                tuple((result.item.source, result.item.target) for result in results if result.arrived),
            )
        )

    def _end(self, quest: Quest, outcome: Replica | BaseException) -> None:
        del self._quests[quest.wanted.file, quest.wanted.site]
        if isinstance(outcome, Replica):
            quest.future.set_result(outcome)
            return
        self._catalogue.apply(ReplicaEvent.LOST, expected_replica(quest.wanted))
        if isinstance(outcome, asyncio.CancelledError):
            quest.future.cancel()
        else:
            quest.future.set_exception(outcome)


_NOWHERE = Endpoint(site="", root="")


def _outcome(future: "asyncio.Future[Replica]") -> Replica | TransferFailed:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, TransferFailed):
        return error
    raise error
