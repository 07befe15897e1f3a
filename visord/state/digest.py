"""A hash of the tree at a rev, to compare replicas with, computed in slices."""

from __future__ import annotations

from collections.abc import Generator
from hashlib import blake2b
from typing import Final

from visord.state.reads.walk import walk
from visord.state.refusal import Refusal
from visord.state.store import Store
from visord.state.transfer import WHOLE

_SLICE: Final = 1000
KIB_A_FILE: Final = 12
"""Hashing 2**12 bytes takes about as long as looking at one more file."""


def digest(store: Store, rev: int, *, slice_size: int = _SLICE) -> Generator[None, None, str | Refusal]:
    """Yield after every `slice_size` entries (a large value counts for several); return 32 hexadecimal digits.

    They are those of all files at `rev`. Equal states give equal digests, whatever history they came from. Commits
    and trims may happen between slices. Refused (`compacted`, `future_rev`) when the rev cannot be read, or not any
    more.
    """
    hasher = blake2b(digest_size=16)
    cursor: str | None = None
    while True:
        refused = store.outside(rev)
        if refused is not None:
            return refused
        left = slice_size
        for path, version in walk(store, WHOLE, rev, cursor, inclusive=False):
            if version is not None:
                mod_rev, value, created, count, lease = version
                name, content = path.encode(), value or b""
                # The lengths come first, so that no two states spell the same bytes.
                numbers = (len(name), len(content), mod_rev, created, count, lease)
                hasher.update(b"%d %d %d %d %d %d " % numbers + name + content)
                left -= len(content) >> KIB_A_FILE
            left -= 1
            cursor = path
            if left <= 0:
                break
        else:
            return hasher.hexdigest()
        yield


def state_hash(store: Store, rev: int | None = None) -> str | Refusal:
    """Return the digest at `rev` (None: the latest) at one go."""
    slices = digest(store, store.rev if rev is None else rev)
    while True:
        try:
            next(slices)
        except StopIteration as done:
            result: str | Refusal = done.value
            return result
