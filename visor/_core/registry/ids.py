"""Ids without contention: a write to `/uid` that guards nothing, and so never loses, is answered with its rev.

    uid 812, three ids      812000, 812001, 812002

Every rev is given out once, so its ids are unique, they rise with time (the lowest are the oldest), and an id tells the
rev at which it was made. The ancestors' tickets took the creator's snapshot rev: two creators at one rev collided.
"""

from __future__ import annotations

from typing import Final

BLOCK: Final = 1000
"""Ids that one rev gives."""


def block(uid: int, count: int) -> list[int]:
    """Return `count` ids of the rev; ValueError for more than it gives."""
    if not 0 <= count <= BLOCK:
        raise ValueError(f"one rev gives {BLOCK} ids, not {count}")
    return [uid * BLOCK + number for number in range(count)]
