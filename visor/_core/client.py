"""What a client knows and decides, without a socket, a clock or dice: the core under both drivers.

    session.submit(call, now)     a request; its bytes are in session.take() as soon as there is a connection
    session.receive(data, now)    bytes that arrived; completes calls, fills feeds
    session.tick(now)             deadlines, repetitions, PING; returns when to come again
    session.hello() / .lost()     a connection begins / is gone

Exactly once. Ids rise over the life of the session. `acked` in each write is the lowest id of a write
without an answer, so the server keeps the outcome of every write that may still be asked for:

    connection 1   SET 7 (acked 7)   SET 8 (acked 7)   -- lost before an answer
    connection 2   HELLO 9   RETRY 7   RETRY 8   SET 10 (acked 7)
    answers        7: the first outcome, or it runs now; then 8; then 10

A write that was refused for a passing reason did not happen: it gets a new id and is no RETRY, unless an
earlier connection may have delivered it. What was given up (deadline, Ctrl-C) is never sent again.

One connection goes OFFLINE - GREETING - READY - LEAVING, and to OFFLINE from anywhere. Each row is what an event makes
of each state while a write has no answer: `>` bytes leave because of it, `!` the connection is to be given up
(`broken`; the driver then says `lost`), `-` that cannot come.

    event            OFFLINE     GREETING     READY        LEAVING
    hello            GREETING>   GREETING>    GREETING>    GREETING>     what an interrupt left half lost is lost first
    lost             OFFLINE     OFFLINE      OFFLINE      OFFLINE       sent writes become uncertain
    request          OFFLINE     GREETING     READY>       LEAVING       kept until there is a node that takes it
    welcome          -           READY>       -            -             everything without an answer goes out again
    other cluster    -           GREETING!    -            -             and `fatal`, unless the address was a guess
    refusal          -           GREETING!    READY        LEAVING       the answer to HELLO was no
    answer           -           -            READY        LEAVING!      nothing is owed any more
    not_leader       -           -            LEAVING!     LEAVING!      the write waits for another node
    goaway, passing  -           GREETING!    LEAVING      LEAVING       it stays for the answer of the write
    goaway, final    -           GREETING!    READY!       LEAVING!      "you are not served": no use in waiting
    mark             -           GREETING     READY        LEAVING       of a watch that nobody has any more
    nonsense         -           GREETING!    READY!       LEAVING!      no message after it can be trusted
    silence          OFFLINE     GREETING     READY!       LEAVING!      the driver itself bounds a greeting

READY alone sends, so a node that is being left gets nothing that it would hand back; LEAVING still receives,
for breaking off with a write on the way leaves its outcome unknown. `tests/client/test_client_states.py` tests this.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

from visor._core.address import Address, learned
from visor._core.call import Call, nothing_changed, nothing_yet
from visor._core.feed import Feed
from visor._core.in_flight import GREETING, LEAVING, OFFLINE, READY, InFlight
from visor._core.inbound import Inbound
from visor._core.log import log
from visor._core.reach import greeting_seconds
from visor._core.settings import Settings
from visor._core.token import may_be_told
from visor.errors import (
    DeadlineExceeded,
    OutcomeUnknown,
    Rejected,
    RevMismatch,
    Unavailable,
    VisorError,
    WriteTimeout,
    WrongCluster,
    from_wire,
)
from visor.protocol import codes, verbs
from visor.protocol.limits import DEFAULT, Limits

OK = verbs.OK
ERROR = verbs.ERROR

__all__ = ["GREETING", "LEAVING", "OFFLINE", "READY", "ClientProtocol", "Watching"]

SILENT = (
    "something takes connections there and does not greet: no Visor client port (a peer's or the metrics port?), "
    "or a node that hangs"
)
CLOSED = "the connection was closed before a greeting: the node is stopping, or that is no Visor client port"

REPEATED = frozenset(
    ("overloaded", "not_leader", "closing", "lost_leadership", "diverged", "history_damaged")
)
"""Failures that the client itself meets with another attempt, within the deadline."""
LOCAL = frozenset(("no_quorum", "no_space"))
"""Failures that are told at once, and that another node may not have either: it sees the majority, or has room.

A write that may have happened is asked for there: at once nothing could be told of it but that nobody knows.
"""
MOVING = frozenset(("not_leader", "closing", "lost_leadership", "diverged", "history_damaged"))
"""Those of them that another node may not have."""


COMMITS = frozenset((verbs.LOG, verbs.WATCH))
"""Requests for commits, not for a state."""
STATES = frozenset((verbs.GET, verbs.STAT, verbs.LIST, verbs.SCAN))
"""Reads of a state, whose third field is its rev."""


class Watching(Call):
    """The WATCH request of a feed: its answer goes to the feed."""

    def __init__(self, session: ClientProtocol, feed: Feed, deadline: float, seconds: float) -> None:
        super().__init__(feed.request(), False, deadline, seconds)
        self._session = session
        self.feed = feed

    def complete(self, result: Any, error: BaseException | None) -> None:
        if self.done:
            return
        super().complete(result, error)
        self._session.watch_answered(self)


class ClientProtocol(InFlight):
    """One identity towards the registry, over as many connections as it takes."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.id = settings.session()
        self.cluster: str | None = None
        self.node: str | None = None
        self.server = ""
        self.rev = 0
        """The highest rev seen: no node that is behind it may answer."""
        self.delayed: list[tuple[float, Call | Feed]] = []
        """Calls and feeds that wait for their next attempt."""
        self.feeds: set[Feed] = set()
        self._wired: dict[int, Feed] = {}
        self._inbound = Inbound()
        self._latest = 0
        """The highest rev that was heard of: any node may be behind it."""
        self._born: int | None = None
        """A rev that there was before this session wrote anything: a node that has not forgotten any session since then
        knows that what it does not know of this one has not happened."""
        self._ready = 0.0
        """When this connection was greeted."""
        self._pinged = False
        self.broken: str | None = None
        """Why this connection must be given up."""
        self.refused: Rejected | None = None
        """The node's answer to HELLO, when it was no."""
        self.useful = False
        """This connection has answered something besides HELLO."""
        self.fatal: Callable[[], VisorError] | None = None
        """Why no connection will do any more."""
        self._hello_id = 0
        self.learned: tuple[Address, ...] = ()
        """Where the members of the cluster listen, as one of them told."""
        self._here: Address | None = None
        self._left: Address | None = None
        """A node that sent this client away, or could not serve it: to be tried last."""
        self._reads_too = False
        """The node that is being left is to answer reads as well."""
        self._going = ""
        """Why it is being left."""
        self._guess = False
        """This connection leads to a learned address: who answers there may be anybody."""

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for a connection."""
        return bool(self.pending or self.feeds or self.delayed)

    # -- a connection begins and ends -----------------------------------------------------------------
    def _addresses(self) -> tuple[list[Address], list[Address]]:
        """Return the own addresses, and those that were learned besides."""
        own = list(self._settings.addresses)
        more = [address for address in self.learned if address not in own] if self._settings.discover else []
        return own, more

    def greeting_seconds(self, now: float, surely: float, attempt: int) -> float:
        """Return how long the next address may take to accept and greet, in a round `attempt` (from 1 on).

        `surely` is how long what must be kept alive lives for sure.
        """
        own, more = self._addresses()
        left = min((call.deadline for call in self.pending.values()), default=math.inf) - now
        most = self._settings.connect_timeout
        return greeting_seconds(min(left, surely), most, len(own) + len(more), attempt)

    def forsake(self, now: float, seconds: float, *, again: bool) -> bool:
        """Give up a connection that is `seconds` old, for it does not answer what must be answered.

        Where there is no other address, a new connection to the same node helps seldom: it is made only `again`. Says
        whether `broken` is set.
        """
        own, more = self._addresses()
        if self.state not in (READY, LEAVING) or now - self._ready < seconds:
            return False
        if len(own) + len(more) < 2 and not again:
            return False
        self._give_up("the node does not answer in time what keeps leases alive")
        return True

    def _give_up(self, why: str) -> None:
        """Leave a node that does not answer, and try it last from now on."""
        self._left = self._here
        self.urgent = True
        self.broken = why

    def candidates(self) -> list[tuple[Address, bool]]:
        """Return where to connect to, in order: the own addresses shuffled, then (true) those that were learned."""
        own, more = self._addresses()
        self._settings.random.shuffle(own)
        self._settings.random.shuffle(more)
        rows = [(address, False) for address in own] + [(address, True) for address in more]
        return sorted(rows, key=lambda row: row[0] == self._left)

    def hello(self, now: float, address: Address | None = None, *, guess: bool = False) -> bytes:
        """Begin a connection: return the bytes that go first. `guess`: to an address that was only learned."""
        self.lost()  # again: an interrupt may have cut it short the first time
        self._here, self._guess = address, guess
        self._inbound = Inbound()
        if self.feeds:
            self._inbound.measure()
        self.broken = None
        self.refused = None
        self.useful = False
        self._pinged = False
        self.heard = now
        self._owing = math.nan
        self.state = GREETING
        self._hello_id = self._new_id()
        settings = self._settings
        safe = may_be_told(address, guess=guess, tls=settings.tls)
        self._overheard = not safe
        hello = {
            "versions": [verbs.VERSION],
            "client": settings.name,
            "session": self.id,
            "actor": settings.actor,
            "token": settings.token if safe else None,
            "trace": None,
            "cluster": self.cluster,
            "min_rev": self.rev,
        }
        self._send_message((verbs.HELLO, self._hello_id, hello))
        return self.take()

    def _welcomed(self, welcome: Any) -> None:
        if not isinstance(welcome, dict) or not isinstance(welcome.get("cluster"), str):
            self.broken = f"the welcome cannot be read: {welcome!r:.80}"
            return
        if self.cluster is not None and welcome["cluster"] != self.cluster:
            self._wrong_cluster(welcome["cluster"])
            return
        self.cluster = welcome["cluster"]
        if type(welcome.get("rev")) is int:
            self._latest = welcome["rev"]
            if self._born is None:
                self._born = welcome["rev"]
        self.node = welcome.get("node")
        self.server = str(welcome.get("server", ""))
        self.learned = learned(welcome.get("addresses")) or self.learned
        self.limits = _limits(welcome.get("limits"))
        self._in_flight, self._frame = self.limits.in_flight, self.limits.frame
        self.state = READY
        self._ready = self.heard
        self._resume()

    def _wrong_cluster(self, actual: str | None) -> None:
        self.urgent = True
        self.broken = "another cluster"
        if self._guess:
            return  # the address means something else here than where it was told
        expected = self.cluster
        self.fatal = lambda: WrongCluster(expected=expected, actual=actual)

    def _resume(self) -> None:
        """Send everything that has no answer yet, lowest id first, then ask for the watches again."""
        calls = [self.pending[request] for request in sorted(self.pending)]
        # A new connection is no reason to cut these pauses short.
        held = {id(item) for _, item in self.delayed}
        self._backlog = deque(call for call in calls if id(call) not in held)
        self.refill()
        for feed in list(self.feeds):
            if not feed.wire and feed.call is None and id(feed) not in held:
                self._ask_again(feed, self.heard)

    def refill(self) -> None:
        """Send from the backlog while there is room in flight."""
        backlog = self._backlog
        room = self.limits.in_flight - (len(self.pending) - len(backlog))
        while backlog and room > 0 and self.state == READY:
            call = backlog.popleft()
            if call.done:
                self._drop(call)  # it was completed, and an interrupt kept it from being forgotten
            else:
                self.urgent = True
                self._send(call)
                room -= 1

    def _send(self, call: Call) -> None:
        message = call.message
        if call.write:
            message[2] = next(iter(self._writes))
        try:
            data = self._bytes((verbs.RETRY, call.id, message, self._born) if call.uncertain else message)
        except Rejected as error:
            # This node takes less than the one before: one call must not hold up the others.
            call.complete(None, error)
            self._drop(call)
            return
        call.sent = True
        self._packed = max(self._packed, call.id)
        self._outgoing.append(data)

    def lost(self) -> None:
        """The connection is gone: remember what it may have delivered."""
        self.state = OFFLINE
        self._outgoing.clear()
        for call in self.pending.values():
            if call.sent:
                call.sent = False
                # What was never handed to the connection cannot have happened: it goes out as if for the first time.
                call.uncertain = call.uncertain or (call.write and call.id <= self._flushed)
        self._backlog = deque(self.pending.values())
        self._wired.clear()
        for feed in self.feeds:
            feed.reset()

    def fail(self, make: Callable[[], VisorError]) -> None:
        """End every call and every watch with an error of its own."""
        calls = [*self.pending.values(), *(item for _, item in self.delayed if isinstance(item, Call))]
        for call in calls:
            call.complete(None, make())
        for feed in list(self.feeds):
            feed.queue.clear()
            feed.end(make())
        self.pending.clear()
        self._writes.clear()
        self._backlog.clear()
        self.delayed.clear()
        self._wired.clear()
        self.feeds.clear()

    def reject(self, error: Rejected) -> None:
        """No node would have this client: that is the answer to every call that waits."""
        for call in list(self.pending.values()):
            if call.uncertain:
                continue  # it may have happened; its deadline will say so
            call.complete(None, from_wire(error.code, str(error), error.details))
            self._drop(call)
        self._backlog = deque(self.pending.values())

    # -- bytes in -------------------------------------------------------------------------------------
    def receive(self, data: bytes, now: float) -> None:
        """Take bytes of the connection. `broken` tells afterwards whether to give it up."""
        self.heard = now
        self._pinged = False
        pending, inbound = self.pending, self._inbound
        try:
            inbound.feed(data)
            for message in inbound.messages:
                if message[0] == OK:
                    request = message[1]
                    call = pending.get(request)
                    if call is not None:
                        result = message[2]
                        call.complete(result, None)
                        # Only now: an interrupt between the two lines repeats a completed call, which does no harm.
                        del pending[request]
                        if call.write:
                            self._writes.pop(request, None)
                        self.useful = True
                        rev = result[0] if type(result) is list and result else result
                        if type(rev) is int and rev > self.rev and call.__class__ is not Watching:
                            self.rev = rev  # (the answer to WATCH is a rev to come)
                    elif request == self._hello_id and self.state == GREETING:
                        self._welcomed(message[2])
                else:
                    self._other(message, now)
        except Exception as error:
            # The decoder raises many kinds, odd fields as many; each means that no message can be trusted.
            self.urgent = True
            self.broken = f"a message cannot be read: {type(error).__name__}: {error}"
            if self.state == GREETING:
                what = "HTTP" if data.startswith(b"HTTP/") else f"{data[:16]!r}"
                self.broken = f"something answers there, but it is not a Visor client port: it says {what}"
            log.debug("a message cannot be read", exc_info=True)
        if self.state != READY:
            self._leave_when_done()
        elif self._backlog:
            self.refill()

    def _leave_when_done(self) -> None:
        """Give up a connection that is being left when it owes nothing that is to be waited for.

        Whatever does something is waited for: breaking off leaves its outcome unknown. Reads are where the node wants
        to answer them before it closes; where it goes on, a read that waits for a rev to come would keep everything
        else from going elsewhere.
        """
        if self.state == LEAVING and not any(
            call.sent and (self._reads_too or call.message[0] >= verbs.FIRST_WRITE)
            for call in self.pending.values()
        ):
            self.urgent = True
            self.broken = self._going

    def _other(self, message: list[Any], now: float) -> None:
        if type(message) is not list:
            raise TypeError(f"an array is expected, not {message!r:.80}")
        kind = message[0]
        self.urgent = self.urgent or kind != verbs.COMMITS
        if kind == verbs.COMMITS:
            size = self._inbound.sizes.popleft()
            feed = self._wired.get(message[1])
            if feed is not None:
                self._saw(message[2][-1][0])
                feed.commits(message[2], size)
        elif kind == ERROR:
            self._refused(message, now)
        elif kind == verbs.MARK:
            feed = self._wired.get(message[1])
            if feed is not None:
                self._saw(message[2])
                feed.mark(message[2])
        elif kind == verbs.STATE:
            size = self._inbound.sizes.popleft()
            feed = self._wired.get(message[1])
            if feed is not None:
                self._saw(message[2])
                feed.state(message[2], message[3], message[4], size)
                self.credit(feed)
        elif kind == verbs.ENDED:
            self._feed_ended(message, now)
        elif kind == verbs.GOAWAY:
            self._told_to_go(message[1], message[2])
        elif kind == verbs.ADDRESSES:
            self.learned = learned(message[1]) or self.learned
        # Kinds of a later version are not ours to judge.

    def _saw(self, rev: Any) -> None:
        """The user is told of this rev: no other node may know less. TypeError for what is none: HELLO says it on."""
        if type(rev) is not int:
            raise TypeError(f"a rev is expected, not {rev!r:.80}")
        self.rev = max(self.rev, rev)

    def _told_to_go(self, code: str, text: str) -> None:
        if codes.FAMILY.get(code) == codes.REJECTED:
            self.broken = f"the node refused to go on: {code}: {text}"
            if self.state == GREETING and self.refused is None:
                self._greeting_refused(self._error(code, text, {}))
            return
        if self.state == GREETING:  # nothing is owed yet: no use in LEAVING first
            self.broken = f"the node is not available: {code}: {text}"
            return
        if self.state == READY:
            self.state = LEAVING
            self._left = self._here
            self._reads_too = code == "closing"
            self._going = (
                f"the node is about to stop: {text}"
                if code == "closing"
                else f"this node cannot serve now, another one may: {code}: {text}"
            )
        self._leave_when_done()

    # -- refusals -------------------------------------------------------------------------------------
    def _error(self, code: Any, text: Any, details: Any) -> VisorError:
        details = {str(key): value for key, value in details.items()} if isinstance(details, dict) else {}
        return from_wire(str(code), str(text), self._settings.root.details(details))

    def _refused(self, message: list[Any], now: float) -> None:
        request, code, text = message[1:4]
        details = message[4] if len(message) > 4 else None
        if request == self._hello_id and self.state == GREETING:
            self._greeting_refused(self._error(code, text, details))
            return
        call = self.pending.get(request)
        if call is None:
            return
        error = self._error(code, text, _first_commit(details) if call.message[0] in COMMITS else details)
        self.useful = True
        actual = error.details.get("actual")
        if type(actual) is int and isinstance(error, RevMismatch):
            self.rev = max(self.rev, actual)
        call.sent = False
        elsewhere = code in LOCAL and len(self.candidates()) > 1
        if code in REPEATED or (call.uncertain and elsewhere):
            self._repeat(call, error, now)  # what became of an uncertain write, another node may well know
            return
        if call.uncertain and isinstance(error, Unavailable):
            unknown = OutcomeUnknown(f"what became of the write could not be asked: {error}")
            unknown.__cause__ = error
            error = unknown
        call.complete(None, error)
        self._drop(call)
        if elsewhere:
            self._told_to_go(code, text)  # others may be better off: the next call shall find them

    def _greeting_refused(self, error: VisorError) -> None:
        self.broken = f"the node refused this client: {error}"
        if isinstance(error, WrongCluster):
            actual = error.details.get("expected")
            self._wrong_cluster(actual if isinstance(actual, str) else None)
        elif isinstance(error, Rejected) and not self._guess:
            self.refused = error

    def _repeat(self, call: Call, error: VisorError, now: float) -> None:
        """Try again after a pause: under a new id, unless the write may already have happened."""
        call.cause = error
        if isinstance(error, OutcomeUnknown) and call.write:
            call.uncertain = True
        if not _keeps_id(self._settings, call):
            self._drop(call)
        self._delay(call, call.attempt, now)
        call.attempt += 1
        if error.code in MOVING or error.code in LOCAL:
            self._told_to_go(error.code, str(error))

    def _delay(self, item: Call | Feed, attempt: int, now: float) -> None:
        settings = self._settings
        self.delayed.append((now + settings.backoff.pause(attempt, settings.random), item))

    # -- time -----------------------------------------------------------------------------------------
    def tick(self, now: float) -> float:
        """Do what is due at `now`; return when the next thing is (math.inf: never)."""
        alarm = math.inf
        for call in [*self.pending.values(), *(item for _, item in self.delayed if isinstance(item, Call))]:
            if call.done:
                continue
            if call.deadline <= now:
                self.expire(call)
            elif call.deadline < alarm:
                alarm = call.deadline
        # Deadlines first: what is tried again just now leaves, whatever its caller was told.
        if self.delayed:
            self._repeat_due(now)
            alarm = min(alarm, min((when for when, _ in self.delayed), default=math.inf))
        return min(alarm, self._keep_alive(now))

    def _repeat_due(self, now: float) -> None:
        due = [item for when, item in self.delayed if when <= now]
        self.delayed = [(when, item) for when, item in self.delayed if when > now]
        for item in due:
            self.urgent = True  # nobody else is about to flush
            if isinstance(item, Feed):
                if not item.closed and not item.ended and item.call is None and self.state == READY:
                    self._ask_again(item, now)
            elif item.done:
                continue
            elif _keeps_id(self._settings, item):  # as a RETRY if it may have happened
                if self.state == READY:
                    self._send(item)
                else:
                    self._backlog.append(item)
            else:  # it has certainly not happened: under a new id, so that ids rise on the wire
                self._submit_again(item, now)

    def _submit_again(self, call: Call, now: float) -> None:
        try:
            self.submit(call, now)
        except Rejected as error:
            call.complete(None, error)

    def expire(self, call: Call) -> None:
        """The call's deadline has passed: complete it with what can be said."""
        if call.done:
            return
        error: VisorError
        if call.write and (call.uncertain or call.sent):  # also when its bytes still wait: they will leave
            error = WriteTimeout(seconds=call.seconds)
        else:
            error = DeadlineExceeded(*self._why_late(call), seconds=call.seconds)
        error.__cause__ = call.cause
        if call.sent:
            self._owing, self._silence = self.heard, call.deadline - self.heard
        self._cancel(call)
        call.complete(None, error)
        self._drop(call)
        self.delayed = [(when, item) for when, item in self.delayed if item is not call]

    def _why_late(self, call: Call) -> tuple[str, ...]:
        """Return the text of a DeadlineExceeded where more can be said than that there was no answer."""
        asked = call.message[3] if call.message[0] in STATES and len(call.message) > 3 else None
        latest = max(self.rev, self._latest)
        if type(asked) is int and asked > latest and call.sent and self.state == READY:
            wait = f"rev {asked} has not come within {call.seconds:g} s"
            return (
                f"{wait}: a read of a rev that is not there yet waits for it, and the latest known is {latest}",
            )
        return _because(call)

    def _keep_alive(self, now: float) -> float:
        if self.state not in (READY, LEAVING):
            return math.inf
        if not (self.pending or self._wired):
            # Nobody waits, so silence means nothing, but for what calls that were given up have seen of it.
            if self.heard == self._owing and self._silence >= self._settings.dead_after:
                self._give_up(f"the node has been silent for {self._silence:.1f} s")
            return math.inf
        settings = self._settings
        if now - self.heard >= settings.dead_after:
            self._give_up(f"the node has been silent for {now - self.heard:.1f} s")
            return math.inf
        if now - self.heard >= settings.ping_after:
            if not self._pinged:
                self._pinged = True
                self._send_message((verbs.PING, self._new_id()))
            return self.heard + settings.dead_after
        return self.heard + settings.ping_after

    # -- watches --------------------------------------------------------------------------------------
    def subscribe(self, feed: Feed, deadline: float, seconds: float, now: float) -> None:
        """Ask for the feed, from where its user is; Unsendable or TooLarge as `submit`."""
        call = Watching(self, feed, deadline, seconds)
        self.submit(call, now)
        self._inbound.measure()
        self.feeds.add(feed)
        feed.call = call

    def _ask_again(self, feed: Feed, now: float) -> None:
        """Ask for a feed of before on this connection."""
        try:
            self.subscribe(feed, math.inf, 0.0, now)
        except Rejected as error:
            self.feeds.discard(feed)
            feed.end(error)

    def watch_answered(self, call: Watching) -> None:
        """The server has answered WATCH, or it will not any more."""
        feed = call.feed
        if call.error is not None:
            self.feeds.discard(feed)
            feed.end(call.error if isinstance(call.error, VisorError) else None)
        elif feed.closed:  # before the server knew of it: only now is there something to end
            self._send_message((verbs.UNWATCH, self._new_id(), call.id))
        else:
            self._wired[call.id] = feed
            feed.begin(call.id, call.result)
            if feed.asking:
                self.progress(feed)

    def unwatch(self, feed: Feed) -> None:
        """The user is done with the feed."""
        feed.closed = True
        feed.queue.clear()
        self.feeds.discard(feed)
        if feed.wire and self.state in (READY, LEAVING):
            self._wired.pop(feed.wire, None)
            self._send_message((verbs.UNWATCH, self._new_id(), feed.wire))
        elif feed.call is not None and not feed.call.sent:  # the server will never hear of it
            feed.call.done = True
            self._drop(feed.call)
        feed.end(None)

    def credit(self, feed: Feed) -> bool:
        """Give the taken bytes back to the server when they are worth a message; say whether it was."""
        if not feed.due():
            return False
        self._send_message((verbs.CREDIT, feed.wire, feed.owed))
        feed.owed = 0
        return True

    def progress(self, feed: Feed) -> None:
        """Ask for a mark behind everything that the feed has been sent."""
        feed.asking = True
        if feed.wire and self.state == READY:
            self._send_message((verbs.PROGRESS, feed.wire))

    def too_late(self, feed: Feed, seconds: float, *, idle: bool) -> DeadlineExceeded:
        """Return the error of who has waited on the feed for `seconds`; `idle`: for whatever would come."""
        if not (idle and self.state == READY and feed.established):
            return DeadlineExceeded(seconds=seconds)
        latest = max(self.rev, self._latest)
        if feed.start is not None and feed.start > latest:
            return nothing_yet(feed.start, latest, seconds)
        return nothing_changed(seconds)

    def _feed_ended(self, message: list[Any], now: float) -> None:
        watch, code, text = message[1:4]
        feed = self._wired.pop(watch, None)
        if feed is None:
            return
        if codes.FAMILY.get(code) == codes.UNAVAILABLE and code != "cancelled":
            feed.reset()
            self._delay(feed, 0, now)
            if code in MOVING:
                self._told_to_go(code, text)
            return
        self.feeds.discard(feed)
        feed.end(None if code == "cancelled" else self._error(code, text, _first_commit(message[4])))


def _keeps_id(settings: Settings, call: Call) -> bool:
    """Whether a call goes out again under its old id: it may have happened, or others know it by that id."""
    return call.uncertain or (call.write and settings.keeps_ids)


def _first_commit(details: Any) -> Any:
    """Return the details with a floor from which commits can be had: that of a server is the lowest *state* there is.

    The commit that made that state is gone; the next one is the first that is known.
    """
    if isinstance(details, dict) and type(details.get("floor")) is int:
        return {**details, "floor": details["floor"] + 1}
    return details


def _because(call: Call) -> tuple[str, ...]:
    if call.cause is None:
        return ()
    return (f"no success within {call.seconds:g} s; the last attempt: {call.cause}",)


def _limits(told: Any) -> Limits:
    """Return the server's limits; what it leaves out or says oddly is the default."""
    if not isinstance(told, dict):
        return DEFAULT
    known = {
        name: value
        for name, value in told.items()
        if name in Limits.__dataclass_fields__ and type(value) is int and value > 0
    }
    return Limits(**known)
