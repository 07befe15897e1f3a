"""Transactions that happen only while a place is held.

The registry compares a rev, and the rev of the holder's file moves when the holder itself writes it (`proclaim`), also
when the answer to that was lost. So a comparison that fails decides nothing yet: what decides is the file as it was in
that instant, when it was created and which lease it is attached to. If it is still the holder's, the transaction is
made again with the rev that was found, in turn with the other writes of the holder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from visor import guard, op
from visor._core.backoff import Deadline
from visor._drivers.aio.turn import Turn
from visor.aio.recipes._place import Place
from visor.errors import DeadlineExceeded
from visor.guard import Guard
from visor.op import Op
from visor.protocol import verbs
from visor.values import Result

if TYPE_CHECKING:
    from visor.aio._asks import Asks

LOST: Final = "lost"
"""The place is held no more; nothing was done."""
STALE: Final = "stale"
"""The place is held, and its file was written meanwhile; nothing was done."""

Outcome = Result | str


class Guarded:
    """One transaction under the condition that `place` is held; `once` makes one attempt at it."""

    def __init__(
        self,
        client: Asks[Any],
        place: Place,
        guards: Sequence[tuple[str, Guard]],
        then: Sequence[Op],
        orelse: Sequence[Op],
        note: str | None,
        deadline: Deadline,
        seconds: float,
    ) -> None:
        self._client = client
        self._place = place
        self._guards = guards
        self._then = then
        self._orelse = orelse
        self._reads = all(one.kind in (verbs.T_GET, verbs.T_LIST) for one in orelse)
        self._note = note
        self._deadline = deadline
        self._seconds = seconds

    def left(self) -> float:
        """Return the seconds that are left; DeadlineExceeded when there are none."""
        left = self._deadline.left()
        if left <= 0:
            raise DeadlineExceeded(seconds=self._seconds)
        return left

    async def take(self, turn: Turn) -> None:
        """Wait for the turn; DeadlineExceeded when it does not come in time."""
        if not await turn.take(self.left()):
            raise DeadlineExceeded(seconds=self._seconds)

    async def once(self) -> Outcome:
        """Make one attempt: return what came of it, or LOST or STALE."""
        place, rev = self._place, self._place.rev
        # Whether it was the hold that failed is read in the same instant. What `orelse` only reads is read there too;
        # what it writes must not happen without the hold either.
        asked = [op.get(place.path), *(self._orelse if self._reads else ())]
        result = await self._transact((*self._guards, (place.path, guard.rev(rev))), self._then, asked)
        if result.succeeded:
            return result
        mine: Any = result.results[0]
        if not place.holds(mine):
            return LOST
        if mine.mod_rev != rev:
            return STALE
        if self._reads:
            return Result(result.rev, False, result.results[1:])
        return await self._otherwise(result.rev, rev)

    async def _otherwise(self, failed: int, rev: int) -> Outcome:
        """Do `orelse`, provided that the guards fail as they did at the rev `failed`."""
        place = self._place
        unchanged = [(path, guard.since(failed)) for path, _ in self._guards]
        guards = (*unchanged, (place.path, guard.rev(rev)))
        result = await self._transact(guards, self._orelse, [op.get(place.path)])
        if result.succeeded:
            return Result(result.rev, False, result.results)
        return STALE if place.holds(result.results[0]) else LOST

    async def _transact(
        self, guards: Sequence[tuple[str, Guard]], then: Sequence[Op], orelse: Sequence[Op]
    ) -> Result:
        return await self._client.txn(guards, then, orelse, note=self._note, timeout=self.left())
