"""A loop whose time stands while the process stands still: what runs on it alone takes no standstill for a silence.

Elections, handshakes and keep-alives of members that share it go by its time. Each wait is short, and none counts for
more than it was to be: what a stopped process slept, and what its machine took from it, is left out.
"""

from __future__ import annotations

import asyncio
import selectors
import time

LONGEST = 0.1
"""Seconds that one wait may take, and that are counted between two looks at the clock."""


class _Short(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Waits for `LONGEST` at most."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(LONGEST if timeout is None else min(timeout, LONGEST))


class SteadyLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self._seen = self._now = time.monotonic()
        super().__init__(_Short())

    def time(self) -> float:
        """Return seconds that go on as those of the machine do, without its standstills."""
        seen = time.monotonic()
        self._now += min(seen - self._seen, LONGEST)
        self._seen = seen
        return self._now
