"""What a watch that is behind reads next: one bounded slice of commits, or one page of files.

Only revs that may concern the selector are looked at: the versions of a path, or the changes that its
directory remembers, else every rev. A path that changed three times among a million revs costs three.

Work is counted in microseconds: 1 for a rev, and for a file what matching its path costs at most. A slice may stop
within a commit of many files: then it ends before that one, with the place and what was found so far (`Partial`),
from where the next one goes on. Messages always hold whole commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from visord.state.reads.log import candidates
from visord.state.reads.scan import visit
from visord.state.refusal import Refusal
from visord.state.selector import Selector
from visord.state.store import Change, Store
from visord.state.tree import File
from visord.watch.live import UNIT_BYTES, oversize
from visord.watch.messages import Encoder, array_header
from visord.watch.subscription import Subscription

SEARCH: Final = 512
"""Microseconds of looking at revs, changes or files after which a slice or page ends."""
WITHIN: Final = 2048
"""The same for stopping within a commit: most are looked at whole."""


class Partial(NamedTuple):
    """How far the commit at `rev` was looked at."""

    rev: int
    looked: int
    """How many of its files."""
    found: list[Change]
    """Not to be changed: others may go on from here too."""


class Slice(NamedTuple):
    """Commits for one COMMITS message."""

    payload: bytes
    """The commits as a msgpack array; empty when none was found."""
    last: int
    """The rev of the last commit in it."""
    next: int
    """The first rev that was not looked at."""
    cost: int
    refusal: Refusal | None = None
    """Why the commit at `next` cannot be sent at all."""
    partial: Partial | None = None
    """How far the commit at `next` was looked at, when that takes long."""


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
    partial = subscription.partial
    for rev in candidates(store, selector, subscription.cursor, through, reverse=False):
        if work >= SEARCH or size >= limit:
            return _slice(pieces, size, last, rev, work)
        files = store.history.files(rev)
        if partial is not None and partial.rev == rev:
            files, changes = files[partial.looked :], list(partial.found)
        else:
            partial, changes = None, []
        looked, cost = _matching(store, selector, kinds, rev, files, changes)
        work += 1 + cost
        if looked < len(files):
            before = 0 if partial is None else partial.looked
            return _slice(pieces, size, last, rev, work)._replace(
                partial=Partial(rev, before + looked, changes)
            )
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
    return Slice(payload, last, follows, work + size // UNIT_BYTES)


def _matching(
    store: Store, selector: Selector, kinds: int, rev: int, files: Sequence[File], changes: list[Change]
) -> tuple[int, int]:
    """Add the changes at `rev` that are wanted; return how many files were looked at, and what that cost."""
    matches, glob = selector.matches, selector.glob
    dear = glob is not None and glob.rest is not None
    cost = looked = 0
    for file in files:
        path = file.path
        looked += 1
        if matches(path):
            change = store.change(file, rev)
            if kinds >> change[0] & 1:
                changes.append(change)
        cost += selector.cost(len(path)) if dear else 1
        if cost >= WITHIN:
            break
    return looked, cost


def _heading(store: Store, rev: int) -> tuple[int, int, str, str | None]:
    """Return what a commit says of itself: rev, time, actor, note."""
    history = store.history
    return rev, history.time(rev), history.actors[rev - history.base - 1], history.notes.get(rev)


def read_files(store: Store, encoder: Encoder, subscription: Subscription, limit: int) -> FilePage:
    """Read a page of the files at the rev before the subscription's start, behind the path `page`.

    A page ends after the row that makes it larger than `limit` bytes; it may hold no row at all.
    """
    selector, shape = subscription.selector, subscription.key[1]
    rev, matches, glob = subscription.start - 1, selector.matches, selector.glob
    dear = glob is not None and glob.rest is not None
    rows: list[bytes] = []
    size = work = 0
    behind = None
    entries = visit(store, selector, rev, subscription.page or None)
    for path, version in entries:
        work += selector.cost(len(path)) if dear else 1
        if version is not None and matches(path):
            rows.append(encoder.row(path, version, shape))
            size += len(rows[-1])
        if work >= SEARCH or size >= limit:
            behind = path
            break
    if behind is not None and next(entries, None) is None:
        behind = None
    payload = encoder.integer(rev) + array_header(len(rows)) + b"".join(rows) + _BOOLEAN[behind is None]
    return FilePage(payload, behind, work + size // UNIT_BYTES)


_BOOLEAN: Final = (b"\xc2", b"\xc3")
