"""Locks: exclusive or shared, fair, and honest about being lost.

    lock = session.lock("/locks/db")
    fence = await lock.acquire(timeout=30)      # or: async with lock
    await lock.set("/db/primary", b"me")        # refused with LockLost when it is not held any more
    storage.write(data, fence)                  # a store that refuses numbers below the highest it has seen
    await lock.release()

See `_holding.py` for why a lock alone is not enough.
"""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from visor import guard, op
from visor._core.public import public
from visor._core.recipes.queue import (
    DELAY,
    EXCLUSIVE,
    SHARED,
    Contender,
    blocker,
    delay_text,
    holders,
    read_delay,
)
from visor.aio.recipes._holding import Holding
from visor.aio.recipes._place import Patience, Place
from visor.aio.snapshot import File
from visor.codecs import BYTES
from visor.errors import VisorError
from visor.values import Result

if TYPE_CHECKING:
    from visor.aio._asks import Life


class Lock(Holding):
    """A lock of one session; made by `Session.lock` and `read_lock`.

    One object is one contender: it cannot be acquired twice at once (RuntimeError), also not by another thread or task;
    each makes its own. Those that wait are served in the order in which they came. A `with` block that ends after the
    lock was lost raises LockLost.
    """

    _word = "lock"

    def __init__(self, session: Life, path: str, *, shared: bool, delay: float, data: bytes) -> None:
        super().__init__(session, path, data)
        if not isinstance(delay, int | float) or not 0 <= delay < math.inf:
            raise ValueError(f"a lock's delay must be seconds, 0 or more, not {delay!r}")
        self._kind = SHARED if shared else EXCLUSIVE
        self._shared = shared
        self._delay = delay
        self._marked = False

    def _free(self, queue: Sequence[Contender]) -> bool:
        return all(one.shared and self._shared for one in queue)

    def _holders(self, queue: Sequence[Contender]) -> list[Contender]:
        return holders(queue)

    async def _take(self, place: Place, patience: Patience, *, wait: bool) -> bool:
        self._marked = False
        if await place.enter(patience) and await self._mark(place, patience, None):
            return True
        while True:
            rev, queue, marks = await place.look(patience)
            mine = next(one for one in queue if one.path == place.path)
            before, pause = blocker(queue, mine), _pending(queue, marks)
            ahead = [one for one in queue if one.fence < mine.fence] if before is not None else []
            patience.meet(self._holders(ahead), ahead, pause)
            if not wait and (before is not None or pause):
                return False
            if before is not None:
                await place.wait_gone(before.path, rev, patience)
                continue
            if pause:
                await self._sleep(pause, patience)
            if await self._mark(place, patience, marks.get(DELAY)):
                return True

    async def _sleep(self, seconds: float, patience: Patience) -> None:
        wait = patience.wait()
        await self._session.wait_over(seconds if wait is None else min(wait, seconds))
        patience.left()  # raises when that was all the time there was

    async def _mark(self, place: Place, patience: Patience, found: File[bytes] | None) -> bool:
        """Leave word of this holder's delay, or take that of a former one away. False: look again."""
        if not self._delay and found is None:
            return True
        mark = f"{self._directory}/{DELAY}"
        guards = {place.path: guard.rev(place.rev)}
        if found is not None:
            guards[mark] = guard.rev(found.mod_rev)
        text = delay_text(place.name, self._delay)
        then = [op.set(mark, text) if self._delay else op.delete(mark)]

        async def request(timeout: float) -> Result:
            return await self._client.txn(guards, then=then, codec=BYTES, timeout=timeout)

        result = await patience.do(request)
        self._marked = result.succeeded and bool(self._delay)
        return result.succeeded

    async def _leave(self, place: Place, timeout: float | None) -> None:
        if self._marked and not self._session.over:
            mark = f"{self._directory}/{DELAY}"
            guards = {place.path: guard.exists(), mark: guard.data(delay_text(place.name, self._delay))}
            try:
                then = [op.delete(mark), op.delete(place.path)]
                if (await self._client.txn(guards, then=then, timeout=timeout)).succeeded:
                    return
            except VisorError:
                pass  # at worst the next one waits once for nothing
        await place.leave(timeout=timeout)

    async def __aenter__(self) -> Lock:
        await self.acquire()
        return self


def _pending(queue: Sequence[Contender], marks: Mapping[str, File[bytes]]) -> float:
    """Return how long to wait for the sake of a holder that went without releasing."""
    mark = marks.get(DELAY)
    name, seconds = read_delay(mark.data) if mark is not None else ("", 0.0)
    return 0.0 if any(one.name == name for one in queue) else seconds


public("visor.aio", Lock)
