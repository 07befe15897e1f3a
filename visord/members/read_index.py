"""Linearizable reads at any node: who waits, whom to ask, and when the answer may be given.

    at the leader     ask -- engine.confirm (a round) -------------------------> index applied? -- callback(True)
    at a replica      ask -- READ_INDEX -> leader's round -> READ_AT index ----> index applied? -- callback(True)

All reads that were asked in one turn of the loop share one confirmation. One that fails, because the leader changed or
is away, is asked again of the next leader until it has waited too long: then `callback(False)`, "no quorum".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from visord.members.owed import Owed
from visord.peers import messages as msg
from visord.peers.messages import Handler
from visord.waiting import Waiting

Reader: TypeAlias = Callable[[bool], None]

PATIENCE_SECONDS: Final = 2.0
"""How long a read waits for somebody who can confirm it."""
MAX_ASKED: Final = 2
"""Questions to the leader that are under way; what comes meanwhile shares the next one."""
MAX_OWED: Final = 8 * MAX_ASKED
"""Questions of one replica that wait for their answer here, those that it has given up among them."""


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def leader(self) -> str | None: ...

    @property
    def is_leader(self) -> bool: ...

    def confirm(self, callback: Callable[[int | None], None], /) -> None: ...


class _Batch:
    __slots__ = ("deadline", "leader", "readers")

    def __init__(self, deadline: float, readers: list[Reader]) -> None:
        self.deadline = deadline
        self.readers = readers
        self.leader = ""


class ReadIndex:
    """The reads of one node that wait for a confirmation.

    Questions are numbered from behind `first`, which no other life of this node has: an answer to those would be older.
    """

    def __init__(
        self,
        consensus: Consensus,
        say: Callable[[str, list[Any]], bool],
        applied: Callable[[], int],
        time: Callable[[], float],
        soon: Callable[[Callable[[], None]], object],
        first: int,
    ) -> None:
        self._consensus = consensus
        self._say = say
        self._applied = applied
        self._time = time
        self._soon = soon
        self._owed = Owed(MAX_OWED)
        self._new: list[Reader] = []
        self._scheduled = False
        self._stuck: list[_Batch] = []
        """Nobody could be asked."""
        self._asked: dict[int, _Batch] = {}
        self._last = first
        self._sleepers: Waiting[_Batch] = Waiting()
        """Confirmed, but not applied here yet."""

    @property
    def handlers(self) -> dict[int, Handler]:
        """What is heard here, by kind."""
        return {
            msg.READ_INDEX: self.on_read_index,
            msg.READ_AT: self.on_read_at,
        }

    def ask(self, reader: Reader) -> None:
        """Call `reader(True)` when the store is at least as new as it was anywhere when this was called."""
        self._new.append(reader)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._soon(self._go)

    def _go(self) -> None:
        self._scheduled = False
        if self._new and len(self._asked) < MAX_ASKED:
            readers, self._new = self._new, []
            self._start(_Batch(self._time() + PATIENCE_SECONDS, readers))

    def _start(self, batch: _Batch) -> None:
        consensus = self._consensus
        self._last += 1
        number = self._last
        leader = consensus.leader
        if leader is None:
            self._stuck.append(batch)
            return
        self._asked[number] = batch
        batch.leader = leader
        if consensus.is_leader:
            consensus.confirm(lambda index: self._confirmed(number, index))
        elif not self._say(leader, [msg.READ_INDEX, number]):
            self._confirmed(number, None)

    def _confirmed(self, number: int, index: int | None) -> None:
        batch = self._asked.pop(number, None)
        if batch is None:
            return
        if index is None:
            self._stuck.append(batch)
        elif index <= self._applied():
            _answer(batch, True)
        else:
            self._sleepers.add(batch, index)
        if self._new:
            self._schedule()

    def applied(self, index: int) -> None:
        """The store stands at `index` now."""
        if self._sleepers:
            for batch in self._sleepers.pop_through(index):
                _answer(batch, True)

    def tick(self) -> None:
        """From time to time: ask again what could not be asked, give up what waited too long."""
        now = self._time()
        for number, batch in list(self._asked.items()):
            if batch.deadline <= now or batch.leader != self._consensus.leader:
                self._confirmed(number, None)  # the answer will not come, or means nothing any more
        stuck, self._stuck = self._stuck, []
        for batch in stuck:
            if batch.deadline <= now:
                _answer(batch, False)
            else:
                self._start(batch)

    def abandon(self) -> None:
        """The node stops: nobody gets an answer any more."""
        batches = [*self._asked.values(), *self._stuck, _Batch(0.0, self._new)]
        self._asked, self._stuck, self._new = {}, [], []
        for batch in batches:
            _answer(batch, False)

    # -- what members say -----------------------------------------------------------------------------

    def on_read_index(self, member: str, message: list[Any]) -> None:
        """A replica asks, as leader."""
        number = message[1]
        if self._owed.begin(member):
            self._consensus.confirm(lambda index: self._say_index(member, number, index))
        else:
            self._say(member, [msg.READ_AT, number, None])  # it asks again

    def _say_index(self, member: str, number: int, index: int | None) -> None:
        self._owed.end(member)
        self._say(member, [msg.READ_AT, number, index])

    def on_read_at(self, member: str, message: list[Any]) -> None:
        """The leader answers."""
        _, number, index = message[:3]
        batch = self._asked.get(number)
        if batch is not None and batch.leader == member and (index is None or type(index) is int):
            self._confirmed(number, index)


def _answer(batch: _Batch, yes: bool) -> None:
    readers, batch.readers = batch.readers, []
    for reader in readers:
        reader(yes)
