"""Which form an answer takes: the first of those that there are that `Accept` likes best. Whether it may be packed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from visor.gateway.problems import NotServed

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
LINES: Final = "application/jsonl"
EVENTS: Final = "text/event-stream"
RAW: Final = "application/octet-stream"

SAME: Final = {
    "application/vnd.msgpack": MSGPACK,
    "application/x-msgpack": MSGPACK,
    "application/x-ndjson": LINES,
    "application/x-jsonlines": LINES,
}
"""Other names of the same."""
MOST: Final = 32
_RANGE: Final = re.compile(r"\s*([\w.+*-]+/[\w.+*-]+)\s*((?:;[^,]*)?)")
_QUALITY: Final = re.compile(r";\s*q=([01](?:\.[0-9]{0,3})?)\s*(?:;|\Z)", re.IGNORECASE)


def choose(text: str | None, offered: Sequence[str]) -> str:
    """Return the form to answer in; NotServed when none of those offered would do. The first is what anybody gets."""
    if text is None or not text.strip():
        return offered[0]
    best, found = 0.0, None
    likes = _likes(text)
    for each in offered:
        quality = _quality(each, likes)
        if quality > best:
            best, found = quality, each
    if found is None:
        raise NotServed("not_acceptable", f"there is {', '.join(offered)}, and Accept names none of these")
    return found


def _likes(text: str) -> list[tuple[str, float]]:
    likes = []
    for part in text.split(",")[:MOST]:
        match = _RANGE.fullmatch(part)
        if match is not None:
            quality = _QUALITY.search(match[2])
            name = match[1].lower()
            likes.append((SAME.get(name, name), float(quality[1]) if quality else 1.0))
    return likes


def _quality(offer: str, likes: list[tuple[str, float]]) -> float:
    """Return how well an offer is liked: what names it most exactly counts."""
    family = offer.partition("/")[0] + "/*"
    for wanted in (offer, family, "*/*"):
        found = [quality for name, quality in likes if name == wanted]
        if found:
            return max(found)
    return 0.0


def takes(text: str | None, coding: str) -> bool:
    """Say whether who sent this Accept-Encoding takes a coding. Who says nothing takes none.

    >>> takes("gzip, br", "gzip"), takes("*;q=0.5", "gzip"), takes("gzip;q=0, *", "gzip"), takes(None, "gzip")
    (True, True, False, False)
    """
    likes: dict[str, float] = {}
    for part in (text or "").split(",")[:MOST]:
        name, _, rest = part.partition(";")
        quality = _QUALITY.search(f";{rest}")
        likes[name.strip().lower()] = float(quality[1]) if quality else 1.0
    return likes.get(coding, likes.get("*", 0.0)) > 0
