"""What a conversation may ask of the node behind it. Here the fields of clients' messages end: the node knows none.

reads       wait      for what a read has to wait: nothing, a rev (`wake_at`), a confirmation (`confirm`)
writes      proposer  refusal, submit
watches     watch, unwatch, credit, progress, resume
leases      ask_leader
operators   operate, status
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from visor.protocol import verbs
from visor.protocol.frames import Message
from visor.protocol.limits import Limits
from visord.audit.auditor import Silent
from visord.authority.office import Office
from visord.environment import Environment
from visord.leases.questions import LeaseQuestions
from visord.members.read_index import ReadIndex
from visord.proposer import Proposer
from visord.serving import largest, status
from visord.serving.admin import Admin
from visord.serving.authorization import Authorization
from visord.serving.cold_reads import Asker
from visord.serving.enrolment import Enrolment
from visord.serving.packed_pages import PackedPages
from visord.serving.passwords import Passwords
from visord.serving.reporting import Reporting
from visord.state import fields
from visord.state.refusal import Refusal
from visord.waiting import Waiting
from visord.watch.pump import Pump
from visord.watch.subscription import Sink

AT: Final = 3
MODE: Final = 4
WITH_AT: Final = frozenset((verbs.GET, verbs.STAT, verbs.LIST, verbs.SCAN))
"""Reads that may name a rev, and a mode after it."""
MODE_OF_REV: Final = 2
WATCH_DEFAULTS: Final[tuple[Any, ...]] = (None, None, 0, verbs.ALL_KINDS, 0)
"""selector, from, flags, kinds, window."""


class UntilRev(NamedTuple):
    """A read waits until the store has reached `rev`."""

    rev: int


class UntilConfirmed:
    """A read waits until this node is confirmed to be current."""

    __slots__ = ()


Wait: TypeAlias = UntilRev | UntilConfirmed
CONFIRMATION: Final = UntilConfirmed()


class Sleeper(Protocol):
    """Whose requests wait for a rev."""

    def wake(self, request: int) -> None:
        """The rev that the request waits for is here."""


class Client(Sleeper, Asker, Sink, Protocol):
    """A conversation, as it is known behind it."""


class Node(status.Node, Protocol):
    """What of the node is used."""

    on_applied: Callable[[], None]
    """Called when something was applied, or another state was taken over."""
    on_second: Callable[[], None]
    """Called once a second."""

    @property
    def environment(self) -> Environment: ...

    @property
    def audit(self) -> Silent: ...

    @property
    def pump(self) -> Pump: ...

    @property
    def pages(self) -> PackedPages: ...

    @property
    def proposer(self) -> Proposer: ...

    @property
    def read_index(self) -> ReadIndex: ...

    @property
    def office(self) -> Office: ...

    @property
    def lease_questions(self) -> LeaseQuestions: ...


class Backend:
    """One node, for all its conversations."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._hub = node.hub
        self._pump = node.pump
        self._sleepers: Waiting[tuple[Sleeper, int]] = Waiting()
        """Requests that wait for a rev: (who asked, id)."""
        self.cluster = node.cluster
        self.store = node.store
        self.authorization = Authorization(
            node.machine,
            node.environment.clock_ms,
            lambda: node.readiness.reached,
            lambda: node.office.digest,
        )
        self.reporting = Reporting(lambda: node.audit)
        self.on_rights: list[Callable[[], object]] = []
        """Called when anybody's rights may have changed, or a certificate was taken back."""
        self.passwords = Passwords(node.environment.loop.time)
        self.pages = node.pages
        self.cold_reads = node.cold_reads
        self.shares = node.shares
        self.connections: Collection[largest.Plugged] = ()
        """Of all clients; set by who listens."""
        self.admission = node.admission
        self.readiness = node.readiness
        self.proposer = node.proposer
        self.confirm = node.read_index.ask
        """`confirm(reader)`: `reader(True)` when the store is as new as any was, `reader(False)` if nobody can tell."""
        self.watched_by = node.hub.watched_by
        self.ask_leader = node.lease_questions.ask
        """`ask_leader(verb, arguments, reply)`: have KEEPALIVE or LEASE answered by the leader."""
        self.enrol = Enrolment(lambda: node.office, self.reporting).ask
        """`enrol(message, address, reply)`: answer JOIN, of a machine that is to become a member."""
        self.operate = Admin(node.membership, self._facts, node.audit).request
        """`operate(verb, fields, owner, reply)`: do MEMBERS or ADMIN."""
        node.on_applied, node.on_second = self._applied, self.tick

    @property
    def let_go(self) -> int:
        """See `Maintenance.let_go`."""
        return self._node.maintenance.let_go

    # -- reads ----------------------------------------------------------------------------------------

    def wait(self, message: Message, min_rev: int) -> Wait | None:
        """Return what a read has to wait for, of a client that has seen `min_rev`; None: answer it."""
        at = mode = None
        if message[0] in WITH_AT:
            at = message[AT] if len(message) > AT else None
            mode = message[MODE] if len(message) > MODE else verbs.LINEARIZABLE
        elif message[0] == verbs.ACCESS:
            mode = message[MODE] if len(message) > MODE else verbs.LINEARIZABLE
        elif message[0] == verbs.REV and len(message) > MODE_OF_REV:
            mode = message[MODE_OF_REV]
        rev = self.store.rev
        if type(at) is int and at > rev:
            return UntilRev(at)
        if min_rev > rev:
            return UntilRev(min_rev)
        if at is None and mode != verbs.STALE and not self.readiness.readable:
            return CONFIRMATION
        return None

    def wake_at(self, rev: int, sleeper: Sleeper, request: int) -> None:
        """Wake the sleeper's `request` when the store has reached `rev`."""
        self._sleepers.add((sleeper, request), rev)

    def stop_waiting(self, sleeper: Sleeper, request: int) -> None:
        """The request waits no more."""
        self._sleepers.discard((sleeper, request))

    def _applied(self) -> None:
        if self.authorization.applied():
            self._hub.judge_again()
            for tell in self.on_rights:
                tell()
        if self._sleepers:
            for sleeper, request in self._sleepers.pop_through(self.store.rev):
                sleeper.wake(request)

    def tick(self) -> None:
        """From time to time: what was begun with a token that has expired ends."""
        if self.authorization.tick():
            self._hub.judge_again()

    def forget(self, client: Client, requests: Iterable[int]) -> None:
        """A conversation has ended: its watches go with it, and the requests that wait."""
        self._hub.drop(client)
        for request in requests:
            self.stop_waiting(client, request)
            self.cold_reads.forget(client, request)

    # -- watches --------------------------------------------------------------------------------------

    def watch(self, client: Client, message: Message) -> int | Refusal:
        """Begin a watch; return the first rev that it may deliver, or why not."""
        wrong = self.admission.diverged or fields.length(message, 3, 2 + len(WATCH_DEFAULTS))
        if wrong is not None:
            return wrong
        selector, start, flags, kinds, window = [*message[2:], *WATCH_DEFAULTS[len(message) - 2 :]]
        now = self._node.environment.loop.time()
        first = self._hub.subscribe(client, message[1], selector, start, flags, kinds, window, now)
        self._pump.wake()
        return first

    def unwatch(self, client: Client, watch: int) -> None:
        """End a watch."""
        self._hub.unsubscribe(client, watch)

    def credit(self, client: Client, watch: int, size: Any) -> None:
        """The client has taken so many bytes of a watch."""
        self._hub.credit(client, watch, size)
        self._pump.wake()

    def progress(self, client: Client, watch: int) -> None:
        """The client wants to know how far a watch is."""
        self._hub.progress(client, watch)
        self._pump.wake()

    def resume(self, client: Client) -> None:
        """The client takes bytes again."""
        self._hub.resume(client)
        self._pump.wake()

    # -- the node itself --------------------------------------------------------------------------------

    def welcome(self, limits: Limits, *, unknown: bool = False) -> dict[str, Any]:
        """Return the answer to HELLO. `unknown`: of somebody who may know nothing."""
        return status.welcome(self._node, limits) | (status.UNTOLD if unknown else {})

    def status(self, rows: int = 0) -> dict[str, Any]:
        """Return the answer to STATUS: with `rows`, also so many of the connections, watches, sessions and leases."""
        node = self._node
        told = {**status.status(node), "connections": len(self.connections)}
        if rows:
            now, sessions = node.environment.loop.time(), node.machine.sessions
            told["tables"] = largest.tables(self.connections, self._hub, sessions, self.store, now, rows)
        return told

    def _facts(self) -> dict[str, Any]:
        node = self._node
        return {"cluster": node.cluster, "node": node.me.id, "rev": self.store.rev}
