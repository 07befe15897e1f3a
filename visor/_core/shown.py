"""Values and words as reprs show them: short, on one line, with nothing in them that a terminal obeys.

shown(b"x" * 5000)              b'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'... (5000 bytes)
shown("a\\x1b[2J")               'a\\\\x1b[2J'
several(["a", "b", "c"], 2)     a, b, 1 more
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice
from reprlib import Repr
from typing import Final

from visor._core.harmless import harmless

MOST: Final = 40
"""Bytes or characters of one value that are shown."""
PATH: Final = 200
"""Characters of a path that are shown."""
FEW: Final = 3
"""Things of one kind that are named before the rest is counted."""


def shown(value: object, most: int = MOST) -> str:
    """Return a value as Python writes it, cut where it is long."""
    if isinstance(value, bytes | bytearray | memoryview):
        head = repr(bytes(value[:most]))
        return head if len(value) <= most else f"{head}... ({len(value)} bytes)"
    if isinstance(value, str):
        return repr(value) if len(value) <= most else f"{value[:most]!r}... ({len(value)} characters)"
    try:
        return harmless(_SHORT.repr(value))
    except Exception:  # a number of thousands of digits, or the repr of a user's own class
        return f"<{type(value).__name__}>"


def word(text: str, most: int = PATH) -> str:
    """Return a path, a name or an actor as it is, without quotes."""
    return harmless(text if len(text) <= most else f"{text[:most]}...")


def several(names: Iterable[str], count: int, few: int = FEW) -> str:
    """Return the first of `count` names, and how many more there are."""
    first = list(islice(names, few))
    more = count - len(first)
    return ", ".join([*first, f"{more} more"] if more > 0 else first)


def listed(things: Collection[object], few: int = FEW) -> str:
    """Return the first of these things as they show themselves, and how many more there are."""
    return f"[{several(map(repr, things), len(things), few)}]"


_SHORT: Final = Repr()
_SHORT.maxstring = _SHORT.maxlong = MOST
_SHORT.maxother = PATH
_SHORT.maxlevel = 3
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = _SHORT.maxfrozenset = FEW + 1
