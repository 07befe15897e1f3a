# Generated from visor/aio/following/stream.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""A part of the registry as a sequence of steps: its state, then what changes it, for ever.

    state    rev 7, all files          the first step
    commit   rev 8                     what one commit changed
    mark     rev 12                    nothing else up to here
    state    rev 40, all files         again, where steps were lost: the reader finds out what differs
    commit   rev 41

Lost connections and changes of leader are met below (`Session`): the watch goes on where it was. What the
watch itself cannot survive (history below its position was compacted, a commit that fits no frame, a server
that failed) is met here, by looking at the whole again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from visor._core.feed import Feed
from visor._core.following.errors import WatcherClosed
from visor._core.following.marked_feed import MarkedFeed, Sink, State
from visor._core.log import log
from visor._drivers.blocking.signal import Signal
from visor.errors import Compacted, DeadlineExceeded, OutcomeUnknown, TooLarge, Unavailable, VisorError
from visor.protocol import verbs
from visor.select import Selector

if TYPE_CHECKING:
    from visor.blocking.client import Client

RECOVERED = (Compacted, TooLarge, Unavailable, OutcomeUnknown)
"""Ends of a watch after which looking at the whole again helps."""


Step = State | list[Any]
"""A state, or a commit or a mark as they are on the wire."""


class Stream:
    """The steps of what a selector matches; for one reader.

    With a `sink` most commits and marks go there, as soon as `next` has been called once more than there was
    something to return: then it only returns what the sink has failed on, and fresh looks at the whole.
    """

    def __init__(self, client: Client[Any], what: str | Selector, sink: Sink | None = None) -> None:
        self._driver = client.channel.driver
        self._settings = client.channel.settings
        self._selector = client.channel.root.selector(what)
        self._sink = sink
        self._feed: MarkedFeed | None = None
        self._attempt = 0
        self._last = 0
        """The rev of the last step."""
        self._ending = Signal()
        self.closed = False

    def open(self, timeout: float | None) -> State:
        """Return the first step; raise what kept it from coming within `timeout`."""
        return self._view(timeout)

    def next(self, timeout: float | None = None) -> Step:
        """Return the next step, whenever it comes; raise what ended the stream for good.

        DeadlineExceeded when none comes within `timeout` seconds; the next call goes on.
        """
        deadline = None if timeout is None else self._driver.deadline(timeout)
        while True:
            left = None if deadline is None else deadline.left()
            try:
                if self._feed is None or self._feed.state_rev is None:
                    return self._view(left)
                item = self._driver.next(self._feed, left)
                self._check()
                if item is None:
                    raise Unavailable("the watch was ended")
                self._attempt = 0
                self._last = item[0]
                return item
            except RECOVERED as error:
                if isinstance(error, DeadlineExceeded) and deadline is not None and not deadline.left():
                    raise
                self._recover(error)

    @property
    def _push(self) -> Sink | None:
        """What the feed hands items to as they arrive: the sink, and a note of how far it is."""
        sink = self._sink
        if sink is None:
            return None

        def push(item: list[Any]) -> None:
            sink(item)
            self._last = item[0]

        return push

    def ready(self) -> bool:
        """Whether `next` would return at once."""
        return self._feed is not None and bool(self._feed.queue)

    def _view(self, timeout: float | None) -> State:
        """Ask for the whole and for what follows it."""
        self._check()
        asked = self._settings.clock()
        session = self._driver._session

        def credit(feed: Feed) -> None:
            session.credit(feed)
            session.urgent = True  # nobody is about to flush

        feed = MarkedFeed(self._selector, None, verbs.W_STATE, verbs.ALL_KINDS, 0, self._push, credit)
        self._feed = feed
        self._driver.subscribe(feed, timeout)
        self._check()
        rev, rows = feed.state_rev or 0, feed.rows
        feed.rows = []
        if rev < self._last:
            raise Unavailable(f"the node is at rev {rev}, behind rev {self._last}: time never goes back")
        self._last = rev
        return State(rev, rows, asked)

    def _check(self) -> None:
        if self.closed:
            raise WatcherClosed()

    def _recover(self, error: VisorError) -> None:
        """The watch has ended, or the whole cannot be had just now: begin again, a little later each time."""
        feed, self._feed = self._feed, None
        log.info("looking at everything again after rev %d: %s", self._last, error)
        if feed is not None:
            self._driver.unwatch(feed)
        attempt, self._attempt = self._attempt, self._attempt + 1
        if attempt or not isinstance(error, Compacted):
            pause = self._settings.backoff.pause(attempt, self._settings.random)
            self._ending.until(lambda: self.closed, pause)

    def ask(self, timeout: float | None) -> int:
        """Ask the server for a mark, and return the rev up to which everything has arrived here with it.

        It is among the steps: `next` has yet to return it. DeadlineExceeded; 0 while there is no watch.
        """
        feed = self._feed
        if feed is None or feed.ended:
            return 0
        return self._driver.progress(feed, timeout)

    def close(self) -> None:
        """End it: a reader that waits for a step gets WatcherClosed. Idempotent, never waits."""
        self.closed = True
        if self._feed is not None:
            self._driver.unwatch(self._feed)
        self._ending.fire()
