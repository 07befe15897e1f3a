"""A feed that tells its reader exactly where it is, and can push instead of being pulled.

The plain feed moves its position by a mark as it arrives, which may be before the commits in front of it
have been dealt with by a reader in another thread. Here a mark is an item among the commits: `[rev]`, an
array of one, where a commit has five.

With a `sink` the reader pulls only what came before it had dealt with the state. As soon as it finds the
queue empty the feed is live: from then on each item goes to the sink as it arrives, without a queue and without
waking anybody. An item that the sink fails on goes back into the queue, and the reader finds it there.

    reader   deals with the state ... pulls 8, 9, finds nothing -> live   sleeps until the end
    arrives        8       9                                        10    11
                   queue   queue                                    sink  sink
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from visor._core.dataclass import dataclass
from visor._core.feed import Feed

Sink = Callable[[list[Any]], None]
"""Takes a commit or a mark; called by the receiver of bytes, and must not wait."""


@dataclass(frozen=True, slots=True)
class State:
    """A step: everything that there is at `rev`, as `[path on the wire, version]`."""

    rev: int
    rows: list[list[Any]]
    asked: float
    """When it was asked for, by the client's clock."""


class MarkedFeed(Feed):
    """A feed whose `take` returns marks too, as `[rev]`."""

    __slots__ = ("_credit", "_sink", "live")

    def __init__(
        self,
        selector: list[Any],
        start: int | None,
        flags: int,
        kinds: int,
        window: int,
        sink: Sink | None = None,
        credit: Callable[[Feed], object] | None = None,
    ) -> None:
        super().__init__(selector, start, flags, kinds, window)
        self._sink = sink
        self._credit = credit
        """Gives bytes back, where nobody takes."""
        self.live = False

    def commits(self, commits: list[Any], size: int) -> None:
        """Hand the commits of one message to the sink, or queue them."""
        if not self.live or self._sink is None:
            super().commits(commits, size)
            return
        for number, commit in enumerate(commits):
            try:
                self._sink(commit)
            except Exception:  # whatever it is, the reader meets it again where it can be told
                self.live = False
                super().commits(commits[number:], size)
                return
            self.next_rev = commit[0] + 1
        self.owed += size
        if self._credit is not None and self.due():
            self._credit(self)

    def mark(self, rev: int) -> None:
        """Hand out the mark behind what has arrived."""
        self.marks += 1
        self.asking = False
        queue = self.queue
        if self.live and self._sink is not None:
            self.next_rev = max(self.next_rev or 0, rev + 1)
            self._sink([rev])
        else:
            if queue and type(queue[-1][0]) is int:
                queue.pop()  # a mark right behind a mark says it all
            queue.append((rev, 0))
        self.wake()

    def take(self) -> list[Any] | None:
        """Return the next commit or mark and move the position past it; None when none is there."""
        queue = self.queue
        if not queue:
            self.live = self._sink is not None and self.established
            return None
        # The queue last: an interrupt before that loses nothing.
        item, size = queue[0]
        rev = item if type(item) is int else item[0]
        self.owed += size
        self.next_rev = max(self.next_rev or 0, rev + 1)
        queue.popleft()
        return [rev] if type(item) is int else item


def is_mark(item: list[Any]) -> bool:
    """Whether what `take` returned is a mark."""
    return len(item) == 1
