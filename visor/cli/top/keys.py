"""Which key was pressed, and what it changes in what is shown. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

ARROWS: Final = {b"A": "up", b"B": "down", b"C": "right", b"D": "left"}
DEEPEST: Final = 12
"""Levels of a directory that can be told apart; paths may have more."""
ORDERS: Final = ("changes", "name")


class Shown(NamedTuple):
    """What of it is shown."""

    paused: bool = False
    order: str = ORDERS[0]
    """How directories are sorted."""
    first: int = 0
    """So many of them are above the upper edge."""
    depth: int = 0
    """So many of their levels count; 0: all."""
    over: bool = False


def read(data: bytes) -> tuple[list[str], bytes]:
    """Return the keys that bytes of a terminal mean, and the bytes that may be the beginning of another.

    >>> read(b"qx\\x1b[A\\x1bOB\\x1b[")
    (['q', 'x', 'up', 'down'], b'\\x1b[')
    """
    keys = []
    while data:
        if data[:1] != b"\x1b":
            keys.append(data[:1].decode("latin-1").lower())
            data = data[1:]
        elif data[1:2] not in (b"[", b"O"):
            if len(data) == 1:
                break
            data = data[1:]  # the escape key itself, before another
        else:
            end = next((at for at in range(2, len(data)) if 0x40 <= data[at] <= 0x7E), None)
            if end is None:
                return keys, data if len(data) < 16 else b""
            arrow = ARROWS.get(data[end : end + 1])
            keys += [arrow] if arrow is not None else []
            data = data[end + 1 :]
    return keys, data


def pressed(shown: Shown, key: str) -> Shown:
    """Return what is shown after a key; one that means nothing changes nothing."""
    if key == "q":
        return shown._replace(over=True)
    if key in ("p", " "):
        return shown._replace(paused=not shown.paused)
    if key == "s":
        after = ORDERS[(ORDERS.index(shown.order) + 1) % len(ORDERS)]
        return shown._replace(order=after, first=0)
    if key in ("up", "down"):
        return shown._replace(first=max(0, shown.first + (1 if key == "down" else -1)))
    if key in ("left", "right"):
        return shown._replace(depth=_depth(shown.depth, key == "right"), first=0)
    return shown


def _depth(depth: int, deeper: bool) -> int:
    """One level less, or one more; all of them is beyond the deepest."""
    if deeper:
        return 0 if depth in (0, DEEPEST) else depth + 1
    return 1 if depth == 1 else (depth or 4) - 1
