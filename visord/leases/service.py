"""Leases at a node: keep-alives are answered, and what nobody keeps is proposed for expiry.

    conversation --KEEPALIVE--> request --confirm (still the leader?)--> lessor.keep --> answer
    the node's timer --> tick --confirm--> lessor.due --> EXPIRE commands through the proposer --> complete

Only the leader may do either, and only while it is sure to lead: a deposed leader would promise time that the next one
does not know of, and declare dead what the next one keeps alive. So both ask `confirm` first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeAlias

from visor.protocol.frames import Message
from visor.protocol.limits import Limits
from visor.protocol.verbs import EXPIRE_LEASE, KEEPALIVE, LEASE
from visord.leases.lessor import STALL, Lessor
from visord.proposer import Author
from visord.state import fields
from visord.state.auth.effort import MESSAGE, Effort
from visord.state.auth.principal import NOBODY, owner_of
from visord.state.command import MAX_OWNER
from visord.state.machine import Machine
from visord.state.refusal import NOT_LEADER, Refusal, bad_request, text_of

BUDGET: Final = 8192
"""Leases and files that one command of expiries takes away, about: 10 ms of applying."""

ASK_SECONDS: Final = 10.0
"""After which a confirmation that has not come is asked for again."""

Reply: TypeAlias = Callable[[Any], None]
"""Gets the `result` of OK, or a Refusal; once."""

Confirm: TypeAlias = Callable[[Callable[[Refusal | None], None]], None]
"""`confirm(callback)` calls back with None once it is sure that this node led, and had applied everything, after it was
asked; with a Refusal when that is not so. At once where the node is alone."""


class Proposes(Protocol):
    """What leases need of the proposer."""

    def refusal(self) -> Refusal | None: ...

    def submit(self, author: Author, frames: list[Message], size: int) -> None: ...


class LeaseService:
    """The leases of one node. `term()` is the term in which it leads and is current, 0 when it does not."""

    session: Final = None
    actor: Final = "visord"
    principal: Final = NOBODY
    """As an author of writes: nobody's client."""

    def __init__(
        self,
        machine: Machine,
        limits: Limits,
        term: Callable[[], int],
        confirm: Confirm,
        proposer: Proposes,
        clock: Callable[[], float],
    ) -> None:
        self._machine = machine
        self._limits = limits
        self._term = term
        self._confirm = confirm
        self._proposer = proposer
        self._clock = clock
        self._led_term = 0
        self._asked: float | None = None  # since when a confirmation for expiries is under way
        self._parked: list[tuple[int, list[Any], Reply]] = []
        self.lessor = Lessor(machine.store.leases)

    # -- what the node tells --------------------------------------------------------------------------

    def use(self, machine: Machine) -> None:
        """The node's machine was replaced by one from a checkpoint; the node does not lead then."""
        self._machine = machine
        self.lessor = Lessor(machine.store.leases)
        self._led_term = 0

    def applied(self) -> None:
        """A command was applied."""
        news = self._machine.store.leases.news
        if news:
            self.lessor.learn(news, self._clock())

    def tick(self) -> None:
        """See whether leases are due. To be called several times a second."""
        self._observe()
        now = self._clock()
        if not self.lessor.tick(now) or self.lessor.expiring:
            return
        if self._asked is None or now - self._asked > ASK_SECONDS:
            self._asked = now
            self._confirm(self._confirmed)

    def _observe(self) -> None:
        """Notice a new leadership: its first tick gives every lease a full time to live."""
        term = self._term()
        if term != self._led_term:
            self._led_term = term
            self._asked = None
            self.lessor.leadership(term != 0, self._clock())
            self._unpark()

    # -- expiry ---------------------------------------------------------------------------------------

    def _confirmed(self, refusal: Refusal | None) -> None:
        asked, self._asked = self._asked, None
        self._observe()
        if not self.lessor.leading or asked is None:
            return
        now = self._clock()
        if refusal is not None or now - asked > STALL:
            self.lessor.renew(now)
        elif self._proposer.refusal() is None:
            term = self._led_term
            due = self.lessor.due(now, BUDGET)
            if due:
                frames: list[Message] = [[EXPIRE_LEASE, 1, 0, lease, term] for lease in due]
                self._proposer.submit(self, frames, 16 * len(frames))

    def complete(self, frames: list[Message], outcomes: Sequence[Any]) -> None:
        """Expiries were applied, or refused: clients that tried to keep these leases alive are answered now."""
        self.lessor.completed([frame[3] for frame in frames], self._clock())
        self._unpark()
        self.tick()

    def fail(self, frames: list[Message], refusal: Refusal) -> None:
        """Expiries did not come about, as far as is known."""
        self.complete(frames, [refusal] * len(frames))

    def _unpark(self) -> None:
        parked, self._parked = self._parked, []
        for verb, arguments, reply in parked:
            self.request(verb, arguments, reply)

    # -- what clients ask -----------------------------------------------------------------------------

    def request(self, verb: int, arguments: list[Any], reply: Reply) -> None:
        """Answer KEEPALIVE or LEASE: as the leader, or with a Refusal. `arguments`: what is asked, and who asks, as the
        author of a write is named; left out by a cluster that knows no rights yet.

        A keep-alive for a lease whose expiry is proposed waits for what becomes of that: it is never told "kept" of a
        lease that then goes, nor "gone" of one that then stays.
        """
        wrong = self._malformed(verb, arguments)
        if wrong is not None:
            reply(wrong)
            return
        self._confirm(lambda refusal: self._answer(verb, arguments, reply, refusal))

    def _malformed(self, verb: int, arguments: list[Any]) -> Refusal | None:
        wrong = fields.length([verb, 0, *arguments], 3, 4)
        if wrong is not None:
            return wrong
        if len(arguments) > 1 and (type(arguments[1]) is not str or len(arguments[1]) > MAX_OWNER):
            return bad_request("author", text_of(MAX_OWNER), arguments[1])
        if verb == LEASE:
            return fields.integer("lease", arguments[0], 1)
        wrong = fields.sequence("leases", arguments[0], self._limits.operations)
        if wrong is None and not all(type(lease) is int for lease in arguments[0]):
            wrong = bad_request("leases", "lease ids", arguments[0])
        return wrong

    def _answer(self, verb: int, arguments: list[Any], reply: Reply, refusal: Refusal | None) -> None:
        self._observe()
        if refusal is None:
            refusal = self._denial(verb, arguments) if self.lessor.leading else NOT_LEADER
        if refusal is not None:
            reply(refusal)
        elif verb == KEEPALIVE:
            self._keep(arguments, reply)
        else:
            reply(self._describe(arguments[0]))

    def _denial(self, verb: int, arguments: list[Any]) -> Refusal | None:
        """Return why this must not be answered: here all that was acknowledged is known, so also whose a lease is."""
        author = arguments[1] if len(arguments) > 1 else NOBODY
        judge = self._machine.judge
        rights = judge.rights(author, self._machine.time)
        if rights is None:
            return None
        return judge.refusal(rights, owner_of(author), [verb, 1, arguments[0]], Effort(MESSAGE))

    def _keep(self, arguments: list[Any], reply: Reply) -> None:
        lessor = self.lessor
        leases = arguments[0]
        if lessor.expiring and not lessor.expiring.isdisjoint(leases):
            # The others are safe meanwhile; the answer is made anew then.
            lessor.keep([lease for lease in leases if lease not in lessor.expiring], self._clock())
            self._parked.append((KEEPALIVE, arguments, reply))
            return
        reply(lessor.keep(leases, self._clock()))

    def _describe(self, number: int) -> Any:
        store = self._machine.store
        lease = store.leases.find(number)
        if isinstance(lease, Refusal):
            return lease
        return [store.rev, lease.ttl, self.lessor.left(number, self._clock()), sorted(lease.files)]
