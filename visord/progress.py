"""Telling how far something is that holds up everything else, every two seconds.

tell = ProgressTeller(time.monotonic, lambda done, of: logger.info("loading: %s", amount(done, of)))
for block in blocks:
    tell(done, of)               # cheap: mostly nothing happens
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

SECONDS: Final = 2.0

Tell: TypeAlias = Callable[[int, int], object]
"""`tell(done, of)`, in bytes."""


class ProgressTeller:
    """Calls `tell(done, of)` at most every two seconds, for the first time after two. `time()` gives seconds."""

    def __init__(self, time: Callable[[], float], tell: Tell) -> None:
        self._time = time
        self._tell = tell
        self._next = time() + SECONDS

    def __call__(self, done: int, of: int) -> None:
        """So many bytes are done, of so many."""
        if self._time() >= self._next:
            self._tell(done, of)
            self._next = self._time() + SECONDS


def amount(done: int, of: int) -> str:
    """Return how far that is, in words: `12.0 of 48.0 MB, 25 %`."""
    return f"{done / 1e6:.1f} of {of / 1e6:.1f} MB, {percent(done, of)} %"


def percent(done: int, of: int) -> int:
    """Return how much of it is done, 0 to 100."""
    return min(100, 100 * done // of) if of > 0 else 100


def untold(done: int, of: int) -> None:
    """Tell nobody."""
