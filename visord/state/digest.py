"""A hash of the tree at a rev, to compare replicas with, computed in slices."""

from __future__ import annotations

from collections.abc import Generator
from hashlib import blake2b
from typing import Any, Final

from visor.paths import sort_key
from visord.state import refusal
from visord.state.exporting import WHOLE
from visord.state.past_values import Unreadable
from visord.state.reads.walk import walk
from visord.state.refusal import Refusal
from visord.state.store import Store
from visord.state.version import Version

_SLICE: Final = 1000
KIB_A_FILE: Final = 12
"""Hashing 2**12 bytes takes about as long as looking at one more file."""
PORTION: Final = 256
"""Files, and changes, that are hashed at one go: well below a millisecond."""
PORTION_BYTES: Final = 1 << 20
"""The same in bytes of values; the last one may be over it."""
MOST_VISITS: Final = 16 * PORTION
"""What may lie between two paths that another member names."""


REDACTED: Final = Refusal("overloaded", "values were redacted while this was hashed: ask again", {})


def digest(store: Store, rev: int, *, slice_size: int = _SLICE) -> Generator[None, None, str | Refusal]:
    """Yield after every `slice_size` entries (a large value counts for several); return 32 hexadecimal digits.

    They are those of all files at `rev`. Equal states give equal digests, whatever history they came from. Commits
    and trims may happen between slices. Refused (`compacted`, `future_rev`) when the rev cannot be read, or not any
    more.
    """
    hasher = blake2b(digest_size=16)
    cursor: str | None = None
    redacted = store.redacted.count
    while True:
        refused = store.outside(rev)
        if refused is not None:
            return refused
        if store.redacted.count != redacted:  # the others may have hashed this part before, or after
            return REDACTED
        left = slice_size
        try:
            for path, version in walk(store, WHOLE, rev, cursor, inclusive=False):
                if version is not None:
                    left -= _add(hasher, store, path, version) >> KIB_A_FILE
                left -= 1
                cursor = path
                if left <= 0:
                    break
            else:
                return hasher.hexdigest()
        except Unreadable as error:
            return refusal.history_damaged(error.path, error.offset, str(error))
        yield


def portion(
    store: Store, rev: int, after: str | None, upto: str | None, first: int
) -> tuple[str, str | None] | None:
    """Return a digest of some files at `rev` and of what the revs behind `first` changed, at one go.

    The files are those behind the path `after` (None: from the first one on) up to and with `upto`; where that is None,
    as many as can be looked at in about a millisecond. The second part of the result is the last of these files, None
    when the end of the tree was reached. Equal states give equal digests, whatever was trimmed. None: the revs from
    `first` on cannot be read (any more, or from this disk), or too much lies between the paths.
    """
    if first < store.floor or rev > store.rev or first > rev:
        return None
    try:
        return _portion(store, rev, after, upto, first)
    except Unreadable:
        return None


def _portion(
    store: Store, rev: int, after: str | None, upto: str | None, first: int
) -> tuple[str, str | None] | None:
    hasher = blake2b(digest_size=16)
    _changes(hasher, store, first, rev)
    last = sort_key(upto) if upto is not None else None
    size = 0
    for visits, (path, version) in enumerate(walk(store, WHOLE, rev, after, inclusive=False), 1):
        if last is not None and sort_key(path) > last:
            return hasher.hexdigest(), upto
        if version is not None:
            size += _add(hasher, store, path, version)
        if last is None and (visits >= PORTION or size >= PORTION_BYTES):
            return hasher.hexdigest(), path
        if visits >= MOST_VISITS:
            return None
    return hasher.hexdigest(), upto


def _changes(hasher: Any, store: Store, first: int, rev: int) -> None:
    """Add what the newest commits behind `first` wrote, each in path order."""
    count = size = 0
    for number in range(rev, max(first, rev - PORTION), -1):
        for file in store.history.files(number):
            version = file.in_force(number)
            if version is not None:
                size += _add(hasher, store, file.path, version)
            count += 1
            if count >= PORTION or size >= PORTION_BYTES:
                return


def _add(hasher: Any, store: Store, path: str, version: Version) -> int:
    """Add a file, or what was done to it; return how many bytes its value has."""
    mod_rev, value, created, count, lease = store.filled(path, version)
    name, content = path.encode(), value or b""
    # The lengths come first, so that no two states spell the same bytes.
    numbers = (len(name), len(content), mod_rev, created, count, lease)
    hasher.update(b"%d %d %d %d %d %d " % numbers + name + content)
    was = store.redacted.size(path, mod_rev)
    if was is not None:
        hasher.update(b"redacted %d " % was)
    return len(content)


def state_hash(store: Store, rev: int | None = None) -> str | Refusal:
    """Return the digest at `rev` (None: the latest) at one go."""
    slices = digest(store, store.rev if rev is None else rev)
    while True:
        try:
            next(slices)
        except StopIteration as done:
            result: str | Refusal = done.value
            return result
