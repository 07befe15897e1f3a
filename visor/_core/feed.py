"""A watch below its face: where it is, what has arrived, what the server may still send.

    server --COMMITS--> queue --take--> user         bytes taken go back as CREDIT, half a window at once

Only whole commits are queued, and the position moves only when the user takes one. So after a lost
connection the queue is dropped and the watch asked for again from the position on: no gap, no repeat,
and never more than one window in memory.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from visor._core.call import Call
from visor.errors import VisorError
from visor.protocol import verbs

WINDOW = 256 * 1024
"""Bytes of a watch that may wait unread, unless the user says otherwise."""


class Feed:
    """One watch of one client; the session fills it, a driver takes from it.

    `wake` is replaced by the driver: it is called whenever something may have become true that somebody
    waits for (established, state complete, an item, a mark, the end).
    """

    __slots__ = (
        "asking",
        "call",
        "closed",
        "ended",
        "error",
        "established",
        "flags",
        "kinds",
        "marks",
        "next_rev",
        "owed",
        "queue",
        "rows",
        "selector",
        "start",
        "state_rev",
        "waiters",
        "window",
        "wire",
    )

    def __init__(self, selector: list[Any], start: int | None, flags: int, kinds: int, window: int) -> None:
        self.selector = selector
        self.start = start
        self.flags = flags
        self.kinds = kinds
        self.window = window or WINDOW
        self.wire = 0
        """Its number on this connection; 0 when it has none."""
        self.call: Call | None = None
        """The WATCH request that is under way."""
        self.established = False
        self.next_rev = start
        """The first rev that the user has not been given; None before the server has said."""
        self.queue: deque[tuple[Any, int]] = deque()
        """`(commit as on the wire, its bytes to give back)` or `(rev of a mark, 0)`."""
        self.owed = 0
        """Bytes taken and not given back yet."""
        self.rows: list[list[Any]] = []
        self.state_rev: int | None = None
        """The rev of `rows`, once they are complete."""
        self.asking = False
        """A mark was asked for and has not come."""
        self.marks = 0
        """How many marks have arrived."""
        self.error: VisorError | None = None
        """Why it ended, given to the user after everything that came before."""
        self.ended = False
        self.closed = False
        self.waiters: list[Any] = []
        """What the driver wakes."""

    def wake(self) -> None:
        """Have the waiters look again."""
        for waiter in self.waiters:
            waiter.notify()

    def request(self) -> list[Any]:
        """Return the WATCH message that continues where the user is."""
        return [verbs.WATCH, 0, self.selector, self.next_rev, self.flags, self.kinds, self.window]

    def begin(self, wire: int, first: int) -> None:
        """The server has accepted: `first` is the first rev it may deliver."""
        self.wire = wire
        self.call = None
        self.established = True
        if self.next_rev is None:
            self.next_rev = first
        self.wake()

    def reset(self) -> None:
        """The connection is gone: forget what it had brought and was not taken."""
        self.wire = 0
        self.queue.clear()
        self.owed = 0
        if self.flags & verbs.W_STATE:
            self.rows.clear()
            self.next_rev = self.start

    def commits(self, commits: list[Any], size: int) -> None:
        """Queue the commits of one message of `size` bytes; taking the last gives the bytes back."""
        queue = self.queue
        for commit in commits:
            queue.append((commit, 0))
        if commits:
            queue[-1] = (commits[-1], size)
        else:
            self.owed += size
        self.wake()

    def state(self, rev: int, rows: list[Any], last: bool, size: int) -> None:
        """Keep the rows of one STATE message; they are complete with the last."""
        self.rows += rows
        self.owed += size
        if last:
            self.state_rev = rev
            self.next_rev = rev + 1
            self.flags &= ~verbs.W_STATE
            self.wake()

    def mark(self, rev: int) -> None:
        """Everything up to `rev` has arrived."""
        self.marks += 1
        self.asking = False
        if self.queue:
            self.queue.append((rev, 0))
        else:
            self.next_rev = max(self.next_rev or 0, rev + 1)
        self.wake()

    def end(self, error: VisorError | None) -> None:
        """No more will come."""
        self.wire = 0
        self.call = None
        self.ended = True
        if self.error is None:
            self.error = error
        self.wake()

    def take(self) -> list[Any] | None:
        """Return the next commit and move the position past it; None when none is there."""
        queue = self.queue
        while queue:
            # The queue last: an interrupt before that loses no commit.
            item, size = queue[0]
            if type(item) is int:
                self.next_rev = max(self.next_rev or 0, item + 1)
                queue.popleft()
                continue
            self.owed += size
            self.next_rev = item[0] + 1
            queue.popleft()
            commit: list[Any] = item
            return commit
        return None

    @property
    def arrived(self) -> int:
        """The rev up to which everything has arrived, taken or not."""
        if not self.queue:
            return self.delivered
        last = self.queue[-1][0]
        return last if type(last) is int else int(last[0])

    def due(self) -> bool:
        """Whether so much was taken that the server should be told."""
        return self.owed * 2 >= self.window and self.wire != 0

    @property
    def delivered(self) -> int:
        """The rev up to which the user has been given everything."""
        return 0 if self.next_rev is None else self.next_rev - 1
