"""An owner whose command makes the node work long leaves the others more time before its next one.

    10.0.0.9   [4000 files, 80 ms]      pause 160 ms      [4000 files, 80 ms]     pause ...
    10.0.0.1                       w w w w w w w w w w w                     w w w

Turns alone are not enough for a client that writes a little at a time: each write would come while the next long
command is under way already, and an operation that takes four writes, one after another, would wait for four of those.
With pauses it waits for one. Nobody is paused while nobody else has written for a second, nor for commands that many
made together.
"""

from __future__ import annotations

from typing import Final

HEAVY: Final = 5_000
"""Units of `cost` in one command from which it counts as long: half of what a command may have."""
HEAVY_BYTES: Final = 1 << 20
BYTES_OF_UNIT: Final = 256
"""Bytes that take as long as one unit: packed, written, sent to others, published."""
RECENT_SECONDS: Final = 1.0
"""For so long after the last write of another owner there are others."""
TIMES: Final = 2.0
"""So many times as long as the command took. Members apply it up to as long after this one, on the same two cores or a
slower machine, and acknowledge nothing meanwhile: in half of the pause none is heard."""
MOST_SECONDS: Final = 0.5
"""The longest pause."""


class Pace:
    """Who has written lately. Times in seconds of one clock."""

    __slots__ = ("_mixed", "last")

    def __init__(self) -> None:
        self.last = ""
        """The owner who wrote last."""
        self._mixed = float("-inf")

    def came(self, owner: str, now: float) -> None:
        """An owner other than `last` writes."""
        if self.last:
            self._mixed = now
        self.last = owner

    def pause(self, took: float, now: float) -> float:
        """Return how long the owner of a command that took so long has to pause; 0.0 where there are no others."""
        return min(TIMES * took, MOST_SECONDS) if now - self._mixed < RECENT_SECONDS else 0.0


def whose(work: dict[str, int]) -> str | None:
    """Return the owner who made more than half of this work (units by owner); None where none did."""
    owner = max(work, key=work.__getitem__)
    return owner if 2 * work[owner] > sum(work.values()) else None
