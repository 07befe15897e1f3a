"""A feed that hands out marks in their place among the commits, so that who reads it knows its rev exactly.

The plain feed moves its position by a mark as it arrives, which may be before the commits in front of it
have been dealt with by a reader in another thread. Here a mark is an item of the queue: `[rev]`, an array of
one, where a commit has five.
"""

from __future__ import annotations

from typing import Any

from visor._feed import Feed


class MarkedFeed(Feed):
    """A feed whose `take` returns marks too, as `[rev]`."""

    __slots__ = ()

    def mark(self, rev: int) -> None:
        """Queue the mark behind what has arrived."""
        self.marks += 1
        self.asking = False
        queue = self.queue
        if queue and type(queue[-1][0]) is int:
            queue.pop()  # a mark right behind a mark says it all
        queue.append((rev, 0))
        self.wake()

    def take(self) -> list[Any] | None:
        """Return the next commit or mark and move the position past it; None when none is there."""
        queue = self.queue
        if not queue:
            return None
        # The queue last: whoever is interrupted before has not lost anything.
        item, size = queue[0]
        rev = item if type(item) is int else item[0]
        self.owed += size
        self.next_rev = max(self.next_rev or 0, rev + 1)
        queue.popleft()
        return [rev] if type(item) is int else item


def is_mark(item: list[Any]) -> bool:
    """Whether what `take` returned is a mark."""
    return len(item) == 1
