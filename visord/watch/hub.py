"""The watches of one node: subscriptions come and go, each gets its commits, whatever the others do.

    hub.subscribe(sink, ...)    a rev or a Refusal; nothing is sent yet
    hub.pump(budget)            after every applied batch, and again in the next turn while it returns True
    hub.credit / resume         a reader, or its socket, takes bytes again; then pump
    hub.tick(now)               about once a second, then pump
    hub.drop(sink)              the connection is gone

Every message leaves through `sink.send` as encoded bytes. One pump first publishes new commits to the live
groups (`live`), then gives readers that are behind one bounded slice each in turn (`history`), so that
neither a long history nor a thousand slow readers hold the loop. Nothing is done for all watches at once: a publication
stops in the middle of a commit, MARKs, ends and what a closed connection leaves are worked off in portions, and what
globs may cost every write is bounded when a watch begins (`load`). What a subscription costs is one small
object and its cursor; bytes that a reader does not take are never kept, they are read from history later.

All times are seconds of one clock that never goes back; all work is counted in units of about a microsecond.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final

from visor.paths import Glob
from visor.protocol import verbs
from visor.protocol.limits import DEFAULT, SELECTORS, Limits
from visord.state.past_values import Unreadable
from visord.state.refusal import POSITIVE, Refusal, bad_request, compacted, history_damaged, too_large
from visord.state.selector import Selector, parse, raw_of
from visord.state.store import Store
from visord.waiting import Waiting
from visord.watch.history import read_commits
from visord.watch.live import MESSAGE_BYTES, QUIET_SECONDS, SHARED_BYTES, Live
from visord.watch.load import Load
from visord.watch.messages import SHAPE, Encoder, Payload
from visord.watch.packed_files import PackedFiles
from visord.watch.recent import Recent
from visord.watch.subscription import (
    AHEAD,
    BEHIND,
    ENDED,
    LAGGING,
    LIVE,
    GroupKey,
    Reader,
    Sink,
    Subscription,
    Verdicts,
)

MOST: Final = 500_000
"""Watches of a node: at about 500 bytes each."""
AT_ONCE: Final = 256
"""Watches that are taken out of a table, or ended, in one pump: about a millisecond."""
MESSAGE_ROOM: Final = 64
"""Bytes that the frame limit leaves for the head of a message."""
TURN_COST: Final = 4
"""Units that serving a reader costs, whatever it gets."""
BYTES_SENT: Final = 4 << 10
"""A unit of sending; so is each piece."""
COST_OF_CONNECTION: Final = "microseconds that the globs of this connection's watches may cost a changed path"
_FLAGS: Final = verbs.W_PREVIOUS | verbs.W_STATE | verbs.W_KEYS


class _Nobody:
    """The sink of watches whose connection is gone, until they are taken out."""

    blocked: Final = True

    def send(self, data: bytes) -> None:
        """Nobody is there."""

    def send_all(self, pieces: Sequence[bytes]) -> None:
        """Nobody is there."""

    def judge_again(self) -> Verdicts | None:
        return None


NOBODY: Final = _Nobody()


class Hub:
    """See the module."""

    __slots__ = (
        "_ahead",
        "_count",
        "_encoder",
        "_lagging",
        "_largest",
        "_leaving",
        "_limits",
        "_live",
        "_most",
        "_now",
        "_quiet_due",
        "_readers",
        "_ready",
        "_recent",
        "_resting",
        "_selectors",
        "_together",
        "ended",
        "load",
        "packed",
        "rev",
        "store",
    )

    def __init__(self, store: Store, limits: Limits = DEFAULT, *, most: int = MOST) -> None:
        self.store = store
        """May be pointed at another store that continues the same history."""
        self.rev = store.rev
        """Everything up to it has been published to the live subscriptions."""
        self.ended: Counter[str] = Counter()
        """How many watches were ended, by code."""
        self._limits = limits
        self._most = most
        self._largest = limits.frame - MESSAGE_ROOM
        self._encoder = Encoder()
        self._live = Live(self._encoder, self._largest, self._fall_back, self._end_refused)
        self._readers: dict[Sink, Reader] = {}
        self._ready: OrderedDict[Reader, None] = OrderedDict()
        """Readers that have a watch BEHIND and take bytes; the first is served next."""
        self._resting: dict[Reader, None] = {}
        """Readers that have a watch BEHIND and a full socket."""
        self._ahead: Waiting[Subscription] = Waiting()
        self._lagging: Waiting[Subscription] = Waiting()
        self._leaving: deque[Reader] = deque()
        """Readers that are gone, with watches to be taken out."""
        self._quiet_due = False
        """Whether MARKs may be due."""
        self.load = Load()
        """What the globs of all watches cost a changed path."""
        self._count = 0
        self._selectors = 0
        """Those of all watches: each costs about what a watch costs."""
        self._now = 0.0
        self._recent = Recent()
        self.packed = PackedFiles()
        """Files as they were packed for others."""
        self._together: Subscription | None = None
        """The watch that has pieces of a large message that is not whole: it is served before all others."""

    # -- subscriptions --------------------------------------------------------------------------------

    def subscribe(
        self,
        sink: Sink,
        watch: int,
        selector: Any,
        start: int | None,
        flags: int,
        kinds: int,
        window: int,
        now: float,
    ) -> int | Refusal:
        """Begin a watch with the fields of WATCH as they came; return the first rev that it may deliver.

        Nothing is sent before the next pump. Refused: `bad_request`, `bad_path`, `bad_glob`, `compacted`,
        `too_large` (watches, or the cost of globs, of this connection), `overloaded` (of this node).
        """
        self._now = now
        refusal = _check_fields(watch, start, flags, kinds, window) or self._check_room(sink, watch, 1)
        if refusal is not None:
            return refusal
        parsed = parse(selector, self._limits)
        if isinstance(parsed, Refusal):
            return parsed
        if parsed.several is not None:
            refusal = self._check_room(sink, watch, len(parsed.parts))
            if refusal is not None:
                return refusal
        if start is None:
            start = self.store.rev + 1
        if start <= self.store.floor:
            return compacted(self.store.floor, start)
        window = min(window, self._limits.watch_window) if window else self._limits.watch_window
        key = (parsed.form, flags & SHAPE, kinds)
        if parsed.globs:
            refusal = self._take_load(sink, key, parsed.globs)
            if refusal is not None:
                return refusal
        subscription = self._begin(sink, watch, parsed, key, start, window)
        if flags & verbs.W_STATE:
            subscription.page = ""
        self._place(subscription)
        return start

    def _check_room(self, sink: Sink, watch: int, selectors: int) -> Refusal | None:
        """Say whether there is room for one more watch: each of its selectors counts like a watch of its own."""
        reader = self._readers.get(sink)
        held, most = 0 if reader is None else reader.selectors, self._limits.watches
        if reader is not None and watch in reader.subscriptions:
            return bad_request("id", "an id that names no watch yet", watch)
        if held + selectors > most:
            return too_large("watches of this connection", most, held + selectors)
        if self._selectors + selectors > self._most:
            text = f"this node serves {self._selectors} watches, its limit is {self._most}"
            return Refusal("overloaded", text, {"what": "watches", "limit": self._most})
        return None

    def _take_load(self, sink: Sink, key: GroupKey, globs: tuple[Glob, ...]) -> Refusal | None:
        """Count the globs of one more watch, unless they would make every write too dear.

        Loads are tenths of a microsecond. A connection leaves as much room as it takes, so that a few cannot fill the
        node for all others.
        """
        reader = self._readers.get(sink)
        own = reader.load if reader is not None and reader.load is not None else Load()
        before = self.load.total
        self.load.add(key, globs)
        own.add(key, globs)
        refusal = self._too_dear(own.total, before)
        if refusal is not None:
            own.remove(key, globs)
            self.load.remove(key, globs)
            return refusal
        self._reader(sink).load = own
        return None

    def _too_dear(self, own: int, before: int) -> Refusal | None:
        """Say whether a connection's globs, or all, cost too much, where those of all had cost `before`."""
        most = 10 * self._limits.glob_cost_connection
        if own > most:
            return too_large(COST_OF_CONNECTION, most // 10, -(-own // 10))
        all_, limit = self.load.total, self._limits.glob_cost
        if all_ > before and all_ + own > 10 * limit:
            text = (
                f"the globs of this node's watches cost up to {before // 10} us for each changed path "
                f"and those of this connection {own // 10}; together the limit is {limit}"
            )
            return Refusal("overloaded", text, {"what": "cost of globs", "limit": limit})
        return None

    def _reader(self, sink: Sink) -> Reader:
        reader = self._readers.get(sink)
        if reader is None:
            reader = self._readers[sink] = Reader(sink)
        return reader

    def _begin(
        self, sink: Sink, watch: int, selector: Selector, key: GroupKey, start: int, window: int
    ) -> Subscription:
        reader = self._reader(sink)
        head = self._encoder.head(verbs.COMMITS, 3, watch)
        subscription = Subscription(reader, watch, selector, key, start, window, head, self._now)
        if not self._count:
            self._rest()  # nobody was there to publish for
        reader.subscriptions[watch] = subscription
        reader.selectors += subscription.weight
        self._selectors += subscription.weight
        self._count += 1
        return subscription

    def watched_by(self, sink: Sink) -> int:
        """Return how many watches a connection has."""
        reader = self._readers.get(sink)
        return 0 if reader is None else len(reader.subscriptions)

    def seen(self) -> Iterator[tuple[Subscription, int | None]]:
        """Yield each watch, and the rev up to which it was told all: those that lag first."""
        others = (one for reader in self._readers.values() for one in reader.subscriptions.values())
        for one in chain(self._lagging, (one for one in others if one.state is not LAGGING)):
            if one.sink is not NOBODY:
                yield one, self._delivered(one)

    def unsubscribe(self, sink: Sink, watch: int) -> int | None:
        """End a watch at its reader's wish: nothing more is sent. Return the rev that it was delivered up to.

        None when there is no such watch, or the files of its W_STATE had not all been sent.
        """
        subscription = self._find(sink, watch)
        if subscription is None:
            return None
        delivered = self._delivered(subscription)
        self._remove(subscription)
        return delivered

    def drop(self, sink: Sink) -> None:
        """Forget everything of a connection. Nothing is sent any more; of many watches the rest goes with `pump`."""
        reader = self._readers.pop(sink, None)
        if reader is None:
            return
        if reader.selectors > AT_ONCE:
            # They stay in their tables for some pumps: whatever finds them there sends to nobody.
            reader.sink = NOBODY
            for subscription in reader.subscriptions.values():
                subscription.sink = NOBODY
            self._ready.pop(reader, None)
            self._resting.pop(reader, None)
            self._leaving.append(reader)
        for subscription in _first(reader):
            self._remove(subscription)

    def credit(self, sink: Sink, watch: int, size: int) -> None:
        """Give `size` bytes of the window back; what is above the window does not count.

        A credit for no watch is ignored (it may have ended meanwhile); what is no positive integer ends the
        watch.
        """
        subscription = self._find(sink, watch)
        if subscription is None:
            return
        if type(size) is not int or size <= 0:
            self._end_refused(
                subscription, self._delivered(subscription), bad_request("bytes", POSITIVE, size)
            )
            return
        subscription.room = min(subscription.room + size, subscription.window)
        if subscription.state is LAGGING and subscription.room > 0:
            self._lagging.discard(subscription)
            self._queue(subscription)

    def progress(self, sink: Sink, watch: int) -> None:
        """Ask for a MARK that says at least the store's present rev, in order with the commits.

        It comes at once when there is nothing left to deliver, else behind what is. Several requests may
        be answered by one MARK. A watch whose start is in the future gets it when that is reached.
        """
        subscription = self._find(sink, watch)
        if subscription is None:
            return
        subscription.progress_at = max(self.store.rev, subscription.start - 1)
        if subscription.state is LIVE:
            if self.rev >= subscription.progress_at and not sink.blocked:
                self._live.tell_progress(subscription, self.rev)
            else:
                # History takes it from here, and sends the MARK when it has caught up.
                subscription.cursor = self._live.reached(subscription, self.rev) + 1
                self._live.part(subscription)
                self._queue(subscription)

    def resume(self, sink: Sink) -> None:
        """The connection takes bytes again: its watches go on with the next pump."""
        reader = self._readers.get(sink)
        if reader is not None and reader in self._resting and not sink.blocked:
            del self._resting[reader]
            self._ready[reader] = None

    # -- work -----------------------------------------------------------------------------------------

    @property
    def watches(self) -> int:
        """How many watches there are."""
        return self._count

    @property
    def crowded(self) -> str | None:
        """Say so when the globs of all watches cost three quarters of what they may: dear ones are refused soon."""
        cost, limit = self.load.total // 10, self._limits.glob_cost
        if 4 * cost < 3 * limit:
            return None
        return f"those of open watches cost up to {cost} us for each changed path; the limit is {limit}"

    @property
    def busy(self) -> bool:
        """Whether `pump` has something to do."""
        if not self._count:
            return False
        store = self.store
        return (
            bool(self._ready)
            or self.rev != store.rev
            or self._quiet_due
            or bool(self._leaving)
            or self._ahead.due(self.rev + 1)
            or self._lagging.due(store.floor)
        )

    def pump(self, budget: int = 4096) -> bool:
        """Publish what is new, then do about `budget` units of catching up; return whether there is more.

        Costs next to nothing when nobody watches.
        """
        if not self._count:
            self._rest()
            return False
        self._publish()
        if not self._live.under_way:
            for subscription in _due(self._ahead, self.rev + 1):
                self._place(subscription)
            if self._quiet_due:
                self._quiet_due = self._live.tell_quiet(self.rev, self._now)
        # A reader that gives no credit holds no history: it is told when trimming has passed it.
        for subscription in _due(self._lagging, self.store.floor):
            self._end_compacted(subscription)
        if self._leaving:
            for subscription in _first(self._leaving[0]):
                self._remove(subscription)
            if not self._leaving[0].subscriptions:
                self._leaving.popleft()
        if self._ready:
            self._catch_up(budget)
        return self.busy

    def tick(self, now: float) -> None:
        """Send MARKs that are due, and look again at sockets that were full."""
        self._now = now
        self._quiet_due = self._live.under_way or self._live.tell_quiet(self.rev, now)
        for reader in [reader for reader in self._resting if not reader.sink.blocked]:
            del self._resting[reader]
            self._ready[reader] = None

    def stats(self) -> dict[str, int]:
        """Return how many watches there are in each state, and how many changes went out to live ones."""
        live, ahead, lagging = len(self._live), len(self._ahead), len(self._lagging)
        return {
            "watches": self._count - sum(len(reader.subscriptions) for reader in self._leaving),
            AHEAD: ahead,
            BEHIND: self._count - live - ahead - lagging,
            LIVE: live,
            LAGGING: lagging,
            "delivered": self._live.delivered,
            "globs": len(self.load),
            "glob_cost": self.load.total // 10,
        }

    def _rest(self) -> None:
        """There is no watch: nothing is to be done."""
        self._live.abandon()
        self._leaving.clear()
        self._quiet_due = False
        self.rev = self.store.rev

    def _publish(self) -> None:
        first, last = self.rev + 1, self.store.rev
        if first > last:
            return
        if self._live and first <= self.store.cut:
            # Trimming has overtaken the publication. Raising the floor alone does no harm.
            for subscription in _some(self._live.some(AT_ONCE)):
                self._end_compacted(subscription)
            if self._live:
                return
        if not self._live:
            self._live.abandon()
            self.rev = last
            return
        # 0: it has stopped within a commit.
        self.rev = self._live.publish(self.store.commits(first, last), self._now) or self.rev

    def _catch_up(self, budget: int) -> None:
        self._recent.see(self.store.redacted.count)
        ready = self._ready
        while ready and budget > 0:
            reader, _ = ready.popitem(last=False)
            if reader.sink.blocked:
                self._resting[reader] = None
                continue
            assert reader.behind is not None
            subscription, _ = reader.behind.popitem(last=False)
            self._let_go(subscription)
            budget -= TURN_COST * subscription.weight + self._advance(subscription)
            self._line_up(reader)
            if subscription.partial is not None and subscription.partial.pieces:
                # It holds pieces of a message that is not whole: served next, so that there is one such message.
                self._together = subscription
                if reader in ready:
                    ready.move_to_end(reader, last=False)
        if not ready:
            self._recent.forget()

    def _let_go(self, subscription: Subscription) -> None:
        """Let no other than `subscription` keep pieces of a message that is not whole: they are put together again."""
        other, self._together = self._together, None
        if other is not None and other is not subscription and other.partial is not None:
            other.partial = other.partial.without_pieces()

    def _advance(self, subscription: Subscription) -> int:
        """Serve a subscription that was just taken from its reader's queue; return the units that it cost."""
        if subscription.cursor <= self.store.floor:
            self._end_compacted(subscription)
            return 0
        if subscription.room <= 0:
            self._lag(subscription)
            return 0
        try:
            if subscription.page is not None:
                cost = self._send_files(subscription)
            else:
                cost = self._send_commits(subscription) if subscription.cursor <= self.rev else 0
        except Unreadable as error:
            why = history_damaged(error.path, error.offset, str(error))
            self._end_refused(subscription, subscription.cursor - 1, why)
            return TURN_COST
        if subscription.state is BEHIND:
            self._place(subscription)
        return cost

    def _send_commits(self, subscription: Subscription) -> int:
        limit = min(MESSAGE_BYTES, max(subscription.room, subscription.window >> 2))
        partial = subscription.partial
        key = (subscription.key, subscription.cursor, limit, 0 if partial is None else partial.progress)
        read = self._recent.commits.get(key)
        cost = 0
        if read is None:
            read = self._recent.commits[key] = read_commits(
                self.store, self._encoder, subscription, self.rev, limit, self._largest
            )
            cost = read.cost
            self._recent.keep(read.copied)
        if read.payload:
            cost += self._send(subscription, subscription.head, read.payload)
            subscription.told = read.last
        subscription.cursor = read.next
        subscription.partial = read.partial
        if read.refusal is not None:
            self._end_refused(subscription, read.next - 1, read.refusal)
        elif not subscription.sink.blocked:
            self._mark_behind(subscription)
        return cost

    def _send_files(self, subscription: Subscription) -> int:
        limit = min(MESSAGE_BYTES, max(subscription.room, subscription.window >> 2))
        read = self.packed.page(self.store, self._encoder, subscription, limit)
        head = self._encoder.head(verbs.STATE, 5, subscription.watch)
        head += self._encoder.integer(subscription.start - 1)
        subscription.page = read.next
        return read.cost + self._send(subscription, head, read.payload)

    def _send(self, subscription: Subscription, head: bytes, payload: Payload) -> int:
        """Send a message; return the units that it cost."""
        sink = subscription.sink
        size = len(head) + sum(map(len, payload))
        subscription.room -= size
        subscription.quiet_from = self._now
        if size < SHARED_BYTES:
            sink.send(head + b"".join(payload))
        else:
            sink.send_all((head, *payload))
        return len(payload) + size // BYTES_SENT

    def _mark_behind(self, subscription: Subscription) -> None:
        """Send the MARK that a watch behind is owed, or needs after a long search without a find."""
        searched = subscription.cursor - 1
        quiet = self._now - subscription.quiet_from >= QUIET_SECONDS and searched > subscription.told
        if quiet or 0 <= subscription.progress_at <= searched:
            self._live.tell_progress(subscription, searched)
            subscription.quiet_from = self._now

    # -- states ---------------------------------------------------------------------------------------

    def _place(self, subscription: Subscription) -> None:
        """Put a subscription that is nowhere (new, or just served) where its cursor belongs."""
        if subscription.cursor > self.rev + (0 if self._live.under_way else 1):
            # Its start lies in the future, or in the commit of which others have got a part.
            subscription.state = AHEAD
            self._ahead.add(subscription, subscription.cursor)
        elif subscription.cursor <= self.rev or subscription.page is not None:
            self._queue(subscription)
        elif subscription.progress_at < 0:
            self._live.join(subscription, self._now)
        elif subscription.sink.blocked:
            self._queue(subscription)  # it is owed a MARK, which waits with it until the peer reads
        else:
            self._live.tell_progress(subscription, self.rev)
            self._live.join(subscription, self._now)

    def _queue(self, subscription: Subscription) -> None:
        subscription.state = BEHIND
        reader = subscription.reader
        behind = reader.behind
        if behind is None:
            behind = reader.behind = OrderedDict()
        behind[subscription] = None
        if subscription.partial is not None:
            # One watch of each reader is within a commit, and none other keeps what it found there.
            behind.move_to_end(subscription, last=False)
        self._line_up(reader)

    def _line_up(self, reader: Reader) -> None:
        """Put a reader behind those that wait to be served, when it has a watch to be served."""
        if not reader.behind:
            reader.behind = None
            return
        if reader.sink.blocked:
            self._ready.pop(reader, None)
            self._resting[reader] = None
        else:
            self._resting.pop(reader, None)
            self._ready.setdefault(reader, None)

    def _fall_back(self, subscription: Subscription, cursor: int) -> None:
        """A live one cannot take the commit at `cursor`: from here on it reads history."""
        self._live.part(subscription)
        subscription.cursor = cursor
        if subscription.room > 0:
            self._queue(subscription)
        else:
            self._lag(subscription)

    def _lag(self, subscription: Subscription) -> None:
        subscription.state = LAGGING
        subscription.partial = None
        self._lagging.add(subscription, subscription.cursor)

    def _find(self, sink: Sink, watch: int) -> Subscription | None:
        reader = self._readers.get(sink)
        return None if reader is None else reader.subscriptions.get(watch)

    def _delivered(self, subscription: Subscription) -> int | None:
        """Return the rev up to which it has everything; None while it has not all files of its W_STATE."""
        if subscription.state is LIVE:
            return self._live.reached(subscription, self.rev)
        return subscription.cursor - 1 if subscription.page is None else None

    def judge_again(self) -> None:
        """Rights have changed: end the watches that go beyond them now, before anything else is published."""
        for reader in list(self._readers.values()):
            judge = reader.sink.judge_again()
            if judge is None:
                continue
            for subscription in list(reader.subscriptions.values()):
                refusal = judge(raw_of(subscription.key[0]))
                if refusal is not None:
                    self._end_refused(subscription, self._delivered(subscription), refusal)

    def _end_compacted(self, subscription: Subscription) -> None:
        delivered = self._delivered(subscription)
        live = subscription.state is LIVE
        needed = 1 + (self._live.reached(subscription, self.rev) if live else subscription.cursor - 1)
        self._end_refused(subscription, delivered, compacted(self.store.floor, needed))

    def _end_refused(self, subscription: Subscription, delivered: int | None, refusal: Refusal) -> None:
        """Send ENDED with the reason, and forget the watch."""
        self._remove(subscription)
        self.ended[refusal.code] += 1
        details = {**refusal.details, "rev": delivered}
        message = (verbs.ENDED, subscription.watch, refusal.code, refusal.text, details)
        subscription.sink.send(self._encoder.message(message))

    def _remove(self, subscription: Subscription) -> None:
        reader = subscription.reader
        state, subscription.state = subscription.state, ENDED
        if self._together is subscription:
            self._together = None
        if state is LIVE:
            self._live.part(subscription)
        elif state is BEHIND:
            if reader.behind is not None:
                reader.behind.pop(subscription, None)
            if not reader.behind:
                reader.behind = None
                self._ready.pop(reader, None)
                self._resting.pop(reader, None)
        elif state is LAGGING:
            self._lagging.discard(subscription)
        else:
            self._ahead.discard(subscription)
        del reader.subscriptions[subscription.watch]
        if not reader.subscriptions:
            self._readers.pop(reader.sink, None)
        globs = subscription.selector.globs
        if globs and reader.load is not None:
            reader.load.remove(subscription.key, globs)
            self.load.remove(subscription.key, globs)
        reader.selectors -= subscription.weight
        self._selectors -= subscription.weight
        self._count -= 1


def _due(waiting: Waiting[Subscription], rev: int) -> Iterator[Subscription]:
    """Take out those that wait for `rev` or less, few at a time: they have about `AT_ONCE` selectors at most."""
    left = AT_ONCE
    while left > 0 and (due := waiting.pop_through(rev, -(-left // SELECTORS))):
        for subscription in due:
            left -= subscription.weight
            yield subscription


def _first(reader: Reader) -> Iterator[Subscription]:
    """Yield what is taken out at once of a reader that is gone."""
    return _some(list(islice(reader.subscriptions.values(), AT_ONCE)))


def _some(subscriptions: list[Subscription]) -> Iterator[Subscription]:
    """Yield those of the first `AT_ONCE` selectors."""
    left = AT_ONCE
    for subscription in subscriptions:
        if left <= 0:
            return
        left -= subscription.weight
        yield subscription


def _check_fields(watch: Any, start: Any, flags: Any, kinds: Any, window: Any) -> Refusal | None:
    if type(watch) is not int or not 0 < watch < 1 << 63:
        return bad_request("id", POSITIVE, watch)
    if start is not None and (type(start) is not int or not 0 < start < 1 << 63):
        return bad_request("from", "a rev from 1 on, or nil", start)
    if type(flags) is not int or flags & ~_FLAGS:
        return bad_request("flags", f"an integer of the bits {_FLAGS}", flags)
    if type(kinds) is not int or kinds & ~verbs.ALL_KINDS or not kinds:
        return bad_request("kinds", f"some of the bits {verbs.ALL_KINDS}", kinds)
    if type(window) is not int or not 0 <= window < 1 << 63:
        return bad_request("window", "bytes, or 0 for the server's", window)
    return None
