"""A body as JSON: one object, read in one way only, and no more of it than can be held.

A key that is there twice is refused: which of them counts, two readers would not agree. So is what JSON has no word
for (NaN), and what is small to send but large to hold: a comma costs a byte to send and up to a hundred to keep.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from visor.gateway.problems import NotServed

MOST_PARTS: Final = 200_000
"""Elements and keys of a body."""
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_MARKS: Final = (b",", b"[", b"{")


def read(data: bytes) -> dict[str, Any]:
    """Return the object; NotServed for anything else, in words."""
    if _parts(data) > MOST_PARTS and _parts(_STRING.sub(b'""', data)) > MOST_PARTS:
        raise NotServed("body_too_large", f"the body has more than {MOST_PARTS} elements")
    try:
        # Read as UTF-8 and nothing else: what is counted above is what is read.
        found = json.loads(data.decode("utf-8"), parse_constant=_constant, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise NotServed("usage", f"the body is not JSON: {str(error)[:200]}") from None
    if not isinstance(found, dict):
        raise NotServed("usage", "the body must be an object")
    return found


def _parts(data: bytes) -> int:
    return sum(map(data.count, _MARKS))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:40]!r} is there twice")
    return made


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
