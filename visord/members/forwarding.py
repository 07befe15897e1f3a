"""Writes of replicas on their way to the leader and into its log. See `proposer` for the whole picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from visor.protocol.frames import Message
from visor.protocol.verbs import WRITES
from visord.peers import messages as msg
from visord.peers.messages import Handler
from visord.proposer import HOLD_SECONDS, LOST, Batch, Proposer
from visord.state.command import WRITE_WEIGHT, too_deep, well_formed
from visord.state.formats import FORMAT, OLDEST, OWNERS
from visord.state.refusal import NOT_LEADER, Refusal, bad_request

NO_GROUP: Final = bad_request("group", "[number, session, actor, writes, owner]", [])
NEVER_ACCEPTED: Final = frozenset({"not_leader", "closing"})
"""Refusals by a leader after which the next one is simply asked."""


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def leader(self) -> str | None: ...

    @property
    def is_leader(self) -> bool: ...

    def applies_long(self, index: int, /) -> None: ...


class Remote:
    """The author of a batch that came from another node: it takes the outcomes from its own apply."""

    __slots__ = ("member", "number", "placed", "send")

    def __init__(self, member: str, number: int, send: Callable[[str, list[Any]], bool]) -> None:
        self.member = member
        self.number = number
        self.send = send
        self.placed = False

    def complete(self, frames: list[Message], outcomes: list[Any]) -> None:
        """Nothing: the other node applies the same entry."""

    def fail(self, frames: list[Message], refusal: Refusal) -> None:
        """Tell that the batch will not get a place."""
        # Once it has a place, the other node's own apply tells what became of it: told that it was refused, that node
        # would try again what may have happened.
        if not self.placed:
            self.placed = True
            answer = [msg.REFUSED, [self.number], refusal.code, refusal.text, refusal.details]
            self.send(self.member, answer)


class Forwarding:
    """The route of writes, both ends: what this node sent to a leader, and what others send to this one.

    Batches are numbered from behind `first_id`, which no other life of this node has: a leader may still answer those.
    `reads(member)`: the format of commands that it reads, see `formats`.
    """

    def __init__(
        self,
        consensus: Consensus,
        send: Callable[[str, list[Any]], bool],
        time: Callable[[], float],
        first_id: int,
        reads: Callable[[str], int] = lambda member: FORMAT,
    ) -> None:
        self._consensus = consensus
        self._send = send
        self._time = time
        self._reads = reads
        self._last = first_id
        self._sent: dict[int, tuple[str, Batch]] = {}
        """Batches that no place is known of: number -> (the leader, batch)."""
        self._sent_at = 0.0
        self.proposer: Proposer
        """Whose route this is."""

    @property
    def handlers(self) -> dict[int, Handler]:
        """What is heard here, by kind."""
        return {
            msg.FORWARD: self.on_forward,
            msg.PLACED: self.on_placed,
            msg.REFUSED: self.on_refused,
        }

    # -- the route --------------------------------------------------------------------------------------

    def leads(self) -> bool:
        """This node is the leader: it proposes by itself."""
        return self._consensus.is_leader

    def forward(self, batches: list[Batch]) -> bool:
        """Send batches to the leader; false when there is none, or it cannot be reached."""
        leader = self._consensus.leader
        return leader is not None and self._dispatch(leader, batches)

    def placed(self, batches: list[Batch], index: int, term: int) -> None:
        """The batches of a command have a place: tell those that came from elsewhere."""
        places: dict[str, list[list[int]]] = {}
        for position, batch in enumerate(batches):
            author = batch.author
            if type(author) is Remote:
                author.placed = True
                places.setdefault(author.member, []).append([author.number, index, term, position])
        for member, rows in places.items():
            self._send(member, [msg.PLACED, rows])

    def applies_long(self, index: int) -> None:
        """The members hear of the commit of this entry before it is applied here."""
        self._consensus.applies_long(index)

    # -- as replica -----------------------------------------------------------------------------------

    def _dispatch(self, leader: str, batches: list[Batch]) -> bool:
        rows = []
        fields = 4 if self._reads(leader) >= OWNERS else 3  # a leader of the older version knows no owners
        for batch in batches:
            self._last += 1
            rows.append([self._last, *batch.content[:fields]])
        if not self._send(leader, [msg.FORWARD, rows]):
            return False  # and remembers nothing: what was not sent cannot have been accepted
        for row, batch in zip(rows, batches, strict=True):
            self._sent[row[0]] = (leader, batch)
        self._sent_at = self._time()
        return True

    def tick(self) -> None:
        """From time to time: an answer that is so late will not come."""
        if self._sent and self._time() - self._sent_at > HOLD_SECONDS:
            self.lose()

    @property
    def outstanding(self) -> list[tuple[str, Batch]]:
        """The batches that no place is known of: (the leader they were sent to, batch)."""
        return list(self._sent.values())

    def on_placed(self, member: str, message: list[Any]) -> None:
        """The leader tells where batches are in its log."""
        for row in message[1]:
            batch = self._take(member, row[0])
            if batch is not None:
                self.proposer.expect(row[1], row[2], row[3], batch)
        self._go_on()

    def on_refused(self, member: str, message: list[Any]) -> None:
        """The leader did not accept batches."""
        _, numbers, code, text, details = message[:5]
        batches = [batch for number in numbers if (batch := self._take(member, number)) is not None]
        if code in NEVER_ACCEPTED:
            self.proposer.requeue(batches)
        else:
            for batch in batches:
                batch.author.fail(batch.frames, Refusal(code, text, details))
        self._go_on()

    def _take(self, member: str, number: int) -> Batch | None:
        known = self._sent.get(number)
        if known is None or known[0] != member:
            return None  # given up meanwhile, or from a member that was not asked
        del self._sent[number]
        return known[1]

    def _go_on(self) -> None:
        if not self._sent:
            self.proposer.synced()

    def lose(self, member: str | None = None) -> None:
        """What this member (None: anybody) was sent is not known of any more: it may have been accepted."""
        lost = [number for number, (leader, _) in self._sent.items() if member in (None, leader)]
        if not lost:
            return
        for number in lost:
            # Never sent again from here: it may be in that leader's log. The client may, under its session.
            batch = self._sent.pop(number)[1]
            batch.author.fail(batch.frames, LOST)
        self._go_on()

    # -- as leader ------------------------------------------------------------------------------------

    def on_forward(self, member: str, message: list[Any]) -> None:
        """A replica sends batches."""
        rows = message[1]
        if not self.leads():
            self._refuse(member, rows, NOT_LEADER._replace(details={}))
            return
        named = self.proposer.form() != OLDEST
        if not named:  # members of the older version know no owners
            rows = [[*row, ""] if len(row) == 4 else row for row in rows]
        odd: list[list[Any]] = []
        batches: list[Batch] = []
        for row in rows:
            if not _is_batch(row) or (named and not row[4]):
                odd.append(row)
                continue
            refusal = self.proposer.refusal(row[4])
            if refusal is None:
                # `whole`: PLACED can name one place, and the other node finds its outcomes by that.
                author = Remote(member, row[0], self._send)
                batches.append(Batch(author, row[1:], row[3], _weight(row[3]), whole=True))
            else:
                self._refuse(member, [row], refusal)
        self._refuse(member, odd, NO_GROUP)
        self.proposer.submit_batches(batches)

    def _refuse(self, member: str, rows: list[Any], refusal: Refusal) -> None:
        numbers = [row[0] for row in rows]
        if not numbers:
            return
        self._send(member, [msg.REFUSED, numbers, refusal.code, refusal.text, refusal.details])


def _is_batch(row: list[Any]) -> bool:
    """Tell whether a row is a batch as a door makes them. To be a member is no licence: nothing else is logged.

    What is in nobody's name may do everything: where owners are known it is the leader's alone, and no batch of a door.
    """
    return len(row) == 5 and well_formed(*row[1:]) and all(map(_is_write, row[3]))


def _is_write(frame: Any) -> bool:
    """Tell whether a client may have asked for this. That a lease has ended is proposed by who measured it alone."""
    return (
        type(frame) is list
        and len(frame) > 0
        and type(frame[0]) is int
        and frame[0] in WRITES
        and not too_deep(frame)
    )


def _weight(frames: list[Any]) -> int:
    """Return about how many bytes these writes were."""
    size = 0
    for frame in frames:
        size += WRITE_WEIGHT
        if type(frame) is list and len(frame) > 4 and type(frame[4]) is bytes:
            size += len(frame[4])
    return size
