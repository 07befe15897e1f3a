"""One client's conversation: bytes in, bytes out, no socket, no clock.

A conversation decodes what arrives, answers reads from the store at once, hands writes to the proposer in
one piece per arrival, and feeds watches to the hub. Whatever arrives, it answers or ends this one
conversation; the node and the other conversations never notice.

Backpressure goes both ways: over `limits.in_flight` unanswered writes (or `OWED_BYTES` of them), or while the peer
does not take what was sent, the conversation keeps the rest of what arrived, as bytes, and asks its connection to stop
reading. What it packs leaves in pieces: a small request may have a large answer, so a peer that does not read is
noticed before all the answers to one arrival, or to one command, are in memory.

The loop's time is shared: a conversation that asks for more than a slice of it goes on in a turn of its own (`turns`).
What it makes the node hold is noted in ledgers (`shares`), and the one that holds most is sent away when all together
hold too much.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from visor.protocol import verbs
from visor.protocol.frames import Decoder, Encoder, Message, pack_one
from visor.protocol.limits import Limits
from visord.members.read_index import NO_QUORUM
from visord.serving import largest
from visord.serving.backend import AT, MODE, Backend, UntilRev
from visord.serving.clearance import Clearance
from visord.serving.cold_reads import COLD
from visord.serving.greeting import read_hello
from visord.serving.packed_pages import PAGED
from visord.serving.replies import MUTE, NOWHERE, PIECE, Wire, unheard
from visord.serving.shape import TOO_DEEP, WEIGHT, elements, transaction
from visord.serving.shares import Patience
from visord.serving.turns import NOTICE, SLICE
from visord.serving.waits import Waits
from visord.state import fields
from visord.state.auth.grant import READ
from visord.state.auth.needs import amounts_to
from visord.state.command import MAX_DEPTH, WRITE_WEIGHT
from visord.state.listing import Deferred
from visord.state.refusal import Refusal, bad_request, too_large
from visord.watch.subscription import Verdicts

logger = logging.getLogger("visord.serving")

GET: Final = verbs.GET
OK: Final = verbs.OK
SET: Final = verbs.SET
TXN: Final = verbs.TXN
WRITES: Final = verbs.WRITES

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
        verbs.ACCESS,
    )
)
HEAVY: Final = frozenset(
    (
        verbs.LIST,
        verbs.SCAN,
        verbs.LOG,
        verbs.DIFF,
        verbs.LEASES,
        verbs.ACCESS,
        verbs.WATCH,
        verbs.STATUS,
        verbs.MEMBERS,
        verbs.ADMIN,
    )
)
"""What may take long enough that it is only begun while there is time."""

LOOK: Final = 8
"""Short answers after which it is looked at how much was packed: a power of two."""
BATCH: Final = 64
"""Messages that are decoded together."""
ELEMENTS: Final = 8192
"""Elements of one list in a message: twice what a transaction may hold."""
HELLO_BYTES: Final = 4096
HELLO_ELEMENTS: Final = 64
"""What the first message may have, all its levels together: nobody knows yet who says it."""
OWED_BYTES: Final = 8 << 20
"""Weight of writes of one connection that are not answered, above which no more are read from it."""


class Conversation(Waits):
    """A conversation with one client. `receive` takes bytes; the proposer calls `complete`, the hub `send`."""

    __slots__ = (
        "_begun",
        "_clearance",
        "_decoder",
        "_heard",
        "_held",
        "_min_rev",
        "_owed",
        "_owed_bytes",
        "_paused",
        "_queued",
        "_store",
        "_stuck_since",
        "actor",
        "greeted",
        "in_flight",
        "peer",
        "principal",
        "session",
    )

    def __init__(self, backend: Backend, wire: Wire, limits: Limits) -> None:
        self._backend = backend
        self._store = backend.store
        self._clearance = Clearance(backend.authorization, backend.reporting, backend.passwords)
        self._wire = wire
        self.send = unheard
        self.limits = limits
        self.peer = ""
        """Where the client is, for log lines."""
        self.owner = ""
        self.greeted = False
        """The client has said who it is."""
        self.session: bytes | None = None
        self.actor = ""
        self.principal = ""
        """In whose name it writes."""
        self.in_flight = 0
        self.blocked = False
        self.closed = False
        self._paused = False
        """The connection does not read for now."""
        self._queued = False
        """It waits for a turn to go on with what has arrived."""
        self._min_rev = 0
        """The highest rev that the client has seen: it is answered no read below it."""
        self._decoder = Decoder(HELLO_BYTES, elements=HELLO_ELEMENTS)
        self._shares = backend.shares
        self._held = 0
        """Bytes of it that the ledger knows."""
        self._begun = self._heard = self._stuck_since = backend.shares.now
        """When the message that is not whole yet began, when something arrived, when the peer stopped reading."""
        self._encoder = Encoder()
        self._owed_bytes = 0
        """Weight of the writes that are not answered, about."""
        self._owed: list[tuple[int, Any]] = []
        """Transactions (id, results) that are not answered yet, because the peer does not read. A list, like `_due`: a
        thousand at most, mostly none, and an empty deque takes 760 bytes of each connection."""
        self._waiting: dict[int, Message] = {}
        self._noted = 0
        self._confirming: list[dict[int, Message]] = []
        self._gathering = False
        self._due: list[tuple[Message, bool]] = []

    # -- bytes in -------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take bytes as they arrived. Never raises for what a peer sends."""
        shares = self._shares
        self._heard = shares.now
        turns = shares.turns
        message = None
        # Who may do nothing is refused whatever it asks for: others first.
        waits = turns.crowded and self.greeted and self._clearance.unknown
        if (
            waits
            or self._held
            or self._due
            or self._paused
            or self.blocked
            or not self.greeted
            or self.in_flight >= self.limits.in_flight
            or self._owed_bytes > OWED_BYTES
        ):
            if not self._held:
                self._begun = self._heard
            self._decoder.push(data)
            if waits and not self._paused:
                self._line_up()
            if self._queued or self._paused:
                self._note_held()
                return
        else:
            self._begun = self._heard
            message = self._decoder.push_whole(data)
            if message is not None and _done_alone(self, message, len(data)):
                return
        clock = turns.clock
        began = clock()
        deadline = began + SLICE if not turns.crowded else 0.0
        if message is None:
            self._go_on(deadline)
        else:  # by far the commonest: one message, and nothing else is here
            left = self._handle([message], len(data), deadline)
            if left:
                self._put_back(left)
                self._go_on(deadline)
        took = clock() - began
        if took > NOTICE:
            turns.charge(took)

    def work(self, deadline: float) -> None:
        """It is this conversation's turn to go on with what has arrived."""
        self._queued = False
        if self.closed:
            return
        try:
            self._go_on(deadline)
        except Exception:  # a defect of ours: it ends this conversation alone, as one in `receive` does
            logger.exception("%s: a request could not be handled", self.peer)
            self.expel("internal", "a request could not be handled")

    def _go_on(self, deadline: float) -> None:
        """Handle what has arrived, for as long as there is time and room; what is left stays bytes."""
        decoder, clock = self._decoder, self._shares.turns.clock
        if (self._due or self._owed) and self._catch_up(deadline):
            if not self.closed:
                self._read(False)
                self._note_held()
                if not self.blocked:
                    self._line_up()
            return
        room = self._room()
        while room > 0:
            before = decoder.held
            messages = decoder.take(min(BATCH, room) if self.greeted else 1)
            if not messages:
                break
            self._begun = self._heard
            left = self._handle(messages, before - decoder.held, deadline)
            if left:
                self._put_back(left)
            if self.closed:
                return
            room = self._room()
            if not decoder.held:
                break
            if clock() >= deadline and room > 0:
                self._line_up()
                break
        if decoder.violation is not None:
            self.violate(decoder.violation)
            return
        self._read(not self._queued and room > 0)
        if decoder.held or self._held:
            self._note_held()

    def _line_up(self) -> None:
        """Go on in a turn of its own, and read nothing until then."""
        if not self._queued and not self.closed:
            self._queued = True
            self._read(False)
            self._shares.turns.queue(self, self._clearance.party or self.owner)

    def _catch_up(self, deadline: float) -> bool:
        """Answer what has waited for a turn; tell whether anything is left."""
        clock, begun = self._shares.turns.clock, False
        while (self._owed or self._due) and not self.blocked and not self.closed:
            if begun and clock() >= deadline:
                break
            begun = True
            if self._owed:
                self.in_flight -= 1
                self._results(*self._owed.pop(0))
                continue
            message, sure = self._due.pop(0)
            if sure:
                self._answer(message)
            else:
                self._query(message)
        if self._gathering and not self.closed:
            self._ask()
        self._finish()
        return bool(self._owed or self._due)

    def _room(self) -> int:
        """Return how many writes may be read now."""
        if self.blocked or self._owed_bytes > OWED_BYTES:
            return 0
        return self.limits.in_flight - self.in_flight

    def _read(self, yes: bool) -> None:
        """Have the connection read, or not."""
        if self._paused is yes:
            self._paused = not yes
            if yes:
                self._wire.resume()
            else:
                self._wire.pause()

    def _put_back(self, messages: list[Message]) -> None:
        """Keep messages that were decoded and not handled, as bytes."""
        if self.closed:
            return
        try:
            self._decoder.put_back(messages)
        except ValueError:
            self.violate(TOO_DEEP.text)

    def _note_held(self) -> None:
        """Tell the ledger what is kept of what has arrived; the one that holds most may have to go."""
        if self.closed:
            return
        held = self._decoder.held
        if held != self._held:
            self._held = held
            self._shares.note_held(self, held)

    def _handle(self, messages: list[Message], size: int, deadline: float) -> list[Message]:
        """Answer reads, hand on writes, return what is left when time or the peer's patience is over: the hot path."""
        if not self.greeted:
            messages = self._greet(messages)
            self._flush()
            self._encoder.renew()
        store, encoder = self._store, self._encoder
        rights, clock = self._clearance.quick(), self._shares.turns.clock
        may_read = _yes if rights is None else rights.read.get
        writes: list[Message] = []
        left: list[Message] = []
        answers = queries = 0
        for position, message in enumerate(messages):
            verb = message[0]
            if verb == SET and _is_plain(message):
                writes.append(message)
                continue
            if self.blocked:
                left = messages[position:]
                break
            if len(message) < 2 or type(message[1]) is not int or message[1] <= 0:
                self.violate("a message's second field must be a positive integer, its id")
                return []
            if verb == GET and _may_tell(self._backend, message):
                rev, path = store.rev, message[2]
                version = store.get(path, rev)
                known = type(version) is not Refusal and rev >= self._min_rev
                if known and (may_read(path) or (rights is not None and rights.may(READ, path))):
                    encoder.pack((OK, message[1], (rev, version)))
                    answers += 1
                    if not answers & (LOOK - 1) and encoder.size > PIECE:
                        self._flush()
                else:
                    self._query(message)
                    queries += 1
            elif verb in HEAVY and clock() >= deadline and (position or not deadline):
                # The first of a turn is begun whatever the time is: to decode it alone may have taken a turn.
                left = messages[position:]
                break
            else:
                count = transaction(message) if verb == TXN else elements(message)
                if count is None:
                    self._refuse(message[1], TOO_DEEP)
                elif verb in WRITES:
                    writes.append(message)
                    size += count * WEIGHT
                elif verb in QUERIES:
                    self._query(message)
                    queries += 1
                else:
                    self._other(verb, message)
        if self._gathering and not self.closed:
            self._ask()
        if len(writes) != len(messages):
            self._shares.reads += answers + queries
            self._finish()
        if writes and not self.closed:
            self._submit(writes, size + WRITE_WEIGHT * len(writes))
        return left

    def _other(self, verb: int, message: Message) -> None:
        handler = HANDLERS.get(verb)
        if handler is None:
            self._refuse(message[1], Refusal("unsupported", f"unknown verb {verb}", {"actual": verb}))
            return
        denial = self._clearance.denial(message)
        if denial is not None:
            self._refuse(message[1], denial)
            return
        handler(self, message)

    def judge_again(self) -> Verdicts | None:
        """Return what tells why a watch must not go on, now that rights have changed."""
        return self._clearance.judge_again()

    def _release(self) -> None:
        """Go on with what was held, now that there is room: in a turn, as many may have to at once."""
        if self.closed or self._queued or self.blocked:
            return
        if self._due or self._owed:
            self._line_up()
        elif self._paused and self.in_flight <= self.limits.in_flight // 2 and self._room() > 0:
            if self._decoder.held:
                self._line_up()
            else:
                self._read(True)

    # -- what others may ask of it ------------------------------------------------------------------------

    @property
    def idle_since(self) -> float | None:
        """Since when it has asked for nothing and waits for nothing; None while that is not so."""
        busy = self.in_flight or self._due or self._waiting or self._confirming or self._held
        return None if busy or self._backend.watched_by(self) else self._heard

    def overdue(self, limits: Patience) -> str:
        """Return what takes too long here; "" when nothing does."""
        now = self._shares.now
        if self.blocked and now - self._stuck_since > limits.stuck:
            return f"the client has read nothing for {limits.stuck:g} s"
        if self._held and not (self._queued or self._paused) and now - self._begun > limits.message:
            return f"a message was begun and is not whole after {limits.message:g} s"
        return ""

    # -- bytes out ------------------------------------------------------------------------------------

    def tell_addresses(self, addresses: list[str]) -> None:
        """Tell the client where the members are now."""
        if self.greeted and not self.closed and not self._clearance.unknown:
            self._encoder.pack((verbs.ADDRESSES, addresses))
            self._flush()

    def writable(self, yes: bool) -> None:
        """The connection tells whether the peer takes what is sent."""
        self.blocked = not yes
        if self.greeted and not self.closed:
            self.send = self._wire.write if yes else self._send_noted
        self._stuck_since = self._shares.now
        self._shares.note_unsent(self, 0 if yes or self.closed else self._wire.unsent())
        if yes and not self.closed:
            self._backend.resume(self)
            self._release()

    def violate(self, why: str) -> None:
        """End the conversation: the stream cannot be read any further."""
        if not self.greeted and not self.closed:
            self._wire.strange(why)
        self.leave("bad_request", why)

    def leave(self, code: str, text: str) -> None:
        """Say GOAWAY with the reason, and close."""
        if self.closed:
            return
        due = [message[1] for message, _ in self._due]
        for request in (*self._waiting, *due, *(one for batch in self._confirming for one in batch)):
            self._refuse(request, Refusal("closing", text, {}))
        self._encoder.pack((verbs.GOAWAY, code, text))
        self._flush()
        self.end()
        self._wire.close()

    def expel(self, code: str, text: str) -> None:
        """End the conversation for the sake of others: nothing is waited for."""
        stuck = self.blocked
        self.leave(code, text)
        if stuck:
            self._wire.abort()

    def end(self) -> None:
        """Forget everything: the connection is gone or going."""
        if self.closed:
            return
        self.closed = True
        self._decoder = DEAF
        self.send = unheard
        self._shares.forget(self)
        self._owed.clear()
        self._backend.forget(self, [*self._waiting, *(message[1] for message, _ in self._due)])
        self._due.clear()
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
        if first[0] == verbs.JOIN:
            _enrol(self, first)
            return []
        if first[0] != verbs.HELLO:
            self.violate(f"the first message must be HELLO, not verb {first[0]}")
            return []
        if (elements(first) or HELLO_BYTES) > HELLO_ELEMENTS:
            self.violate(
                f"HELLO has more than {HELLO_ELEMENTS} elements, or more than {MAX_DEPTH} levels of them"
            )
            return []
        greeting = read_hello(first, self._backend.cluster)
        if isinstance(greeting, Refusal):
            self._turn_away(first, greeting)
            return []
        denial = self._clearance.prove(greeting.token, self._wire.certificate, self.owner)
        if denial is not None:
            self._turn_away(first, denial)
            return []
        self.greeted = True
        self.send = self._wire.write
        self.session, self._min_rev = greeting.session, greeting.min_rev
        self._clearance.says(greeting.actor)
        self.actor, self.principal = self._clearance.signature, self._clearance.principal
        self._decoder.limit, self._decoder.elements = self.limits.frame, ELEMENTS
        self._wire.greeted()
        self._ok(first[1], self._backend.welcome(self.limits, unknown=self._clearance.unknown))
        return messages[1:]

    def _turn_away(self, hello: Message, refusal: Refusal) -> None:
        """Answer HELLO with why the client is not let in."""
        self._refuse(hello[1] if len(hello) > 1 and type(hello[1]) is int else 0, refusal)
        self.leave(refusal.code, refusal.text)

    # -- writes ---------------------------------------------------------------------------------------

    def _submit(self, writes: list[Message], size: int) -> None:
        self._clearance.rehearse(writes)
        if self._clearance.nobody:
            writes = self._clearance.allowed(writes, self.session, self._refuse)
            self._flush()
            if not writes:
                return
        refusal = self._backend.proposer.refusal(self.principal)
        if refusal is not None:
            for write in writes:
                self._refuse(write[1], refusal)
            self._flush()
            return
        self.in_flight += len(writes)
        self._owed_bytes += size
        self._backend.proposer.submit(self, writes, size)

    def complete(self, frames: list[Message], outcomes: list[Any]) -> None:
        """Answer writes, in one piece: `outcomes[i]` is what became of `frames[i]`."""
        if self.closed:
            return
        rest = self.in_flight - len(frames)
        # Nobody tells the weight of each: all count as much as their mean.
        self._owed_bytes = self._owed_bytes * rest // self.in_flight if rest > 0 else 0
        self.in_flight = rest
        if len(frames) == 1 and type(outcomes[0]) is int:  # of who waits for each answer
            self._wire.write(pack_one((OK, frames[0][1], outcomes[0])))
            if self._paused:
                self._release()
            return
        pack = self._encoder.pack
        for frame, outcome in zip(frames, outcomes, strict=True):
            if type(outcome) is int:
                pack((OK, frame[1], outcome))
            elif type(outcome) is Refusal:
                if outcome.code == "denied":
                    self._clearance.report(frame, outcome)
                self._refuse(frame[1], outcome)
            else:
                self._results(frame[1], outcome)
        self._wire.write(self._encoder.take())
        if self._encoder.spent:
            self._encoder.renew()
        if self._paused:
            self._release()

    def _results(self, request: int, results: Any) -> None:
        """Answer a transaction. What it read may be large, so it is not packed while the peer does not read."""
        if self.blocked:
            self.in_flight += 1
            self._owed.append((request, results))
            return
        if type(results) is Deferred:
            results = results.told(self._store)
        if type(results) is Refusal:
            self._refuse(request, results)
        else:
            self._ok(request, results)
        if self._encoder.size > PIECE:
            self._flush()

    def fail(self, frames: list[Message], refusal: Refusal) -> None:
        """Answer writes that all met the same end."""
        self.complete(frames, [refusal] * len(frames))

    # -- reads ----------------------------------------------------------------------------------------

    def _query(self, message: Message) -> None:
        backend = self._backend
        if backend.admission.diverged is not None:
            self._refuse(message[1], backend.admission.diverged)
            return
        wait = backend.wait(message, self._min_rev)
        if wait is None:
            self._answer(message)
        elif isinstance(wait, UntilRev):
            if self._may_wait(message):
                backend.wake_at(wait.rev, self, message[1])
        else:
            self._confirm(message)

    def _ask(self) -> None:
        """All reads of this arrival that need a confirmation are gathered: ask for it."""
        self._gathering = False
        self._backend.confirm(partial(self._confirmed, self._confirming[-1]))

    def _confirmed(self, batch: dict[int, Message], yes: bool) -> None:
        """This node is current (or nobody can tell): answer a batch of reads, the commonest right here."""
        if self.closed:
            return
        self._confirming.remove(batch)
        rights = self._clearance.quick()
        store, pack, rev = self._store, self._encoder.pack, self._store.rev
        for request, message in batch.items():
            if not yes:
                self._refuse(request, NO_QUORUM)
                continue
            if rights is None and message[0] == GET and _mode(message) == verbs.LINEARIZABLE:
                version = store.get(message[2], rev)
                if type(version) is not Refusal:
                    if len(batch) == 1 and (version is None or len(version[1] or b"") <= PIECE):
                        self._wire.write(pack_one((OK, request, (rev, version))))
                        return
                    pack((OK, request, (rev, version)))
                    continue
            if message[0] in HEAVY:
                self._due.append((message, True))
            else:
                self._answer(message)
        self._finish()
        if self._due:
            self._line_up()

    def _answer(self, message: Message) -> None:
        denial = self._clearance.denial(message)
        if denial is not None:
            self._backend.cold_reads.complete(self, message[1])
            self._refuse(message[1], denial)
            return
        if message[0] == verbs.REV:
            self._ok(message[1], (self._store.rev, self._store.floor, self._store.time))
            return
        if message[0] in PAGED:
            page = self._backend.pages.answer(message)
            if page is not None:
                self._backend.cold_reads.complete(self, message[1])
                if isinstance(page, Refusal):
                    self._refuse(message[1], page)
                else:
                    self._send_page(*page)
                return
        if message[0] == verbs.ACCESS:
            result = self._clearance.answer(message)
        else:
            result = self._backend.cold_reads.answer(self, message)
            if result is COLD:
                if self._may_wait(message):
                    self._backend.cold_reads.fetch(self, message)
                else:
                    self._backend.cold_reads.complete(self, message[1])
                return
            amount = amounts_to(message, result)
            result = (amount and self._clearance.denial(amount)) or result
        if type(result) is Refusal:
            self._refuse(message[1], result)
        else:
            self._ok(message[1], result)
        if self._encoder.size > PIECE:
            self._flush()

    def wake(self, request: int) -> None:
        """The rev that a held read asked for is here."""
        message = self._waits_no_more(request)
        if message is None:
            return
        if message[0] in HEAVY:  # as many may wait for the same rev
            self._due.append((message, False))
            self._line_up()
            return
        self._query(message)
        if self._gathering:
            self._ask()
        self._finish()

    # -- leases ---------------------------------------------------------------------------------------

    def _lease(self, message: Message) -> None:
        """KEEPALIVE or LEASE: the leader answers, at once or later, and judges whose the leases are."""
        asked, most = message[2] if len(message) > 2 else None, self.limits.operations
        wrong = self._backend.admission.diverged or fields.length(message, 3, 3)
        if wrong is not None:
            self._refuse(message[1], wrong)
        elif type(asked) is list and len(asked) > most:
            self._refuse(message[1], too_large("leases", most, len(asked)))
        elif self._may_wait(message):
            answer = partial(self._answer_waiting, message[1])
            self._backend.ask_leader(message[0], [asked, self.principal], answer)

    # -- operators ------------------------------------------------------------------------------------

    def _operate(self, message: Message) -> None:
        """MEMBERS or ADMIN: answered when it is done."""
        if self._may_wait(message):
            answer = partial(self._answer_waiting, message[1])
            self._backend.operate(message[0], message[2:], self.owner, answer)

    # -- watches --------------------------------------------------------------------------------------

    def _watch(self, message: Message) -> None:
        first = self._backend.watch(self, message)
        if type(first) is Refusal:
            self._refuse(message[1], first)
        else:
            self._ok(message[1], first)
            self._encoder.spent = True  # who watches may ask for nothing else for long

    def _unwatch(self, message: Message) -> None:
        self._flush()
        if len(message) > 2 and type(message[2]) is int:
            self._backend.unwatch(self, message[2])
        self._ok(message[1], None)

    def _credit(self, message: Message) -> None:
        self._flush()
        size: Any = message[2] if len(message) > 2 else None
        self._backend.credit(self, message[1], size)

    def _progress(self, message: Message) -> None:
        self._flush()
        self._backend.progress(self, message[1])


def _done_alone(conversation: Conversation, message: Message, size: int) -> bool:
    """Do the commonest of what comes alone, a SET or a GET as they should be; say whether it was one.

    The same as `_handle` and what follows from it, in a third of the time.
    """
    rights = conversation._clearance.quick()
    if message[0] == SET:
        if not _is_plain(message) or (rights is not None and not rights.any):
            return False
        refusal = conversation._backend.proposer.refusal(conversation.principal)
        if refusal is not None:
            return False
        conversation.in_flight += 1
        conversation._owed_bytes += size + WRITE_WEIGHT
        conversation._backend.proposer.submit(conversation, [message], size + WRITE_WEIGHT)
        return True
    if message[0] != GET or type(message[1]) is not int or message[1] <= 0:
        return False
    store, backend = conversation._store, conversation._backend
    if store.rev < conversation._min_rev:
        return False
    rev = _rev_of(conversation, message)
    if rev is None:
        return _confirmed_alone(conversation, message)
    path = message[2]
    if rights is not None and (rights.read.get(path) is not True or rev != store.rev):
        return False  # it takes a closer look: of the past another right is needed
    version = store.get(path, rev) if rev == store.rev else backend.cold_reads.at_hand(path, rev)
    if version is COLD:
        return False
    if type(version) is Refusal or (version is not None and len(version[1] or b"") > PIECE):
        return False
    conversation._shares.reads += 1
    conversation._wire.write(pack_one((OK, message[1], (rev, version))))
    return True


def _confirmed_alone(conversation: Conversation, message: Message) -> bool:
    """Have a GET of the latest state confirmed where it has to be; say whether it was one."""
    if _mode(message) != verbs.LINEARIZABLE or conversation._backend.admission.diverged is not None:
        return False
    conversation._shares.reads += 1
    conversation._confirm(message)
    if conversation._gathering:
        conversation._ask()
    else:  # too many wait
        conversation._finish()
    return True


def _rev_of(conversation: Conversation, message: Message) -> int | None:
    """Return the rev that a GET in a form as it should be asks for, and that may be told now; else None."""
    backend, now = conversation._backend, conversation._store.rev
    if len(message) == MODE and type(message[AT]) is int:
        there = message[AT] <= now and type(message[2]) is str and backend.admission.diverged is None
        return message[AT] if there else None
    return now if _may_tell(backend, message) else None


def _may_tell(backend: Backend, message: Message) -> bool:
    """Say whether a GET asks for the latest state, in a form as it should be, and may be answered with that now."""
    mode = _mode(message)
    if mode == verbs.STALE:
        return backend.admission.diverged is None
    return mode == verbs.LINEARIZABLE and backend.readiness.readable


def _mode(message: Message) -> int | None:
    """Return how current the answer to a GET of the latest state has to be; None where it is not quite such a GET."""
    count = len(message)
    if count == 3 and type(message[2]) is str:
        return verbs.LINEARIZABLE
    if not 3 < count < 6 or type(message[2]) is not str or message[AT] is not None:
        return None
    mode: int | None = message[MODE] if count > MODE else verbs.LINEARIZABLE
    return mode if type(mode) is int else None


def _enrol(conversation: Conversation, message: Message) -> None:
    """A machine wants to become a member. It stays nobody: time and bytes are those of who has not said HELLO."""
    if len(message) < 2 or type(message[1]) is not int or message[1] <= 0 or conversation._waiting:
        conversation.violate("JOIN has an id, and is the only question of its connection")
    elif (elements(message) or HELLO_BYTES) > HELLO_ELEMENTS:
        conversation.violate(f"JOIN has more than {HELLO_ELEMENTS} elements, or too many levels of them")
    elif conversation._may_wait(message):
        answer = partial(conversation._answer_waiting, message[1])
        conversation._backend.enrol(message, conversation.owner, answer)


def _yes(path: str) -> bool:
    return True


def _is_plain(message: Message) -> bool:
    """Tell whether a SET has the fields that it should have and no others, with a guard or without."""
    if len(message) == 7:
        if not type(message[5]) is type(message[6]) is int:
            return False
    elif len(message) != 5:
        return False
    request = message[1]
    return (
        type(request) is type(message[2]) is int
        and request > 0
        and type(message[3]) is str
        and type(message[4]) is bytes
    )


def _password(conversation: Conversation, message: Message) -> None:
    """PASSWORD: answered when it was computed. What waits for that holds no password."""
    clearance = conversation._clearance

    def done(result: Any) -> None:
        conversation.actor, conversation.principal = clearance.signature, clearance.principal
        conversation._answer_waiting(message[1], result)

    if conversation._may_wait(message[:2]):
        clearance.password(message[2:], done)


def _status(conversation: Conversation, message: Message) -> None:
    rows = message[2] if len(message) > 2 else 0
    if type(rows) is not int or not 0 <= rows <= largest.MOST or len(message) > 3:
        expected = f"an integer from 0 to {largest.MOST}, and nothing after it"
        conversation._refuse(message[1], bad_request("rows", expected, rows))
        return
    conversation._ok(message[1], conversation._backend.status(rows))


HANDLERS: Final[dict[int, Callable[[Conversation, Message], None]]] = {
    verbs.PING: lambda conversation, message: conversation._ok(message[1], None),
    verbs.CANCEL: Conversation._cancel,
    verbs.STATUS: _status,
    verbs.KEEPALIVE: Conversation._lease,
    verbs.LEASE: Conversation._lease,
    verbs.MEMBERS: Conversation._operate,
    verbs.ADMIN: Conversation._operate,
    verbs.PASSWORD: _password,
    verbs.WATCH: Conversation._watch,
    verbs.UNWATCH: Conversation._unwatch,
    verbs.CREDIT: Conversation._credit,
    verbs.PROGRESS: Conversation._progress,
}
"""What is neither a write nor a query, by verb."""


class _Deaf(Decoder):
    """The decoder of all conversations that have ended: it keeps nothing."""

    def push(self, data: bytes) -> None:
        """Nothing."""

    def push_whole(self, data: bytes) -> Message | None:
        return None

    def put_back(self, messages: list[Message]) -> None:
        """Nothing."""


DEAF: Final = _Deaf(1)
DEAF.violation = "the conversation has ended"
