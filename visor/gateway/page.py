"""What is answered without the registry: the description, pages, metrics, whether the gateway lives.

What never changes while the process runs is made and packed when it is asked for first, and has an entity tag, another
one packed than as it is: whoever has it is told that it is still so.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cached_property
from hashlib import blake2b
from typing import Final

from visor._core.dataclass import dataclass
from visor.gateway import accept, etags

PACKED: Final = "gzip"
HARD: Final = 9
"""As small as it gets: it is done once."""


class Lasting:
    """A text that never changes, as `make` returns it when it is asked for first."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make

    def __call__(self) -> bytes:
        """Return it as it is."""
        return self.plain

    @cached_property
    def plain(self) -> bytes:
        """It as it is."""
        return self._make()

    @cached_property
    def packed(self) -> bytes:
        """It packed; nothing where that would be no smaller."""
        packed = gzip.compress(self.plain, HARD, mtime=0)
        return packed if len(packed) < len(self.plain) else b""

    @cached_property
    def digest(self) -> str:
        """What an entity tag says of it."""
        return blake2b(self.plain, digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `body` makes it when it is asked for."""

    body: Callable[[], bytes] | Lasting
    media_type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def answer(self, asked: Mapping[str, str]) -> tuple[int, bytes, dict[str, str]]:
        """Return status, bytes and headers for who asks with these headers. NotServed for tags that are none."""
        headers = {"content-type": self.media_type, **self.headers}
        if not isinstance(self.body, Lasting):
            return self.status, self.body(), headers
        packed = accept.takes(asked.get("accept-encoding"), PACKED) and self.body.packed
        coded = {"content-encoding": PACKED} if packed else {}
        tag = f'"{self.body.digest}{"-" + PACKED if packed else ""}"'
        headers |= {"vary": "accept-encoding", "etag": tag}
        if etags.fresh(tag, asked.get("if-none-match")):
            del headers["content-type"]
            return 304, b"", headers
        return self.status, packed or self.body.plain, {**headers, **coded}
