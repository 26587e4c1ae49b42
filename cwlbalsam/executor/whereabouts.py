"""Where the files of one run are, and under which path each site has them.

In the coordinator's values a location says where a file was made or lies: `file:///path` here, `site://NAME/path` at a
site. That is its identity for the run, too. What a site gets to read are paths of its own; what it answers is
translated back, so that a copy that is handed on stays known as what it is a copy of.
"""

import asyncio
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from cwlbalsam.cwl.places import HERE, is_at_site, location_at, split_location
from cwlbalsam.cwl.tasks import Outcome
from cwlbalsam.cwl.values import Value, files_and_directories, is_remote, outermost
from cwlbalsam.errors import JobError
from cwlbalsam.executor.transfers import Mover
from cwlbalsam.executor.wanted import TransferFailed, Wanted
from cwlbalsam.jobs.names import ARRIVALS
from cwlbalsam.jobs.replicas import Catalogue, Owned, Replica, ReplicaEvent, ReplicaState, file_key
from cwlbalsam.sites.site import LOCAL
from cwlbalsam.sites.transfers.base import Endpoint, TransferError
from cwlbalsam.sites.transfers.hand import ask, convert

INPUTS = "inputs"
"""In a site's work folder: the user's files, for all runs."""

PRIVATE = "#"
"""Between the location of a file and the word for a copy of it that nobody else reads."""

Stamp = tuple[int, int]
"""Size in bytes, and time of the last change in nanoseconds."""


class StagingArea(Struct, frozen=True):
    """A place as the run sees it: how its files are reached, and the run's folder there."""

    endpoint: Endpoint
    folder: str


class Whereabouts:
    """areas: by place; HERE is this machine: what lies in the run's folder there is its own, all else the user's."""

    def __init__(self, areas: Mapping[str, StagingArea], catalogue: Catalogue, mover: Mover) -> None:
        self._areas = areas
        self._catalogue = catalogue
        self._mover = mover
        self._copies: dict[str, dict[str, str]] = {place: {} for place in areas}  # path there -> location
        self._folders: dict[str, dict[str, str]] = {place: {} for place in areas}  # location -> path there
        self._looks: dict[tuple[str, str], asyncio.Future[None]] = {}  # for a file at a site
        self._unseen: dict[str, list[Wanted]] = {}
        self._looking: set[asyncio.Task[None]] = set()

    # --- to a place ---

    def translate(self, place: str, value: Any, wanted: dict[str, Wanted], private: str = "") -> None:
        """Give a value, in place, the paths that it has at a place; what is not known to be there comes to `wanted`.

        private: a word, for a copy that nobody else reads: it will be written to. Raises JobError for a location of an
        unknown site.
        """
        for found in outermost(value):
            self._translate(place, found, wanted, private)

    def _translate(self, place: str, value: Value, wanted: dict[str, Wanted], private: str) -> None:
        location = value.get("location")
        if isinstance(location, str) and not is_remote(value):
            path = self._path(place, value, wanted, private)
            value["location"] = location_at(HERE, path)
            if value["class"] == "Directory":
                _move_listing(value, location, value["location"])
        elif value["class"] == "Directory":
            for entry in value.get("listing") or ():
                self._translate(place, entry, wanted, private)
        for member in value.get("secondaryFiles") or ():
            self._translate(place, member, wanted, private)

    def _path(self, place: str, value: Value, wanted: dict[str, Wanted], private: str) -> str:
        location = value["location"]
        source, path = split_location(location)
        if source not in self._areas:
            raise JobError(f"{location}: the run does not know a site '{source}'")
        if source == place:
            return path
        if source != HERE:  # a site may say anything
            path = os.path.normpath(path)
            location = location_at(source, path)
        inside = self._within_folder(place, location)
        if inside:
            return inside
        key, target = self._target(place, source, path, location, private)
        if value["class"] == "Directory" and not private:
            self._folders[place][location] = target
        self._copies[place][target] = target if private else location
        self._expect(source, path, key, value)
        made = source != HERE or path.startswith(f"{self._areas[HERE].folder}/")
        wanted[key] = Wanted(
            file=key,
            site=_site(place),
            path=target,
            size=value.get("size") if made and value["class"] == "File" else None,
            checksum=value.get("checksum", "") if made else "",  # what users write of their files is not relied on
            directory=value["class"] == "Directory",
        )
        return target

    def _within_folder(self, place: str, location: str) -> str:
        """The path of what lies in a directory that is brought whole; "" if it is in none."""
        folders = self._folders[place]
        above = location if folders else ""
        while above.count("/") > 3:
            above = above.rpartition("/")[0]
            if above in folders:
                return folders[above] + split_location(location)[1][len(split_location(above)[1]) :]
        return ""

    def _target(self, place: str, source: str, path: str, location: str, private: str) -> tuple[str, str]:
        """(key of the file, its path there). The user's files are kept for later runs, under what they are now."""
        area = self._areas[place]
        name = os.path.basename(path) or "root"
        own = self._areas[source].folder
        if place and source == HERE and not private and not path.startswith(f"{own}/"):
            stamp = _stamp(path)
            if stamp is not None:
                key = file_key(Owned(LOCAL, path, *stamp))
                return key, f"{area.endpoint.root.rstrip('/')}/{INPUTS}/{_short(os.uname().nodename + key)}/{name}"
        key = f"{location}{PRIVATE}{private}" if private else location
        return key, f"{area.folder}/{ARRIVALS}/{_short(key)}/{name}"

    def _expect(self, source: str, path: str, key: str, value: Value) -> None:
        """What a location says to be somewhere is there, as far as anybody knows."""
        if self._catalogue.at(key, _site(source)) is None:
            self._catalogue.apply(
                ReplicaEvent.ARRIVED,
                Replica(
                    file=key,
                    site=_site(source),
                    path=path,
                    state=ReplicaState.VALID,
                    size=value.get("size"),
                    checksum=value.get("checksum", ""),
                    directory=value["class"] == "Directory",
                ),
            )

    async def bring(self, wanted: Sequence[Wanted]) -> None:
        """Returns when all are there. Raises TransferFailed."""
        if looks := self._look_for(wanted):
            await asyncio.wait(looks)
        answers = await self._mover.bring(wanted)
        if failures := [answer for answer in answers if isinstance(answer, TransferFailed)]:
            raise TransferFailed.of(failures)

    def _look_for(self, wanted: Sequence[Wanted]) -> "set[asyncio.Future[None]]":
        """Find out, once, whether an earlier run has left some of the user's files where they are wanted."""
        loop = asyncio.get_running_loop()
        kept = [one for one in wanted if f"/{INPUTS}/" in one.path]
        for one in kept:
            if (one.file, one.site) not in self._looks:
                self._looks[one.file, one.site] = loop.create_future()
                if not self._unseen:
                    loop.call_soon(self._start_looking)
                self._unseen.setdefault(one.site, []).append(one)
        return {self._looks[one.file, one.site] for one in kept}

    def _start_looking(self) -> None:
        """What comes in one turn of the loop is asked for together."""
        unseen, self._unseen = self._unseen, {}
        for site, group in unseen.items():
            looking = asyncio.create_task(self._look_at(site, group))
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)

    async def _look_at(self, site: str, wanted: Sequence[Wanted]) -> None:
        try:
            answer = await ask(self._areas[site].endpoint, "stamps", paths=[one.path for one in wanted])
            self._note(site, wanted, convert(site, answer, list[Stamp | None]))
        except TransferError:
            pass  # the mover finds out, and says what is wrong
        finally:
            for one in wanted:
                self._looks[one.file, site].set_result(None)

    def _note(self, site: str, wanted: Sequence[Wanted], stamps: Sequence[Stamp | None]) -> None:
        for one, stamp in zip(wanted, stamps, strict=False):
            owned = self._catalogue.at(one.file, LOCAL)
            if stamp is not None and owned is not None and tuple(stamp) == _stamp(owned.path):
                there = Replica(file=one.file, site=site, path=one.path, state=ReplicaState.VALID, size=stamp[0])
                self._catalogue.apply(ReplicaEvent.ARRIVED, there)

    def locations_back(self, place: str, locations: Sequence[str]) -> tuple[str, ...]:
        """What the run calls them; a place has named them."""
        return tuple(self._name(place, split_location(location)[1]) for location in locations)

    async def close(self) -> None:
        """End what is under way."""
        await self._mover.close()

    # --- back ---

    def translate_back(self, place: str, value: Any) -> None:
        """Name the place in all locations of a value from there; copies get back the name of the original."""
        for found in outermost(value):
            self._back(place, found)

    def _back(self, place: str, value: Value) -> None:
        location = value.get("location")
        if isinstance(location, str) and not is_remote(value) and not is_at_site(location):
            value["location"] = self._name(place, split_location(location)[1])
        for key in ("listing", "secondaryFiles"):
            for inner in value.get(key) or ():
                self._back(place, inner)

    def _name(self, place: str, path: str) -> str:
        copies = self._copies[place]
        above = path = os.path.normpath(path)
        while copies and len(above) > 1:
            known = copies.get(above)
            if known is not None:
                if known == above:  # a private copy, which is a file of its own now
                    break
                return known + location_at(HERE, path)[len(location_at(HERE, above)) :]
            above = os.path.dirname(above)
        return location_at(place, path)

    def sizes(self, value: Any) -> dict[str, int]:
        """How many bytes a value has at each place, as far as it says so; a directory counts as much."""
        found: dict[str, int] = {}
        for each in outermost(value):
            location = each.get("location")
            if isinstance(location, str) and not is_remote(each):
                place = split_location(location)[0]
                found[place] = found.get(place, 0) + int(each.get("size") or UNKNOWN_BYTES)
        return found


UNKNOWN_BYTES = 1 << 20


def at_place(place: str, outcome: Outcome) -> Outcome:
    """An outcome that a place has journalled: files are where it says, at that place."""
    outputs = {}
    for name, raw in outcome.outputs.items():
        value = msgspec.msgpack.decode(raw)
        for found in files_and_directories(value):
            location = found.get("location")
            if isinstance(location, str) and not is_remote(found) and not is_at_site(location):
                found["location"] = location_at(place, split_location(location)[1])
        outputs[name] = Raw(msgspec.msgpack.encode(value))
    return msgspec.structs.replace(outcome, outputs=outputs)


def _move_listing(folder: Value, before: str, after: str) -> None:
    for entry in folder.get("listing") or ():
        location = entry.get("location")
        if isinstance(location, str) and location.startswith(before + "/"):
            entry["location"] = after + location[len(before) :]
        _move_listing(entry, before, after)


def _site(place: str) -> str:
    return place or LOCAL


def _short(key: str) -> str:
    return hashlib.sha256(os.fsencode(key)).hexdigest()[:20]


def _stamp(path: str) -> Stamp | None:
    """None for what is no plain file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns) if os.path.isfile(path) else None
