"""One client's conversation: bytes in, bytes out, no socket, no clock.

A conversation decodes what arrives, answers reads from the store at once, hands writes to the proposer in
one piece per arrival, and feeds watches to the hub. Whatever arrives, it answers or ends this one
conversation; the node and the other conversations never notice.

Backpressure goes both ways: over `limits.in_flight` unanswered writes, or while the peer does not take
what was sent, the conversation keeps the rest of what it decoded (at most one arrival) and asks its connection
to stop reading. What it packs leaves in pieces: a small request may have a large answer, so a peer that
does not read is noticed before all the answers to one arrival, or to one command, are in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from visor.protocol import verbs
from visor.protocol.frames import Decoder, Encoder, Message
from visor.protocol.limits import Limits
from visord.serving.greeting import Greeting, read_hello
from visord.serving.status import status, welcome
from visord.state import fields
from visord.state.query import answer as answer_query
from visord.state.refusal import Refusal, bad_request

if TYPE_CHECKING:
    from visord.node import Node

GET: Final = verbs.GET
OK: Final = verbs.OK
FIRST_WRITE: Final = verbs.FIRST_WRITE
LAST_WRITE: Final = verbs.LAST_WRITE

WRITES: Final = frozenset(
    (
        verbs.SET,
        verbs.DELETE,
        verbs.TXN,
        verbs.REVERT,
        verbs.NOP,
        verbs.RETAIN,
        verbs.GRANT,
        verbs.REVOKE,
        verbs.RETRY,
    )
)
QUERIES: Final = frozenset(
    (
        verbs.STAT,
        verbs.LIST,
        verbs.SCAN,
        verbs.LOG,
        verbs.DIFF,
        verbs.AT,
        verbs.GET,
        verbs.REV,
        verbs.LEASES,
    )
)


NO_QUORUM: Final = Refusal("no_quorum", "no leader confirms that this node is current", {})
CANCELLED: Final = Refusal("cancelled", "the client cancelled this request", {})

PIECE: Final = 256 * 1024
"""Packed bytes that leave at once, before more is packed."""
LOOK: Final = 8
"""Messages after which it is looked at how much was packed: a power of two."""
ELEMENTS: Final = 8192
"""Elements of one list in a message: twice what a transaction may hold. The decoder allocates by the announced
count, so this, times the depth of msgpack, bounds what a few bytes can make it allocate."""


class Wire(Protocol):
    """What a conversation needs of its connection."""

    def write(self, data: bytes) -> None:
        """Send bytes, in order, never blocking."""

    def pause(self) -> None:
        """Stop reading until `resume`."""

    def resume(self) -> None:
        """Read again."""

    def close(self) -> None:
        """Send what was written, then close."""


class Conversation:
    """A conversation with one client. `receive` takes bytes; the node calls `settle`, the hub `send`."""

    __slots__ = (
        "_backlog",
        "_backlog_size",
        "_confirming",
        "_decoder",
        "_encoder",
        "_gathering",
        "_min_rev",
        "_node",
        "_owed",
        "_paused",
        "_store",
        "_unread",
        "_waiting",
        "_wire",
        "blocked",
        "closed",
        "greeting",
        "in_flight",
        "limits",
        "owner",
        "peer",
    )

    def __init__(self, node: Node, wire: Wire, limits: Limits) -> None:
        self._node = node
        self._store = node.store
        self._wire = wire
        self.limits = limits
        self.peer = ""
        """Where the client is, for log lines."""
        self.owner = ""
        """Whose what this client has counts as: its host, or its user where it is on this machine."""
        self.greeting: Greeting | None = None
        self.in_flight = 0
        self.blocked = False
        """The peer does not take what was sent; the hub keeps its watches back meanwhile."""
        self.closed = False
        self._paused = False
        self._min_rev = 0
        self._decoder = Decoder(limits.frame, elements=ELEMENTS)
        self._unread = 0
        """Bytes that arrived since the last whole message."""
        self._encoder = Encoder()
        self._backlog: list[Message] = []
        self._backlog_size = 0
        self._owed: deque[tuple[int, Any]] = deque()
        """Transactions (id, results) that are not answered yet, because the peer does not read."""
        self._waiting: dict[int, Message] = {}
        """Reads by id that wait for a rev."""
        self._confirming: list[dict[int, Message]] = []
        """Reads by id that wait for a confirmation, one batch an arrival."""
        self._gathering = False
        """The last of those batches is still being filled."""

    # -- bytes in -------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take bytes as they arrived. Never raises for what a peer sends."""
        decoder = self._decoder
        messages = decoder.feed(data)
        self._unread += len(data)
        if messages:
            # A large write came in many pieces: all of them count.
            size, self._unread = self._unread, 0
            if self._backlog:
                self._backlog.extend(messages)
                self._backlog_size += size
            else:
                self._handle(messages, size)
        if decoder.violation is not None:
            self.violate(decoder.violation)

    def _handle(self, messages: list[Message], size: int) -> None:
        """Answer reads, hand on writes: the hot path, so the commonest read is answered right here."""
        if self.greeting is None:
            messages = self._greet(messages)
            self._flush()
        node, store, pack = self._node, self._store, self._encoder.pack
        writes: list[Message] = []
        room = self.limits.in_flight - self.in_flight
        for position, message in enumerate(messages):
            if position & (LOOK - 1) == LOOK - 1 and self._encoder.size > PIECE:
                self._flush()
            if self.blocked or len(writes) >= room:
                self._hold(messages[position:], size * (len(messages) - position) // len(messages))
                break
            verb = message[0]
            if len(message) < 2 or type(message[1]) is not int or message[1] <= 0:
                self.violate("a message's second field must be a positive integer, its id")
                return
            if verb == GET and len(message) == 3 and type(message[2]) is str and node.readable:
                rev = store.rev
                version = store.get(message[2], rev)
                if type(version) is not Refusal and rev >= self._min_rev:
                    pack((OK, message[1], (rev, version)))
                else:
                    self._query(message)
            elif verb in WRITES:
                writes.append(message)
            elif verb in QUERIES:
                self._query(message)
            else:
                self._other(verb, message)
        if self._gathering:
            self._ask()
        if len(writes) != len(messages):
            self._flush()
            if self._encoder.large:
                self._encoder.renew()
        if writes and not self.closed:
            self._submit(writes, size)

    def _other(self, verb: int, message: Message) -> None:
        handler = HANDLERS.get(verb)
        if handler is None:
            self._refuse(message[1], Refusal("unsupported", f"unknown verb {verb}", {"actual": verb}))
            return
        handler(self, message)

    def _hold(self, rest: list[Message], size: int) -> None:
        self._backlog, self._backlog_size = rest, size
        if not self._paused:
            self._paused = True
            self._wire.pause()

    def _release(self) -> None:
        """Go on with what was held, now that there is room."""
        self._pay()
        if self.closed or self.blocked or self.in_flight > self.limits.in_flight // 2:
            return
        if self._backlog:
            held, self._backlog = self._backlog, []
            self._handle(held, self._backlog_size)
        if not self._backlog and self._paused and not self.closed:
            self._paused = False
            self._wire.resume()

    # -- bytes out ------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send encoded messages of a watch."""
        if not self.closed:
            self._wire.write(data)

    def _flush(self) -> None:
        data = self._encoder.take()
        if data and not self.closed:
            self._wire.write(data)

    def _refuse(self, request: int, refusal: Refusal) -> None:
        self._encoder.pack((verbs.ERROR, request, refusal.code, refusal.text, refusal.details))

    def _ok(self, request: int, result: Any) -> None:
        self._encoder.pack((OK, request, result))

    def tell_addresses(self, addresses: list[str]) -> None:
        """Tell the client where the members are now."""
        if self.greeting is not None and not self.closed:
            self._encoder.pack((verbs.ADDRESSES, addresses))
            self._flush()

    def writable(self, yes: bool) -> None:
        """The connection tells whether the peer takes what is sent."""
        self.blocked = not yes
        if yes and not self.closed:
            self._node.hub.resume(self)
            self._node.wake_hub()
            self._release()

    def violate(self, why: str) -> None:
        """End the conversation: the stream cannot be read any further."""
        self.leave("bad_request", why)

    def leave(self, code: str, text: str) -> None:
        """Say GOAWAY with the reason, and close."""
        if self.closed:
            return
        for request in (*self._waiting, *(one for batch in self._confirming for one in batch)):
            self._refuse(request, Refusal("closing", text, {}))
        self._encoder.pack((verbs.GOAWAY, code, text))
        self._flush()
        self.end()
        self._wire.close()

    def end(self) -> None:
        """Forget everything: the connection is gone or going."""
        if self.closed:
            return
        self.closed = True
        self._backlog = []
        self._decoder.violation = self._decoder.violation or "the conversation has ended"
        self._owed.clear()
        self._node.forget(self, self._waiting)
        self._waiting.clear()
        self._confirming.clear()

    def lost(self) -> None:
        """The connection is gone. No cycle stays behind, as old garbage is hardly ever looked for, and no buffer:
        where reads and watches wait, what has ended may be remembered for a while."""
        self.end()
        self._wire, self._decoder, self._encoder = NOWHERE, DEAF, MUTE

    # -- handshake ------------------------------------------------------------------------------------

    def _greet(self, messages: list[Message]) -> list[Message]:
        first = messages[0]
        if first[0] != verbs.HELLO:
            self.violate(f"the first message must be HELLO, not verb {first[0]}")
            return []
        greeting = read_hello(first, self._node.cluster)
        if isinstance(greeting, Refusal):
            request = first[1] if len(first) > 1 and type(first[1]) is int else 0
            self._refuse(request, greeting)
            self.leave(greeting.code, greeting.text)
            return []
        self.greeting = greeting
        self._min_rev = greeting.min_rev
        self._ok(first[1], welcome(self._node, self.limits))
        return messages[1:]

    # -- writes ---------------------------------------------------------------------------------------

    def _submit(self, writes: list[Message], size: int) -> None:
        refusal = self._node.proposer.refusal()
        if refusal is not None:
            for write in writes:
                self._refuse(write[1], refusal)
            self._flush()
            return
        self.in_flight += len(writes)
        self._node.proposer.submit(self, writes, size)

    def settle(self, frames: list[Message], outcomes: list[Any]) -> None:
        """Answer writes, in one piece: `outcomes[i]` is what became of `frames[i]`."""
        if self.closed:
            return
        self.in_flight -= len(frames)
        pack = self._encoder.pack
        for frame, outcome in zip(frames, outcomes, strict=True):
            if type(outcome) is int:
                pack((OK, frame[1], outcome))
            elif type(outcome) is Refusal:
                self._refuse(frame[1], outcome)
            else:
                self._results(frame[1], outcome)
        self._wire.write(self._encoder.take())
        if self._encoder.large:
            self._encoder.renew()
        if self._paused:
            self._release()

    def _results(self, request: int, results: Any) -> None:
        """Answer a transaction. What it read may be large, so it is not packed while the peer does not read."""
        if self.blocked:
            self.in_flight += 1
            self._owed.append((request, results))
            return
        self._ok(request, results)
        if self._encoder.size > PIECE:
            self._flush()

    def _pay(self) -> None:
        """Answer the transactions that were kept while the peer did not read."""
        owed = self._owed
        while owed and not self.blocked:
            self.in_flight -= 1
            self._results(*owed.popleft())
            if not owed or self.blocked:
                self._flush()

    def settle_all(self, frames: list[Message], refusal: Refusal) -> None:
        """Answer writes that all met the same end."""
        self.settle(frames, [refusal] * len(frames))

    # -- reads ----------------------------------------------------------------------------------------

    def _query(self, message: Message) -> None:
        if self._node.divergence is not None:
            self._refuse(message[1], self._node.divergence.refusal)
            return
        wait = self._node.must_wait(message, self.greeting)
        if wait is None:
            self._answer(message)
        elif wait:
            self._wait(message, wait)
        else:
            self._confirm(message)

    def _confirm(self, message: Message) -> None:
        """Keep a read until this node is confirmed to be current; those of one arrival share it."""
        request, limit = message[1], self.limits.in_flight
        if request in self._waiting or any(request in batch for batch in self._confirming):
            self._refuse(request, bad_request("id", "an id under which no read waits", request))
            return
        if not self._gathering:
            batch: dict[int, Message] = {}
            self._confirming.append(batch)
            self._gathering = True
        elif sum(map(len, self._confirming)) >= limit:
            text = f"{limit} reads of this connection wait already"
            self._refuse(request, Refusal("overloaded", text, {"what": "waiting reads", "limit": limit}))
            return
        self._confirming[-1][request] = message

    def _ask(self) -> None:
        """All reads of this arrival that need a confirmation are gathered: ask for it."""
        self._gathering = False
        self._node.reads.ask(partial(self._confirmed, self._confirming[-1]))

    def _confirmed(self, batch: dict[int, Message], yes: bool) -> None:
        """This node is current (or nobody can tell): answer a batch of reads, the commonest right here."""
        if self.closed:
            return
        self._confirming.remove(batch)
        store, pack, rev = self._store, self._encoder.pack, self._store.rev
        for request, message in batch.items():
            if not yes:
                self._refuse(request, NO_QUORUM)
                continue
            if message[0] == GET and len(message) == 3 and type(message[2]) is str:
                version = store.get(message[2], rev)
                if type(version) is not Refusal:
                    pack((OK, request, (rev, version)))
                    continue
            self._answer(message)
        self._flush()

    def _wait(self, message: Message, rev: int) -> None:
        """Keep a read until `rev`."""
        if self._may_wait(message):
            self._node.wait_for_rev(rev, self, message[1])

    def _may_wait(self, message: Message) -> bool:
        """Note a request that waits. It does not count as in flight: a CANCEL must always get through."""
        request, waiting, limit = message[1], self._waiting, self.limits.in_flight
        if request in waiting:
            self._refuse(request, bad_request("id", "an id under which no read waits", request))
        elif len(waiting) >= limit:
            text = f"{limit} reads of this connection wait already"
            self._refuse(request, Refusal("overloaded", text, {"what": "waiting reads", "limit": limit}))
        else:
            waiting[request] = message
            return True
        return False

    def _answer(self, message: Message) -> None:
        if message[0] == verbs.REV:
            self._ok(message[1], (self._store.rev, self._store.floor, self._store.time))
            return
        result = answer_query(self._store, message)
        if type(result) is Refusal:
            self._refuse(message[1], result)
        else:
            self._ok(message[1], result)
        if self._encoder.size > PIECE:
            self._flush()

    def wake(self, request: int) -> None:
        """The rev that a held read asked for is here."""
        message = self._waiting.pop(request, None)
        if message is not None:
            self._query(message)
            if self._gathering:
                self._ask()
            self._flush()

    def _cancel(self, message: Message) -> None:
        target = message[2] if len(message) > 2 else None
        if type(target) is int and self._waiting.pop(target, None) is not None:
            self._node.stop_waiting(self, target)
            self._refuse(target, CANCELLED)
        for batch in self._confirming:
            if type(target) is int and batch.pop(target, None) is not None:
                self._refuse(target, CANCELLED)
        self._ok(message[1], None)

    def _ping(self, message: Message) -> None:
        self._ok(message[1], None)

    def _status(self, message: Message) -> None:
        self._ok(message[1], status(self._node))

    # -- leases ---------------------------------------------------------------------------------------

    def _lease(self, message: Message) -> None:
        """KEEPALIVE or LEASE: the leader answers, at once or later."""
        if self._node.divergence is not None:
            self._refuse(message[1], self._node.divergence.refusal)
        elif self._may_wait(message):
            self._node.ask_leases(message[0], message[2:], partial(self._leased, message[1]))

    def _leased(self, request: int, result: Any) -> None:
        if self._waiting.pop(request, None) is None:
            return  # cancelled meanwhile, or the conversation has ended
        if type(result) is Refusal:
            self._refuse(request, result)
        else:
            self._ok(request, result)
        self._flush()

    # -- operators ------------------------------------------------------------------------------------

    def _operate(self, message: Message) -> None:
        """MEMBERS or ADMIN: answered when it is done."""
        if self._may_wait(message):
            self._node.admin.request(message[0], message[2:], partial(self._leased, message[1]))

    # -- watches --------------------------------------------------------------------------------------

    def _watch(self, message: Message) -> None:
        wrong = fields.length(message, 3, 2 + len(WATCH_DEFAULTS))
        if self._node.divergence is not None:
            wrong = self._node.divergence.refusal
        if wrong is not None:
            self._refuse(message[1], wrong)
            return
        asked = [*message[2:], *WATCH_DEFAULTS[len(message) - 2 :]]
        first = self._node.subscribe(self, message[1], asked)
        if type(first) is Refusal:
            self._refuse(message[1], first)
        else:
            self._ok(message[1], first)

    def _unwatch(self, message: Message) -> None:
        self._flush()
        if len(message) > 2 and type(message[2]) is int:
            self._node.hub.unsubscribe(self, message[2])
        self._ok(message[1], None)

    def _credit(self, message: Message) -> None:
        self._flush()
        size: Any = message[2] if len(message) > 2 else None
        self._node.hub.credit(self, message[1], size)
        self._node.wake_hub()

    def _progress(self, message: Message) -> None:
        self._flush()
        self._node.hub.progress(self, message[1])
        self._node.wake_hub()


WATCH_DEFAULTS: Final[tuple[Any, ...]] = (None, None, 0, verbs.ALL_KINDS, 0)
"""selector, from, flags, kinds, window."""

HANDLERS: Final[dict[int, Callable[[Conversation, Message], None]]] = {
    verbs.PING: Conversation._ping,
    verbs.CANCEL: Conversation._cancel,
    verbs.STATUS: Conversation._status,
    verbs.KEEPALIVE: Conversation._lease,
    verbs.LEASE: Conversation._lease,
    verbs.MEMBERS: Conversation._operate,
    verbs.ADMIN: Conversation._operate,
    verbs.WATCH: Conversation._watch,
    verbs.UNWATCH: Conversation._unwatch,
    verbs.CREDIT: Conversation._credit,
    verbs.PROGRESS: Conversation._progress,
}
"""What is neither a write nor a query, by verb."""


class _Nowhere:
    """The wire of a conversation whose connection is gone."""

    def write(self, data: bytes) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self) -> None: ...


NOWHERE: Final = _Nowhere()
DEAF: Final = Decoder(1)
DEAF.violation = "the connection is gone"
MUTE: Final = Encoder()
