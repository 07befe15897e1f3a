"""What was read from history last, for other watches at the same place: when a herd catches up, one reads for all.

    commits[selector, rev, bytes, how far within the rev]

It lives for one pump, or less: what is kept for nobody costs memory, so everything goes when it becomes too much, and
when no reader is left that could use it.
"""

from __future__ import annotations

from typing import Final

from visord.watch.history import Slice
from visord.watch.subscription import GroupKey

KEPT: Final = 64
"""Slices of history that are kept for others at the same place."""
KEPT_BYTES: Final = 1 << 20


class Recent:
    """See the module."""

    __slots__ = ("_bytes", "_redacted", "commits")

    def __init__(self) -> None:
        self.commits: dict[tuple[GroupKey, int, int, int], Slice] = {}
        self._bytes = 0
        self._redacted = 0

    def see(self, redacted: int) -> None:
        """So many redactions were applied: what was read before the last of them is not what is there."""
        if redacted != self._redacted:
            self._redacted = redacted
            self.forget()

    def keep(self, size: int) -> None:
        """Count the bytes of what was just read, and let all go when it becomes too much."""
        self._bytes += size
        if self._bytes > KEPT_BYTES or len(self.commits) > KEPT:
            self.forget()

    def forget(self) -> None:
        """Keep nothing."""
        self.commits.clear()
        self._bytes = 0
