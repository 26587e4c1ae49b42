"""All models together, as they are kept in a file: the observations and beliefs they were learned from.

Posteriors are not kept: they follow from the observations within milliseconds, also in later versions of the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from cwlbalsam.errors import UserError
from cwlbalsam.planner.models.observation import OTHER_SITE, Observation, Prior, SiteSpeed

VERSION = 1
FORMAT = "cwlbalsam-models"


class Page(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One application. key: the digest of its tool; name: what people call it."""

    key: str
    name: str = ""
    prior: Prior = Prior()
    observations: tuple[Observation, ...] = ()


class Book(Struct, frozen=True, kw_only=True):
    """What an export holds."""

    format: str = FORMAT
    version: int = VERSION
    pages: tuple[Page, ...] = ()


class _Head(Struct):
    format: str = ""
    version: Any = None


def encode_book(book: Book) -> bytes:
    """JSON, to be read by people, too."""
    return msgspec.json.format(msgspec.json.encode(book), indent=1) + b"\n"


def decode_book(data: bytes, place: str = "") -> Book:
    """Raises UserError, which names the place, if it is no export, of a version unknown here, or broken."""
    try:
        head = msgspec.json.decode(data, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"not an export of models: {error}", place=place, hint=_HINT) from error
    if head.format != FORMAT:
        raise UserError(f"not an export of models: 'format' is not '{FORMAT}'", place=place, hint=_HINT)
    if head.version != VERSION:
        known = f"this cwlbalsam knows version {VERSION}"
        raise UserError(
            f"models of an unknown version ({_short(head.version)}); {known}",
            place=place,
            hint="upgrade cwlbalsam, or export them again with a version of cwlbalsam like this one",
        )
    try:
        book = msgspec.json.decode(data, type=Book)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UserError(f"broken export of models: {error}", place=place, hint=_HINT) from error
    keys = [page.key for page in book.pages]
    if len(set(keys)) < len(keys):
        raise UserError("broken export of models: an application is there twice", place=place, hint=_HINT)
    return book


def merged(known: Book, other: Book) -> Book:
    """Both; observations that both have count once. Beliefs and names of `known` win, if it has any."""
    pages = {page.key: page for page in known.pages}
    for page in other.pages:
        mine = pages.get(page.key)
        if mine is None:
            pages[page.key] = page
            continue
        had = {msgspec.json.encode(one) for one in mine.observations}
        new = tuple(one for one in page.observations if msgspec.json.encode(one) not in had)
        prior = page.prior if mine.prior == Prior() else mine.prior
        observations = mine.observations + new
        pages[page.key] = Page(key=page.key, name=mine.name or page.name, prior=prior, observations=observations)
    return Book(pages=tuple(pages.values()))


def pooled_site_speeds(effects: Mapping[str, Mapping[str, tuple[float, float]]]) -> dict[str, SiteSpeed]:
    """What to expect of each site from an application that never ran there.

    effects: by application and site, the log slowness and its deviation. A site's slowness is the mean of the
    applications' ones, the more certain ones counting more, drawn towards `OTHER_SITE`; how much they differ stays in
    the deviation. Source: the method of moments for random effects (DerSimonian and Laird, 1986).
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for by_site in effects.values():
        for site, effect in by_site.items():
            found.setdefault(site, []).append(effect)
    return {site: _pooled(known) for site, known in found.items()}


def _pooled(effects: list[tuple[float, float]]) -> SiteSpeed:
    prior = 1.0 / OTHER_SITE.deviation**2
    plain = [1.0 / max(deviation, 1e-3) ** 2 for _, deviation in effects]
    middle = sum(w * mean for w, (mean, _) in zip(plain, effects, strict=True)) / sum(plain)
    excess = sum(w * (mean - middle) ** 2 for w, (mean, _) in zip(plain, effects, strict=True)) - len(effects) + 1
    scale = sum(plain) - sum(w * w for w in plain) / sum(plain)
    between = max(0.0, excess / scale) if scale > 0 else OTHER_SITE.deviation**2
    weights = [1.0 / (between + deviation**2) for _, deviation in effects]
    total = sum(w * mean for w, (mean, _) in zip(weights, effects, strict=True)) + prior * OTHER_SITE.log_slowness
    precision = sum(weights) + prior
    return SiteSpeed(log_slowness=total / precision, deviation=math.sqrt(between + 1.0 / precision))


def _short(version: object) -> str:
    text = repr(version)
    return text if len(text) <= 40 else f"{text[:40]}..."


_HINT = "`cwlbalsam models export` writes such a file"
