"""Pages of lists as bytes: what nothing below has changed since is sent again as it was packed.

    SCAN [1, "/apps"] at rev 70     read and packed: rows, cursor and nil are kept as bytes, with rev 70 and "/apps"
    SCAN [1, "/apps"] at rev 95     nothing at or below /apps has changed since 70: [OK, id, [95, the same bytes]]
    SET /apps/web                   rev 96
    SCAN [1, "/apps"] at rev 96     /apps has changed at 96: read and packed anew

Only pages of the latest state are kept, under exactly what was asked (selector, cursor, limit, options). Whether they
still hold is the tree's to say: each directory knows the last rev that changed anything at or below it. A redaction
changes values without a rev, and another state may take the place of this one: then all pages go. Who may read what
is judged before, for each request; the pages belong to nobody.

Bounded in bytes; the page that was asked for longest ago goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final, NamedTuple

import msgpack

from visor.protocol import verbs
from visor.protocol.frames import Message
from visord.state.query import answer
from visord.state.refusal import Refusal
from visord.state.selector import Selector, parse
from visord.state.store import Store

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
TOP: Final = "/"


class _Page(NamedTuple):
    rev: int
    """At which it was read."""
    base: str
    """Nothing in it lies above."""
    width: int
    """Fields of the answer, the rev among them."""
    tail: bytes
    """All of them behind the rev, packed."""


class PackedPages:
    """See the module. `most`: bytes of all pages together."""

    def __init__(self, store: Store, most: int = MOST_BYTES) -> None:
        self._store = store
        self._most = most
        self._pages: OrderedDict[bytes, _Page] = OrderedDict()
        self._epoch: tuple[int, object] = (0, None)
        self.bytes = 0
        self.found = self.made = 0
        """Answers that were there, and that had to be packed."""

    def answer(self, message: Message) -> tuple[bytes, bytes] | Refusal | None:
        """Return what SCAN or LIST is answered with: what comes before the page, and the page; or why not.

        None: it has to be answered in the ordinary way.
        """
        if len(message) > AT and message[AT] is not None:
            return None
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
            return _beginning(message[1], store.rev, page.width), page.tail
        told = answer(store, message)
        if isinstance(told, Refusal):
            self._drop(key)
            return told
        self.made += 1
        tail = b"".join(map(_packed, told[1:]))
        self._drop(key)
        if type(told[1]) is list and len(told[1]) >= LEAST_ROWS:
            self._keep(key, _Page(store.rev, self._base(message), len(told), tail))
        return _beginning(message[1], store.rev, len(told)), tail

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
    return len(key) + len(page.tail) + OVERHEAD


def _packed(part: Any) -> bytes:
    data: bytes = msgpack.packb(part, use_bin_type=True)
    return data


def _beginning(request: int, rev: int, width: int) -> bytes:
    """Return `[OK, request, [rev, ...` of an answer of so many fields, fewer than 16."""
    return b"\x93" + _packed(verbs.OK) + _packed(request) + bytes((0x90 | width,)) + _packed(rev)
