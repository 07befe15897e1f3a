"""What a watch that is behind reads next: one bounded slice of commits, or one page of files.

Only revs that may concern the selector are looked at: the versions of a path, or the changes that its
directory remembers, else every rev. A path that changed three times among a million revs costs three.

Work is counted in microseconds: 1 for a rev, and for a file what matching its path costs at most. Messages always hold
whole commits. A large commit, or one of many files, comes last in its slice, and a slice may stop within it, to go on
from there (`Partial`):

    look at files     which are wanted, and how many bytes their changes take          WITHIN microseconds a slice
    too many bytes    the watch is refused; nothing was encoded                        (`refusal`)
    put together      pieces of the message; large values are the store's objects      TOGETHER changes, or bytes

A watch that is putting one together is served before all others (`hub`), so that there is about one such message at a
time.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import Final, NamedTuple

from visor.paths import sort_key
from visor.protocol.verbs import W_PREVIOUS
from visord.state.reads.log import candidates
from visord.state.reads.scan import visit
from visord.state.refusal import Refusal
from visord.state.selector import Selector
from visord.state.store import Change, Store
from visord.state.tree import File
from visord.watch.large import Gathering
from visord.watch.live import UNIT_BYTES, UNIT_GATHERED, oversize
from visord.watch.load import LENGTH
from visord.watch.messages import Encoder, Payload, array_header
from visord.watch.partial import Partial
from visord.watch.sizes import change_size, small
from visord.watch.subscription import Subscription

SEARCH: Final = 512
"""Microseconds of looking at revs, changes or files after which a slice or page ends."""
WITHIN: Final = 2048
"""The same for stopping within a commit: most are looked at whole."""


TOGETHER: Final = 512
"""Changes of a large commit that are put together in one slice."""
TOGETHER_BYTES: Final = 1 << 20
"""The same in bytes."""
FEW: Final = 256
"""Files of a commit that are looked at before it is known whether the commit is a large one."""


class Slice(NamedTuple):
    """Commits for one COMMITS message."""

    payload: Payload
    """The commits as a msgpack array; empty when none was found."""
    last: int
    """The rev of the last commit in it."""
    next: int
    """The first rev that was not looked at."""
    cost: int
    refusal: Refusal | None = None
    """Why the commit at `next` cannot be sent at all."""
    partial: Partial | None = None
    """How far the commit at `next` was read, when that takes long."""
    copied: int = 0
    """Bytes that are kept for this slice alone."""


class FilesAsked(NamedTuple):
    """Which files are asked for, as they were at `rev`, in the shape that flags ask for."""

    selector: Selector
    shape: int
    rev: int


class Rows(NamedTuple):
    """Some files as rows, `[path, version]` each, packed."""

    pieces: Payload
    number: int
    """How many rows."""
    next: str | None
    """The path behind which to go on; None after the last file."""
    cost: int


def read_commits(
    store: Store, encoder: Encoder, subscription: Subscription, through: int, limit: int, largest: int
) -> Slice:
    """Read on from the subscription's cursor, which is above the floor, up to rev `through`.

    The slice ends before the commit that would make it larger than `limit` bytes, but the first one may be
    as large as `largest` (at least `limit`).
    """
    shape = subscription.key[1]
    selector = subscription.selector
    pieces: list[bytes] = []
    size = last = work = 0
    few = FEW if not _dear(selector) else max(1, WITHIN // selector.cost(LENGTH))
    partial = subscription.partial
    for rev in candidates(store, selector, subscription.cursor, through, reverse=False):
        if work >= SEARCH or size >= limit:
            return _slice(pieces, size, last, rev, work)
        if partial is None or partial.rev != rev:
            partial = None
            files = store.history.files(rev)
            changes: list[Change] = []
            if len(files) <= few:
                work += 1 + _matching(store, subscription, rev, files, changes)
                if not changes:
                    continue
            if len(files) <= few and small(changes):
                piece = encoder.commit(_heading(store, rev), changes, shape)
                if pieces and size + len(piece) > limit:
                    return _slice(pieces, size, last, rev, work)
                if len(piece) > largest:
                    return Slice((), 0, rev, work, oversize(rev, len(piece), largest))
                pieces.append(piece)
                size += len(piece)
                last = rev
                continue
            if pieces:
                return _slice(pieces, size, last, rev, work)
        read = _read_large(store, encoder, subscription, partial or Partial(rev), largest)
        work += read.cost
        if read.next == rev or read.payload:
            return read._replace(cost=work)
    return _slice(pieces, size, last, through + 1, work)


def _slice(pieces: list[bytes], size: int, last: int, follows: int, work: int) -> Slice:
    payload = (array_header(len(pieces)) + b"".join(pieces),) if pieces else ()
    return Slice(payload, last, follows, work + size // UNIT_BYTES, copied=size)


def _read_large(
    store: Store, encoder: Encoder, subscription: Subscription, partial: Partial, largest: int
) -> Slice:
    """Go on with a commit that is read by itself."""
    rev, shape = partial.rev, subscription.key[1]
    files = store.history.files(rev)
    work = 0
    if partial.looked < len(files):
        partial, work = _look(store, subscription, partial, files)
        if partial.looked < len(files):
            return Slice((), 0, rev, work, partial=partial)
    if not partial.wanted:
        return Slice((), 0, rev + 1, work)
    beginning = encoder.commit_head(_heading(store, rev)) + array_header(partial.wanted)
    size = len(beginning) + partial.size
    if size > largest:
        return Slice((), 0, rev, work, oversize(rev, size, largest))
    gathering = Gathering()
    if not partial.encoded:
        gathering.add((array_header(1) + beginning,))
    partial, cost = _put_together(store, encoder, shape, partial, files, gathering)
    work += cost
    pieces = partial.pieces + gathering.done()
    if partial.encoded < partial.wanted:
        partial = partial._replace(pieces=pieces)
        return Slice((), 0, rev, work, partial=partial, copied=gathering.copied)
    return Slice(pieces, rev, rev + 1, work, copied=gathering.copied)


def _look(
    store: Store, subscription: Subscription, partial: Partial, files: Sequence[File]
) -> tuple[Partial, int]:
    """Look at some more files of a commit; return what that cost, too."""
    _, shape, kinds = subscription.key
    selector, rev = subscription.selector, partial.rev
    matches, price = selector.matches, price_of(selector)
    found = array("I")
    looked, size, cost = partial.looked, partial.size, 0
    while looked < len(files) and cost < WITHIN:
        file = files[looked]
        cost += price(file.path)
        if matches(file.path):
            change = store.change(file, rev, previous=bool(shape & W_PREVIOUS))
            if kinds >> change[0] & 1:
                found.append(looked)
                size += change_size(change, shape)
                cost += 1
        looked += 1
    wanted = partial.wanted + len(found)
    all_found = (*partial.found, found) if found else partial.found
    return partial._replace(looked=looked, found=all_found, wanted=wanted, size=size), cost


def _put_together(
    store: Store,
    encoder: Encoder,
    shape: int,
    partial: Partial,
    files: Sequence[File],
    gathering: Gathering,
) -> tuple[Partial, int]:
    """Put some more changes of a commit together; return what that cost, too."""
    first, size = partial.encoded, 0
    encoded = first
    for position in islice(chain.from_iterable(partial.found), first, first + TOGETHER):
        change = store.change(files[position], partial.rev, previous=bool(shape & W_PREVIOUS))
        pieces = encoder.change_pieces(change, shape)
        gathering.add(pieces)
        size += sum(map(len, pieces))
        encoded += 1
        if size >= TOGETHER_BYTES:
            break
    return partial._replace(encoded=encoded), 4 * (encoded - first) + size // UNIT_GATHERED


def _dear(selector: Selector) -> bool:
    """Tell whether matching a path takes noticeable time."""
    return selector.several is not None or any(glob.rest is not None for glob in selector.globs)


def price_of(selector: Selector) -> Callable[[str], int]:
    """Return what looking at a path costs."""
    return selector.weigh if _dear(selector) else _plain


def _plain(_: str) -> int:
    return 1


def _matching(
    store: Store, subscription: Subscription, rev: int, files: Sequence[File], changes: list[Change]
) -> int:
    """Add the changes at `rev` that are wanted; return what that cost."""
    _, shape, kinds = subscription.key
    selector, previous = subscription.selector, bool(shape & W_PREVIOUS)
    matches, price = selector.matches, price_of(selector)
    cost = 0
    for file in files:
        path = file.path
        if matches(path):
            change = store.change(file, rev, previous=previous)
            if kinds >> change[0] & 1:
                changes.append(change)
        cost += price(path)
    return cost


def _heading(store: Store, rev: int) -> tuple[int, int, str, str | None]:
    """Return what a commit says of itself: rev, time, actor, note."""
    return rev, store.history.time(rev), *store.told(rev)


def read_files(
    store: Store, encoder: Encoder, asked: FilesAsked, behind: str, limit: int, until: str | None
) -> Rows:
    """Read some files behind the path `behind` ("": from the first on).

    They end after the row that makes them larger than `limit` bytes; it may be no row at all. They end with `until`
    where they are then of about that size, too.
    """
    selector, shape, rev = asked
    matches, price = selector.matches, price_of(selector)
    rows: list[list[bytes]] = []
    size = work = 0
    most, search, end = limit, SEARCH, None
    if until is not None:
        most, search, end = 2 * limit, 2 * SEARCH, sort_key(until)
    following = None
    entries = visit(store, selector, rev, behind or None)
    for path, version in entries:
        if end is not None and sort_key(path) > end:
            if size >= limit // 4 or work >= SEARCH // 4:
                return _rows(rows, until, work, size)
            # Too little is left: they go on to where others would end.
            most, search, end = limit, SEARCH, None
        work += price(path)
        if version is not None and matches(path):
            row = encoder.row_pieces(path, store.filled(path, version), shape)
            rows.append(row)
            size += sum(map(len, row))
        if work >= search or size >= most:
            following = path
            break
    if following is not None and next(entries, None) is None:
        following = None
    return _rows(rows, following, work, size)


def _rows(rows: list[list[bytes]], following: str | None, work: int, size: int) -> Rows:
    gathering = Gathering()
    gathering.add(chain.from_iterable(rows))
    return Rows(gathering.done(), len(rows), following, work + size // UNIT_BYTES)
