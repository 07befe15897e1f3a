"""Files of W_STATE and of SCAN as bytes: what was packed for one is sent to the next, but for what has changed.

    mirror 1 of /apps at rev 70    chunks  "" .. /apps/f   /apps/f .. /apps/q   /apps/q .. end      read and packed
    SET /apps/k                    rev 71
    mirror 2 at rev 71             chunks  "" .. /apps/f   (read anew)          /apps/q .. end      sent as they were

An answer is made of chunks of some 8 KiB, which are the same objects for all that are sent them. Kept is what was
read of one selector in one shape: chunks that do not overlap, and the rev up to which it is known which of them have
changed. Whoever asks for a later rev has the changes of the selector looked at, each once for all chunks; whoever asks
for an earlier one gets those that were read at that rev or before. A chunk that is read anew ends where it ended, so
that those behind it stay what they are.

A redaction changes values without a rev, and another state may take the place of this one: then all go. Bounded in
bytes: the files that were asked for longest ago go first, and of what does not fit in the first chunks are kept.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, TypeAlias

from visor.paths import sort_key
from visord.state.reads.log import candidates
from visord.state.selector import Selector
from visord.state.store import Store
from visord.watch.history import SEARCH, FilesAsked, Rows, price_of, read_files
from visord.watch.large import Gathering
from visord.watch.messages import Encoder, Payload, array_header
from visord.watch.subscription import Subscription

MOST_BYTES: Final = 16 << 20
"""Of all chunks."""
CHUNK_BYTES: Final = 8 << 10
"""Of one: what one changed file has read anew. A larger one is handed on as it is, not copied (`VALUE_BYTES`)."""
OVERHEAD: Final = 512
"""Bytes that a chunk takes beside what it tells, about."""
LEAST_BYTES: Final = 1024
LEAST_COST: Final = 64
"""What is shorter, and was found at once, is not kept."""
LONGEST: Final = 1024
"""Bytes of a selector at most: its name takes so much."""
LOOKED_AT: Final = 1024
"""Changes that are looked at to bring chunks up to date; where there are more, all is read anew."""

_Key: TypeAlias = tuple[tuple[Any, ...], int]
"""Selector as it came, and shape."""
_BOOLEAN: Final = (b"\xc2", b"\xc3")


class StatePage(NamedTuple):
    """Files for one STATE message."""

    payload: Payload
    """What follows the rev in the message: rows, last."""
    next: str | None
    """The path behind which to go on; None after the last page."""
    cost: int


class Most(NamedTuple):
    """How much is taken at once, about."""

    bytes: int
    work: int
    rows: int = 1 << 60


class Chunk(NamedTuple):
    """Some files, one after the other."""

    rev: int
    """At which it was read."""
    next: str | None
    """The path behind which the next one begins; None: it is the last."""
    number: int
    """Of rows; -1 when they have changed: then only where it ends is known."""
    pieces: Payload
    size: int


class KeptFiles:
    """The chunks of one selector, by what they begin behind."""

    __slots__ = ("_taken", "bytes", "chunks", "rev", "starts")

    def __init__(self, rev: int, taken: int) -> None:
        self.rev = rev
        """Up to it, it is known which of them have changed."""
        self.chunks: dict[str, Chunk] = {}
        """By the sort key of the path behind which each begins."""
        self.starts: list[str] = []
        """These keys, in order."""
        self.bytes = self._taken = taken

    def put(self, start: str, chunk: Chunk) -> None:
        """Keep a chunk, in the place of all that it overlaps."""
        starts = self.starts
        first = bisect_left(starts, start)
        if first and self._reaches(starts[first - 1], start):
            first -= 1
        end = len(starts) if chunk.next is None else bisect_left(starts, sort_key(chunk.next))
        for other in starts[first:end]:
            self.bytes -= self.chunks.pop(other).size
        starts[first:end] = [start]
        self.chunks[start] = chunk
        self.bytes += chunk.size

    def _reaches(self, start: str, key: str) -> bool:
        """Tell whether the chunk that begins at `start` goes on behind `key`."""
        end = self.chunks[start].next
        return end is None or sort_key(end) > key

    def changed(self, path: str) -> None:
        """Forget what the chunk tells that `path` belongs to."""
        key = sort_key(path)
        place = bisect_left(self.starts, key)
        if place:
            start = self.starts[place - 1]
            end = self.chunks[start].next
            if end is None or key <= sort_key(end):
                self.empty(start)

    def clear(self) -> None:
        """Keep nothing."""
        self.chunks.clear()
        self.starts.clear()
        self.bytes = self._taken

    def forget(self, start: str) -> None:
        """Keep nothing of a chunk."""
        self.bytes -= self.chunks.pop(start).size
        del self.starts[bisect_left(self.starts, start)]

    def empty(self, start: str) -> None:
        """Forget what a chunk tells."""
        chunk = self.chunks[start]
        if chunk.number >= 0:
            self.chunks[start] = chunk._replace(number=-1, pieces=(), size=OVERHEAD)
            self.bytes -= chunk.size - OVERHEAD


class PackedFiles:
    """See the module. `most`: bytes of all chunks together."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._all: OrderedDict[_Key, KeptFiles] = OrderedDict()
        self._epoch: tuple[int, object] = (0, None)
        self.bytes = 0
        """What all chunks take, about."""
        self.found = self.made = 0
        """Chunks that were there, and that had to be read."""

    def page(self, store: Store, encoder: Encoder, subscription: Subscription, limit: int) -> StatePage:
        """Return the files that a watch is to be sent next, about `limit` bytes of them."""
        asked = FilesAsked(subscription.selector, subscription.key[1], subscription.start - 1)
        behind = subscription.page or ""
        if limit < 2 * CHUNK_BYTES:  # of a small window: there are few of those
            rows = read_files(store, encoder, asked, behind, limit, None)
            return _page(rows.number, rows.pieces, rows.next, rows.cost)
        taken = self.take(store, encoder, asked, behind, Most(limit, SEARCH))
        assert taken is not None
        return _page(taken.number, taken.pieces, taken.next, taken.cost)

    def knows(self, selector: Selector, shape: int) -> bool:
        """Tell whether anything is kept of it."""
        return (selector.form, shape) in self._all

    def take(
        self,
        store: Store,
        encoder: Encoder,
        asked: FilesAsked,
        behind: str,
        most: Most,
        *,
        reads: bool = True,
    ) -> Rows | None:
        """Return the files behind a path, in whole chunks, until they are `most`.

        Without `reads` only what is kept, and None where that is not all.
        """
        self._see((store.redacted.count, store.root))
        selector, shape, rev = asked
        key = (selector.form, shape)
        kept, looked = self._all.get(key), 0
        if kept is None:
            weight = 1 if selector.several is None else len(selector.several.all)
            kept = KeptFiles(rev, OVERHEAD + LONGEST * weight)
        else:
            self._all.move_to_end(key)
            looked = self._bring_up_to_date(kept, store, selector, rev)
        pieces: list[bytes] = []
        number = size = work = 0
        following: str | None = behind
        while following is not None and size < most.bytes and work < most.work and number < most.rows:
            start = sort_key(following)
            chunk = kept.chunks.get(start)
            if chunk is None or chunk.number < 0 or chunk.rev > rev:
                if not reads:
                    return None
                until = None if chunk is None else chunk.next
                rows = read_files(store, encoder, asked, following, CHUNK_BYTES, until)
                work += rows.cost
                chunk = self._read(key, kept, start, rev, rows)
            else:
                self.found += 1
            if number and number + chunk.number > most.rows:
                break
            pieces += chunk.pieces
            number += chunk.number
            work += 1
            size += chunk.size
            following = chunk.next
        return Rows(tuple(pieces), number, following, looked + work)

    def _see(self, epoch: tuple[int, object]) -> None:
        """So many redactions were applied to that state: what was read before is not what is there."""
        if epoch[0] != self._epoch[0] or epoch[1] is not self._epoch[1]:
            self._epoch = epoch
            self._all.clear()
            self.bytes = 0

    def _read(self, key: _Key, kept: KeptFiles, start: str, rev: int, rows: Rows) -> Chunk:
        """Return a chunk that was just read, and keep it where it is of the latest rev that was asked for."""
        self.made += 1
        chunk = Chunk(rev, rows.next, rows.number, rows.pieces, OVERHEAD + sum(map(len, rows.pieces)))
        if kept.rev != rev or (chunk.size < LEAST_BYTES + OVERHEAD and rows.cost < LEAST_COST):
            return chunk
        if key not in self._all:
            self._all[key] = kept
            self.bytes += kept.bytes
        before = kept.bytes
        kept.put(start, chunk)
        self.bytes += kept.bytes - before
        while self.bytes > self._most and len(self._all) > 1:
            self.bytes -= self._all.popitem(last=False)[1].bytes
        if self.bytes > self._most:
            self.bytes -= kept.bytes
            kept.forget(start)
            self.bytes += kept.bytes
        return chunk

    def _bring_up_to_date(self, kept: KeptFiles, store: Store, selector: Selector, rev: int) -> int:
        """Forget what has changed up to `rev`; return how many changes were looked at."""
        if rev <= kept.rev:
            return 0
        before, known, kept.rev = kept.bytes, kept.rev, rev
        looked = LOOKED_AT + 1
        if known >= max(store.floor, store.cut):
            looked = _look(kept, store, selector, known + 1, rev)
        if looked > LOOKED_AT:
            kept.clear()
        self.bytes += kept.bytes - before
        return looked


def _page(number: int, pieces: Iterable[bytes], behind: str | None, cost: int) -> StatePage:
    gathering = Gathering()
    gathering.add((array_header(number), *pieces, _BOOLEAN[behind is None]))
    return StatePage(gathering.done(), behind, cost)


def _look(kept: KeptFiles, store: Store, selector: Selector, first: int, last: int) -> int:
    """Look at what has changed; return how much that was, more than `LOOKED_AT` when not at all of it."""
    looked, price = 0, price_of(selector)
    for rev in candidates(store, selector, first, last, reverse=False):
        files = store.history.files(rev)
        looked += 1
        for file in files:
            looked += price(file.path)
            if looked > LOOKED_AT:
                return looked
            if selector.matches(file.path):
                kept.changed(file.path)
    return looked
