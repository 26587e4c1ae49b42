"""How many batches of files may be under way at the same time, from and to each site."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from cwlbalsam.sites.transfers.base import Endpoint

CONCURRENT = 4
"""Batches at the same time from one site to another, if neither says something else."""


class Gates:
    """One for all sites."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = endpoints
        self._gates: dict[tuple[str, ...], asyncio.Semaphore] = {}

    @asynccontextmanager
    async def through(self, source: str, target: str) -> AsyncIterator[None]:
        """Waits for room. Where a site says how much it has, that counts; gates are passed in the same order by all."""
        told = [(site, self._endpoints[site].at_once) for site in sorted({source, target})]
        own: dict[tuple[str, ...], int] = {(site,): count for site, count in told if count}
        async with AsyncExitStack() as stack:
            for gate, count in (own or {(source, target): CONCURRENT}).items():
                await stack.enter_async_context(self._gates.setdefault(gate, asyncio.Semaphore(count)))
            yield
