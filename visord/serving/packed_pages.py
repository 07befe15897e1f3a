"""Pages of lists as bytes: what nothing below has changed since is sent again as it was packed.

    SCAN [1, "/apps"] at rev 70     read and packed: rows, cursor and nil are kept as bytes, with rev 70 and "/apps"
    SCAN [1, "/apps"] at rev 95     nothing at or below /apps has changed since 70: [OK, id, [95, the same bytes]]
    SET /apps/web                   rev 96
    SCAN [1, "/apps"] at rev 96     /apps has changed at 96: read and packed anew

Only pages of the latest state are kept, under exactly what was asked (selector, cursor, limit, options). Whether they
still hold is the tree's to say: each directory knows the last rev that changed anything at or below it. A redaction
changes values without a rev, and another state may take the place of this one: then all pages go. Who may read what
is judged before, for each request; the pages belong to nobody.

A page of SCAN that does not hold any more is put together from chunks of files (`watch.packed_files`), of which only
those are read anew in which something has changed; so are the pages behind it, which are asked for at its rev.

Bounded in bytes; the page that was asked for longest ago goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final, NamedTuple

import msgpack

from visor.protocol import verbs
from visor.protocol.frames import Message
from visord.state.query import answer
from visord.state.reads.page import BUDGET
from visord.state.refusal import Refusal
from visord.state.selector import Selector, parse
from visord.state.store import Store
from visord.watch.history import FilesAsked
from visord.watch.large import Gathering
from visord.watch.messages import Encoder, Payload, array_header
from visord.watch.packed_files import Most, PackedFiles

MOST_BYTES: Final = 32 << 20
"""Of all pages."""
KEY_BYTES: Final = 1024
"""A longer question is answered, and not remembered."""
LEAST_ROWS: Final = 8
"""A shorter page is packed as fast as it is found."""
OVERHEAD: Final = 512
"""Bytes that a page takes beside what it tells, about."""
PAGED: Final = frozenset((verbs.SCAN, verbs.LIST))
AT: Final = 3
DEFAULTS: Final[list[Any]] = [0, None, 0, {}]
"""Of what follows the rev: mode, cursor, limit, options."""
WIDTH: Final = 4
"""Fields of the answer to SCAN."""
TOP: Final = "/"


class _Page(NamedTuple):
    rev: int
    """At which it was read."""
    base: str
    """Nothing in it lies above."""
    width: int
    """Fields of the answer, the rev among them."""
    pieces: Payload
    """All of them behind the rev, packed."""
    size: int


class PackedPages:
    """See the module. `files`: what SCANs are put together from; `most`: bytes of all pages together."""

    def __init__(self, store: Store, files: PackedFiles, most: int = MOST_BYTES) -> None:
        self._store = store
        self._files = files
        self._encoder = Encoder()
        self._most = most
        self._pages: OrderedDict[bytes, _Page] = OrderedDict()
        self._epoch: tuple[int, object] = (0, None)
        self.bytes = 0
        self.found = self.made = 0
        """Answers that were there, and that had to be packed."""

    def answer(self, message: Message) -> tuple[bytes, Payload] | Refusal | None:
        """Return what SCAN or LIST is answered with: what comes before the page, and the page; or why not.

        None: it has to be answered in the ordinary way.
        """
        if len(message) > AT and message[AT] is not None:
            return self._of_a_rev(message)
        try:
            key: bytes = msgpack.packb([message[0], *message[2:]])
        except (ValueError, TypeError, OverflowError):  # nothing that a read takes
            return None
        if len(key) > KEY_BYTES:
            return None
        store = self._store
        epoch = (store.redacted.count, store.root)
        if epoch[0] != self._epoch[0] or epoch[1] is not self._epoch[1]:
            self._forget(epoch)
        page = self._pages.get(key)
        if page is not None and self._holds(page):
            self.found += 1
            self._pages.move_to_end(key)
            return _beginning(message[1], store.rev, page.width), page.pieces
        pieces = None if page is None else self._put_together(message, store.rev, reads=True)
        if page is not None and pieces is not None:
            self._drop(key)
            self._keep(key, _Page(store.rev, page.base, page.width, pieces, sum(map(len, pieces))))
            return _beginning(message[1], store.rev, page.width), pieces
        told = answer(store, message)
        if isinstance(told, Refusal):
            self._drop(key)
            return told
        self.made += 1
        tail = b"".join(map(_packed, told[1:]))
        self._drop(key)
        if type(told[1]) is list and len(told[1]) >= LEAST_ROWS:
            self._keep(key, _Page(store.rev, self._base(message), len(told), (tail,), len(tail)))
        return _beginning(message[1], store.rev, len(told)), (tail,)

    def _of_a_rev(self, message: Message) -> tuple[bytes, Payload] | None:
        """Answer a SCAN that names its rev, as the later pages of one do, where all it asks for is kept."""
        rev = message[AT]
        if message[0] != verbs.SCAN or type(rev) is not int or self._store.outside(rev) is not None:
            return None
        pieces = self._put_together(message, rev, reads=False)
        return None if pieces is None else (_beginning(message[1], rev, WIDTH), pieces)

    def _put_together(self, message: Message, rev: int, *, reads: bool) -> Payload | None:
        """Return what SCAN is answered behind the rev, made of chunks; None where it has to be found otherwise.

        `reads`: what has changed may be read; else all has to be there.
        """
        asked = _asked(message)
        selector = None if asked is None else parse(message[2], self._store.limits)
        if asked is None or not isinstance(selector, Selector):
            return None
        behind, limit, shape = asked
        if not reads and not self._files.knows(selector, shape):
            return None
        limits = self._store.limits
        most = Most(limits.page_bytes, BUDGET, limits.page)
        files = FilesAsked(selector, shape, rev)
        taken = self._files.take(self._store, self._encoder, files, behind, most, reads=reads)
        if taken is None or taken.number > (limit or limits.page):
            return None
        gathering = Gathering()
        gathering.add((array_header(taken.number), *taken.pieces, _packed(taken.next) + _packed(None)))
        return gathering.done()

    def _holds(self, page: _Page) -> bool:
        store = self._store
        if page.rev == store.rev:
            return True
        return page.base != TOP and 0 < store.changed(page.base, store.rev) <= page.rev

    def _base(self, message: Message) -> str:
        """Return the deepest path at or below which all of an answer lies. The message has been answered."""
        if message[0] == verbs.LIST:
            path: str = message[2]
            return path
        selector = parse(message[2], self._store.limits)
        base = selector.base if isinstance(selector, Selector) else TOP
        # Of what is not there, nobody knows when it was deleted: such a page holds at its own rev alone.
        return base if self._store.exists(base, self._store.rev) else TOP

    def _keep(self, key: bytes, page: _Page) -> None:
        self._pages[key] = page
        self.bytes += _size(key, page)
        while self.bytes > self._most:
            gone, old = self._pages.popitem(last=False)
            self.bytes -= _size(gone, old)

    def _drop(self, key: bytes) -> None:
        page = self._pages.pop(key, None)
        if page is not None:
            self.bytes -= _size(key, page)

    def _forget(self, epoch: tuple[int, object]) -> None:
        self._epoch = epoch
        self._pages.clear()
        self.bytes = 0


def _size(key: bytes, page: _Page) -> int:
    return len(key) + page.size + OVERHEAD


def _asked(message: Message) -> tuple[str, int, int] | None:
    """Return behind what, how many and in what shape SCAN asks for files; None where it is anything else or wrong."""
    told: list[Any] = message[AT + 1 :]
    if message[0] != verbs.SCAN or len(told) > len(DEFAULTS):
        return None
    mode, cursor, limit, options = told + DEFAULTS[len(told) :]
    keys = type(options) is dict and options.get("keys", False)
    if type(keys) is not bool or options not in ({}, {"keys": True}) or type(limit) is not int or limit < 0:
        return None
    if (
        type(mode) is not int
        or not 0 <= mode <= 1
        or not (cursor is None or (type(cursor) is str and cursor))
    ):
        return None
    return cursor or "", limit, verbs.W_KEYS if keys else 0


def _packed(part: Any) -> bytes:
    data: bytes = msgpack.packb(part, use_bin_type=True)
    return data


def _beginning(request: int, rev: int, width: int) -> bytes:
    """Return `[OK, request, [rev, ...` of an answer of so many fields, fewer than 16."""
    return b"\x93" + _packed(verbs.OK) + _packed(request) + bytes((0x90 | width,)) + _packed(rev)
