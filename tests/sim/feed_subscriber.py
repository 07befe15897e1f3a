"""A watch of a client with the real core: what its user is given, and believes to be complete, goes into the history.

feed.begin          `resumed`, once: the core asks again by itself, and its user sees one unbroken watch
feed.state_rev      `state`: all rows of the files at that rev
feed.take()         `commit`, at the user's own speed: a slow one leaves the window full
feed.marks          `mark`: everything up to `delivered` was given
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.checkers.history import Event, Watch
from tests.sim.subscriber import PATHS, WINDOWS
from visor._core.feed import Feed
from visor.errors import Compacted, Rejected
from visor.protocol import verbs

if TYPE_CHECKING:
    from tests.sim.core_client import CoreClient

ASK_SECONDS: Final = 4.0
"""How long the core may try to begin it."""


class FeedSubscriber:
    """See the module."""

    def __init__(self, client: CoreClient) -> None:
        rng = client.rng
        self._client = client
        self._with_state = rng.random() < 0.4
        self._start = max(1, client.min_rev - rng.randrange(30)) if rng.random() < 0.3 else None
        if self._with_state:
            self._start = None
        self._window = rng.choice(WINDOWS)
        self._reads = rng.random() < 0.8
        """It takes at once what has come."""
        self._begun = False
        self._told_state = False
        self._marks = 0
        self._wait_until = 0.0
        self.complete = 0
        self.trace = Watch(client.number, rng.choice(PATHS), previous=rng.random() < 0.3)
        client.world.history.watches.append(self.trace)
        self._feed = self._ask()

    def _ask(self) -> Feed:
        """Ask for the watch: from the files, from a rev, or from the next commit on."""
        client = self._client
        flags = (verbs.W_PREVIOUS if self.trace.previous else 0) | (verbs.W_STATE if self._with_state else 0)
        selector = [verbs.SEL_TREE, self.trace.path]
        feed = Feed(selector, self._start, flags, verbs.ALL_KINDS, self._window)
        feed.waiters.append(self)
        self._told_state, self._marks = False, 0
        client.core.subscribe(feed, client.now + ASK_SECONDS, ASK_SECONDS, client.now)
        client.flush_soon()
        return feed

    def notify(self) -> None:
        """The core says that something has come. It begins: from where on it is complete is written down at once."""
        feed = self._feed
        if not self._begun and feed.established and not feed.flags & verbs.W_STATE:
            assert feed.next_rev is not None
            self._begun = True
            if feed.state_rev is None:
                self._note("resumed", feed.next_rev)

    def tick(self) -> None:
        """From time to time: take what a slow user has left, ask for a mark."""
        client = self._client
        self._reads = self._reads or client.closing
        if self._feed.ended:
            self._again()
        elif self._begun and not self._feed.asking and (client.closing or client.rng.random() < 0.1):
            client.core.progress(self._feed)
        self.look(take=self._reads or client.rng.random() < 0.2)

    def look(self, *, take: bool | None = None) -> None:
        """Take what has come, if the user reads at once."""
        feed = self._feed
        if feed.state_rev is not None and not self._told_state:
            self._told_state = True
            self._note("state", feed.state_rev, {path: tuple(version) for path, version in feed.rows})
            self._go_on(feed.state_rev)
        if not (self._reads if take is None else take):
            return
        while (commit := feed.take()) is not None:
            self._note("commit", commit[0], commit)
            self._go_on(commit[0])
        self._client.core.credit(feed)
        if feed.marks > self._marks:
            self._marks = feed.marks
            if self._begun and feed.delivered >= self.complete:
                self._note("mark", feed.delivered)
                self._go_on(feed.delivered)

    def _again(self) -> None:
        """It ended, for a reason that may pass or because its beginning is forgotten: ask for a new one."""
        client, error = self._client, self._feed.error
        client.world.count(f"core client: a watch ended: {type(error).__name__}")
        if isinstance(error, Rejected) and not isinstance(error, Compacted):
            client.world.broken(f"a watch of client {client.number} ended: {error!r}", error)
        elif isinstance(error, Compacted):
            self._with_state, self._start = True, None
            self._begun = False
        elif self._begun:
            self._with_state, self._start = False, self._feed.next_rev
        self._feed = self._ask()

    def _go_on(self, rev: int) -> None:
        self.complete = max(self.complete, rev)
        self._client.saw(rev)

    def _note(self, kind: str, rev: int, content: Any = None) -> None:
        self.trace.events.append(Event(self._client.now, kind, rev, content))
