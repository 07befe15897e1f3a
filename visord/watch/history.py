"""What a watch that is behind reads next: one bounded slice of commits, or one page of files.

Only revs that may concern the selector are looked at: the versions of a path, or the changes that its
directory remembers, else every rev. A path that changed three times among a million revs costs three.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from visord.state.reads.log import candidates
from visord.state.reads.scan import visit
from visord.state.refusal import Refusal
from visord.state.selector import Selector
from visord.state.store import Change, Store
from visord.watch.live import UNIT_BYTES, oversize
from visord.watch.messages import Encoder, array_header
from visord.watch.subscription import Subscription

SEARCH: Final = 512
"""Revs, changes or files that one slice or page looks at; the last commit is looked at whole."""


class Slice(NamedTuple):
    """Commits for one COMMITS message."""

    payload: bytes
    """The commits as a msgpack array; empty when none was found."""
    last: int
    """The rev of the last commit in it."""
    next: int
    """The first rev that was not looked at."""
    cost: int
    refusal: Refusal | None
    """Why the commit at `next` cannot be sent at all."""


class FilePage(NamedTuple):
    """Files for one STATE message."""

    payload: bytes
    """What follows the watch in the message: rev, rows, last."""
    next: str | None
    """The path behind which to go on; None after the last page."""
    cost: int


def read_commits(
    store: Store, encoder: Encoder, subscription: Subscription, through: int, limit: int, largest: int
) -> Slice:
    """Read on from the subscription's cursor, which is above the floor, up to rev `through`.

    The slice ends before the commit that would make it larger than `limit` bytes, but the first one may be
    as large as `largest` (at least `limit`).
    """
    _, shape, kinds = subscription.key
    selector = subscription.selector
    pieces: list[bytes] = []
    size = last = work = 0
    for rev in candidates(store, selector, subscription.cursor, through, reverse=False):
        if work >= SEARCH or size >= limit:
            return _slice(pieces, size, last, rev, work)
        changes, looked = _matching(store, selector, kinds, rev)
        work += 1 + looked
        if not changes:
            continue
        piece = encoder.commit(_heading(store, rev), changes, shape)
        if pieces and size + len(piece) > limit:
            return _slice(pieces, size, last, rev, work)
        if len(piece) > largest:
            return Slice(b"", 0, rev, work, oversize(rev, len(piece), largest))
        pieces.append(piece)
        size += len(piece)
        last = rev
    return _slice(pieces, size, last, through + 1, work)


def _slice(pieces: list[bytes], size: int, last: int, follows: int, work: int) -> Slice:
    payload = array_header(len(pieces)) + b"".join(pieces) if pieces else b""
    return Slice(payload, last, follows, work + size // UNIT_BYTES, None)


def _matching(store: Store, selector: Selector, kinds: int, rev: int) -> tuple[list[Change], int]:
    """Return the changes at `rev` that are wanted, and how many files were looked at."""
    matches = selector.matches
    files = store.history.files(rev)
    found: list[Change] = []
    for file in files:
        if matches(file.path):
            change = store.change(file, rev)
            if kinds >> change[0] & 1:
                found.append(change)
    return found, len(files)


def _heading(store: Store, rev: int) -> tuple[int, int, str, str | None]:
    """Return what a commit says of itself: rev, time, actor, note."""
    history = store.history
    return rev, history.time(rev), history.actors[rev - history.base - 1], history.notes.get(rev)


def read_files(store: Store, encoder: Encoder, subscription: Subscription, limit: int) -> FilePage:
    """Read a page of the files at the rev before the subscription's start, behind the path `page`.

    A page ends after the row that makes it larger than `limit` bytes; it may hold no row at all.
    """
    selector, shape = subscription.selector, subscription.key[1]
    rev, matches = subscription.start - 1, selector.matches
    rows: list[bytes] = []
    size = visits = 0
    behind = None
    entries = visit(store, selector, rev, subscription.page or None)
    for path, version in entries:
        visits += 1
        if version is not None and matches(path):
            rows.append(encoder.row(path, version, shape))
            size += len(rows[-1])
        if visits >= SEARCH or size >= limit:
            behind = path
            break
    if behind is not None and next(entries, None) is None:
        behind = None
    payload = encoder.integer(rev) + array_header(len(rows)) + b"".join(rows) + _BOOLEAN[behind is None]
    return FilePage(payload, behind, visits + size // UNIT_BYTES)


_BOOLEAN: Final = (b"\xc2", b"\xc3")
