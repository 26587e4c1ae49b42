"""The mover with real servers."""

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from cwlbalsam.executor.events import TransferEnded
from cwlbalsam.executor.transfers import Mover
from cwlbalsam.executor.wanted import Wanted
from cwlbalsam.jobs.replicas import Catalogue, Owned, Replica, ReplicaState, file_key
from tests.sites.transfers.conftest import Sites, Workplace

pytestmark = pytest.mark.servers
Make = Callable[[tuple[str, str, str]], Workplace]


def test_files_find_their_way_over_three_sites_and_a_site_that_was_down(
    sites: Sites, workplace: Make, run: Callable[[Coroutine[Any, Any, Any]], Any]
) -> None:
    place = workplace(("tar", "a", "b"))
    rows = []
    for number in range(40):
        path = place.out / f"{number} $(x)"
        path.write_bytes(b"%d" % number * 1000)
        key = file_key(Owned("a", str(path), path.stat().st_size, path.stat().st_mtime_ns))
        rows.append(Replica(file=key, site="a", path=str(path), state=ReplicaState.VALID, size=path.stat().st_size))
    events: list[Any] = []
    mover = Mover(sites.endpoints, Catalogue(rows), events.append, carriers=sites.carriers)

    def wanted(site: str) -> list[Wanted]:
        root = sites.endpoints[site].root
        return [
            Wanted(file=row.file, site=site, path=f"{root}/{place.name}/{index}", size=row.size)
            for index, row in enumerate(rows)
        ]

    async def whole() -> list[Any]:
        sites.sshd["b"].kill()
        asyncio.get_running_loop().call_later(3.0, sites.sshd["b"].start)
        first = await asyncio.gather(mover.bring(wanted("b")), mover.bring(wanted("home")), mover.bring(wanted("b")))
        again = await mover.bring(wanted("home"))
        await mover.close()
        return [one for found in [*first, again] for one in found]

    found = run(whole())
    assert [one for one in found if not isinstance(one, Replica)] == []
    for site in ("b", "home"):
        for index, one in enumerate(wanted(site)):
            assert Path(one.path).read_bytes() == b"%d" % index * 1000
    records = [event.record for event in events if isinstance(event, TransferEnded)]
    assert sum(record.files for record in records) == 2 * len(rows)
    assert any(record.trouble == "unreachable" for record in records)
    assert place.left_over() == []
    shutil.rmtree(f"{sites.endpoints['home'].root}/{place.name}")
