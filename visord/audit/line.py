"""One line of the audit: which fields it has, how long they may be, and how it holds on to the line before.

    {"n": 42, "prev": "<SHA-256 of line 41, in hex>", "ts": "2026-11-29T17:00:00.000Z", "node": "n1",
     "event": "denied", "user": "ci", "credential": "k3x9q2mv7a", "address": "10.0.0.7", "verb": "SET",
     "path": "/shop/db", "reason": "..."}

The hash is of all bytes of a line but its end. The first line of all has 64 zeros. A field that is not known is left
out. Pure.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from visor._core.harmless import harmless, json_text

FIELDS: Final = {
    "user": 128,
    "credential": 128,
    "address": 128,
    "verb": 64,
    "path": 1024,
    "rev": 20,
    "request": 64,
    "reason": 512,
    "more": 20,
    "since": 32,
}
"""What `record` takes, and how many characters of each are kept. `more` and `since` are of the audit itself: so many
like this came besides since then, and were not written one by one."""
MOST: Final = 4096
"""Bytes of a line, with its end."""
SHORTER: Final = (1024, 256, 64, 16)
"""To how many characters fields are cut, one after the other, until a line is short enough."""
FIRST: Final = "0" * 64

_SECRET: Final = re.compile(r"(?<![A-Za-z0-9])(vis_[a-z2-7]{10}|visj|VJ1)[_-][A-Za-z0-9_-]+")
"""A token, or a join token: whoever shows one in the wrong place gets it neither into a log nor in here."""

Fields = Mapping[str, Any]


class ChainEnd(NamedTuple):
    """Where a chain has got to."""

    number: int
    """Of the last line; 0: there is none."""
    hash: str
    """Of the last line."""


START: Final = ChainEnd(0, FIRST)


def kept(fields: Fields) -> dict[str, Any]:
    """Return fields as they may stand in a line: known ones, cut, in one line, without secrets. Raises TypeError."""
    unknown = fields.keys() - FIELDS.keys()
    if unknown:
        raise TypeError(f"the audit has no field {', '.join(sorted(unknown))}; there are {', '.join(FIELDS)}")
    return {
        name: _kept(fields[name], most) for name, most in FIELDS.items() if fields.get(name) not in (None, "")
    }


def _kept(value: object, most: int) -> Any:
    if type(value) is int and abs(value) < 1 << 64:
        return value
    # Cut before it is looked at: what is longer than any field costs nothing.
    text = harmless(_SECRET.sub(r"\1_***", str(value)[: 2 * most]))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def written(
    place: ChainEnd, milliseconds: int, node: str, event: str, fields: Fields
) -> tuple[bytes, ChainEnd]:
    """Return the next line of a chain, with its end, and where the chain is then. `fields` were `kept`."""
    head = {
        "n": place.number + 1,
        "prev": place.hash,
        "ts": stamp(milliseconds),
        "node": node,
        "event": event,
    }
    for most in SHORTER:
        shorter = {name: value if type(value) is int else value[:most] for name, value in fields.items()}
        data = json_text({**head, **shorter}, separators=(",", ":")).encode("utf-8", "backslashreplace")
        if len(data) < MOST:
            break
    return data + b"\n", ChainEnd(place.number + 1, hash_of(data))


def stamp(milliseconds: int) -> str:
    """Return a time as lines have it. Raises nothing, whatever a clock says."""
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def hash_of(data: bytes) -> str:
    """Return the hash of a line without its end."""
    return hashlib.sha256(data).hexdigest()


def read(data: bytes) -> tuple[int, str] | None:
    """Return (number, hash of the line before) of a line without its end; None when it is no line of the audit."""
    if len(data) >= MOST:
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    number, before = found.get("n"), found.get("prev")
    if type(number) is not int or type(before) is not str or number < 1 or len(before) != len(FIRST):
        return None
    return number, before
