"""One file's content from one rev to the next.

A version is a plain tuple `(mod_rev, value, created, count, lease)`, the same on the wire:

    (7, b"x", 3, 2, 0)      written at rev 7, file created at rev 3, second write since, no lease
    (9, None, 0, 0, 0)      a tombstone: the file was deleted at rev 9
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, TypeAlias

BYTES: Final = 320
"""About what a version takes beside its value: the tuple, its rev, its places in the columns of history."""
ENTRY: Final = 4
"""What a rev takes at a directory that it changed."""
SPILLED: Final = 22
"""What a version takes of which only the rev is in memory, with its places in the columns of history."""

Version: TypeAlias = tuple[int, bytes | None, int, int, int]

Write: TypeAlias = tuple[str, bytes | None, int]
"""What makes the next one: `(path, value, lease)`, the value None to delete."""


def tombstone(rev: int) -> Version:
    """Return the version that says: deleted at `rev`."""
    return (rev, None, 0, 0, 0)


def in_force(versions: Sequence[Version], rev: int) -> Version | None:
    """Return the version (or tombstone) that `rev` sees; None when the file came later."""
    last = versions[-1]
    if last[0] <= rev:
        return last
    position = position_after(versions, rev)
    return versions[position - 1] if position else None


def position_after(versions: Sequence[Version], rev: int) -> int:
    """Return how many of the ascending `versions` were written at or before `rev`."""
    # A 1-tuple sorts before every version of the same rev, so nothing but the rev is ever compared.
    return bisect_left(versions, (rev + 1,))
