"""Idempotency-Key: the same write, however often it is sent, and through whichever gateway.

The registry knows a write by a session and an id in it, and keeps what became of it. So a key stands for a session of
its own, with one write: who sends it again, here or elsewhere, is told what became of the first.

    key "a1"  ->  session blake2b(token, "a1")  ->  write 1 of it

The connection for it is made for this one write. Its id is 1, as nothing was asked before, and it keeps it whatever
becomes of an attempt: a write that goes out anew under another id would be another one to the next gateway.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from visor.aio import Client
from visor.gateway.problems import NotServed
from visor.gateway.upstream import Dial
from visor.gateway.visit import Visit

MOST_KEY: Final = 255
AT_ONCE: Final = 64
REMEMBERED: Final = 4096
OF_THE_WRITE: Final = ("if-match", "if-none-match", "visor-note", "visor-lease", "visor-actor")


class Once:
    """The keyed writes of one gateway."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._now = 0
        self._seen: OrderedDict[bytes, bytes] = OrderedDict()
        """Session -> what was asked under it, of the latest ones: to tell who uses a key for something else."""

    @asynccontextmanager
    async def client(self, key: str, visit: Visit) -> AsyncIterator[Client[bytes]]:
        """Give a client whose first write is that of the key."""
        session = session_of(key, visit)
        self._check(session, fingerprint(visit))
        if self._now >= AT_ONCE:
            raise NotServed("too_many", f"{AT_ONCE} writes with an Idempotency-Key are under way")
        self._now += 1
        client = self._dial(visit.credential, session)
        try:
            yield client
        finally:
            self._now -= 1
            await client.close()

    def _check(self, session: bytes, asked: bytes) -> None:
        if self._seen.setdefault(session, asked) != asked:
            raise NotServed("key_reused")
        self._seen.move_to_end(session)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)


def session_of(key: str, visit: Visit) -> bytes:
    """Return the session that a key of this caller stands for. NotServed for what is no key."""
    text = key.strip()
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        text = text[1:-1]
    if not 0 < len(text) <= MOST_KEY or not text.isascii() or not text.isprintable():
        raise NotServed("usage", f"Idempotency-Key must be 1 to {MOST_KEY} printable ASCII characters")
    return hashlib.blake2b(
        visit.credential.key + text.encode(), digest_size=16, person=b"visor http key"
    ).digest()


def fingerprint(visit: Visit) -> bytes:
    """Return what stands for all that a write says."""
    said = [
        visit.method,
        visit.url,
        repr(visit.query),
        *(visit.headers.get(name, "") for name in OF_THE_WRITE),
    ]
    made = hashlib.blake2b("\0".join(said).encode("utf-8", "surrogatepass"), digest_size=16)
    made.update(visit.body)
    return made.digest()
