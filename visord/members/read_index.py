"""Linearizable reads at any node: who waits, and when the answer may be given.

    at the leader     ask -- engine.confirm (a round) -------------------------> index applied? -- callback(True)
    at a replica      ask -- READ_INDEX -> leader's round -> READ_AT index ----> index applied? -- callback(True)

All reads that were asked in one turn of the loop share one call of the leader (`leader_calls`). One that fails, because
the leader changed or is away, is made again of the next leader until it has waited too long: then `callback(False)`,
"no quorum".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

from visord.members.leader_calls import CallKind, Fields, LeaderCalls
from visord.members.leader_calls import Consensus as Leadership
from visord.peers import messages as msg
from visord.peers.messages import Handler
from visord.state.refusal import Refusal
from visord.waiting import Waiting

NO_QUORUM: Final = Refusal("no_quorum", "no leader confirms that this node is current", {})
"""What a read is told that waited too long for a confirmation."""

Reader: TypeAlias = Callable[[bool], None]

PATIENCE_SECONDS: Final = 2.0
"""How long a read waits for a leader that can confirm it."""
MAX_ASKED: Final = 2
"""Calls of the leader that are under way; what comes meanwhile shares the next one."""
MAX_OWED: Final = 8 * MAX_ASKED
"""Calls of one replica that wait for their answer here, those that it has given up among them."""


class Consensus(Leadership, Protocol):
    """What of the engine is used."""

    def confirm(self, callback: Callable[[int | None], None], /) -> None: ...


class _Readers:
    """Reads that are confirmed and wait for the index. Compared by identity."""

    __slots__ = ("readers",)

    def __init__(self, readers: list[Reader]) -> None:
        self.readers = readers


class ReadIndex:
    """The reads of one node that wait for a confirmation."""

    def __init__(
        self,
        consensus: Consensus,
        send: Callable[[str, list[Any]], bool],
        applied: Callable[[], int],
        time: Callable[[], float],
        soon: Callable[[Callable[[], None]], object],
        first_id: int,
    ) -> None:
        self._consensus = consensus
        self._applied = applied
        self._time = time
        self._soon = soon
        self._new: list[Reader] = []
        self._scheduled = False
        kind = CallKind(
            msg.READ_INDEX,
            msg.READ_AT,
            self._serve,
            again=lambda fields: fields[0] is None,
            most=MAX_OWED,
            overloaded=(None,),  # it asks again
        )
        self._calls = LeaderCalls(kind, consensus, send, time, first_id, freed=self._go_on)
        self.handlers: dict[int, Handler] = self._calls.handlers
        self._sleepers: Waiting[_Readers] = Waiting()
        """Confirmed, but not applied here yet."""

    def ask(self, reader: Reader) -> None:
        """Call `reader(True)` when the store is at least as new as it was anywhere when this was called."""
        # Not at once: all reads of this turn share a call, and a call vouches only for those that came before it.
        self._new.append(reader)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._soon(self._go)

    def _go(self) -> None:
        self._scheduled = False
        if self._new and self._calls.under_way < MAX_ASKED:
            readers, self._new = self._new, []
            deadline = self._time() + PATIENCE_SECONDS
            self._calls.ask([], partial(self._confirmed, readers), deadline)

    def _go_on(self) -> None:
        """Fewer calls are under way: what came meanwhile may have the next one."""
        if self._new:
            self._schedule()

    def _serve(self, member: str, fields: Fields, reply: Callable[[Fields], None]) -> None:
        """Answer as the leader; None where this node does not lead."""
        self._consensus.confirm(lambda index: reply([index]))

    def _confirmed(self, readers: list[Reader], fields: Fields | None) -> None:
        index = None if fields is None else fields[0]
        if index is None:
            _answer(readers, False)
        elif index <= self._applied():
            _answer(readers, True)
        else:  # the leader is confirmed, but this node is not as far as it was then
            self._sleepers.add(_Readers(readers), index)
        if self._new:
            self._schedule()

    def applied(self, index: int) -> None:
        """The store stands at `index` now."""
        if self._sleepers:
            for confirmed in self._sleepers.pop_through(index):
                _answer(confirmed.readers, True)

    def tick(self) -> None:
        """From time to time: ask again what could not be asked, give up what waited too long."""
        self._calls.tick()

    def abandon(self) -> None:
        """The node stops: no read gets an answer any more."""
        new, self._new = self._new, []
        self._calls.abandon()
        _answer(new, False)


def _answer(readers: list[Reader], yes: bool) -> None:
    for reader in readers:
        reader(yes)
