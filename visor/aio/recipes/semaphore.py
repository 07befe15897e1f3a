"""A semaphore: at most so many hold it at once, in the order in which they came."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING

from visor import guard, op, select
from visor._core.public import public
from visor._core.recipes.queue import LIMIT, SEMAPHORE, SLOT, Contender, queue_at, told
from visor.aio.recipes._holding import Holding
from visor.aio.recipes._place import Patience, Place, files_in
from visor.aio.snapshot import File
from visor.codecs import BYTES
from visor.errors import WrongQueue
from visor.values import Result

if TYPE_CHECKING:
    from visor.aio._asks import Life


class Semaphore(Holding):
    """One of `limit` slots of a directory; made by `Session.semaphore`.

    All contenders must name the same limit (WrongQueue); it is kept in the directory, and forgotten when nobody stands
    there any more. One object is one contender, as for a lock. A slot's fencing number is higher than those of all who
    came before.
    """

    _word = "semaphore"

    def __init__(self, session: Life, path: str, limit: int, *, data: bytes) -> None:
        super().__init__(session, path, data)
        self._kind = SLOT
        self._limit = _slots(limit)

    @property
    def limit(self) -> int:
        """How many may hold it at once."""
        return self._limit

    def _free(self, queue: Sequence[Contender]) -> bool:
        return len(queue) < self._limit

    def _holders(self, queue: Sequence[Contender]) -> list[Contender]:
        return list(queue[: self._limit])

    async def _take(self, place: Place, patience: Patience, *, wait: bool) -> bool:
        agreed = f"{self._directory}/{LIMIT}"
        while True:
            try:
                await place.enter(patience, ((agreed, guard.data(b"%d" % self._limit)),))
                break
            except LookupError:
                await self._agree(agreed, patience)
        while True:
            rev, queue, _ = await place.look(patience)  # raises if this contender was taken out meanwhile
            before = [one for one in queue if one.fence < place.fence]
            patience.meet(self._holders(before), before)
            ahead = {one.path for one in before}
            if len(ahead) < self._limit:
                return True
            if not wait:
                return False
            await self._wait_gone(place, ahead, rev, patience)

    async def _wait_gone(self, place: Place, ahead: set[str], rev: int, patience: Patience) -> None:
        """Wait until enough of those ahead are gone; it may return before."""

        # Any of them may go first, so all of them are watched: by their going alone, without reading again.
        def gone(path: str) -> bool:
            ahead.discard(path)
            return len(ahead) >= self._limit

        await place.follow(select.children(self._directory), rev, patience, gone)

    async def _agree(self, agreed: str, patience: Patience) -> None:
        """Set the limit if nobody has, or if it is that of others who are all gone.

        WrongQueue if they are there, or if it is the queue of something else. A faster contender is found when this
        contender tries again.
        """

        async def look(timeout: float) -> list[File[bytes]]:
            return await files_in(self._client, self._directory, timeout)

        files = await patience.do(look)
        standing = queue_at(self._directory, files, SEMAPHORE)
        found = next((file for file in files if file.path == agreed), None)
        text = b"%d" % self._limit
        if found is not None and found.data == text:
            return
        if found is not None and standing:
            raise self._other_limit(found.data, standing)
        # A limit that nobody uses is replaced, unless anybody comes meanwhile.
        guards = {agreed: guard.missing()} if found is None else {self._directory: guard.since(found.rev)}

        async def set_it(timeout: float) -> Result:
            return await self._client.txn(guards, then=[op.set(agreed, text)], codec=BYTES, timeout=timeout)

        await patience.do(set_it)

    def _other_limit(self, found: bytes, standing: Sequence[Contender]) -> WrongQueue:
        shown = found.decode("utf-8", "replace")
        return WrongQueue(
            f"{self._directory}: the others hold a semaphore of {shown}, not of {self._limit}: {told(standing)}",
            path=self._directory,
            wanted=f"a semaphore of {self._limit}",
            found=f"a semaphore of {shown}",
        )

    async def __aenter__(self) -> Semaphore:
        await self.acquire()
        return self


def _slots(limit: object) -> int:
    """Return the limit; TypeError when it is no whole number, ValueError when it is none of a semaphore."""
    try:
        slots = operator.index(limit)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"a semaphore's limit must be a whole number of slots, not {limit!r}") from None
    if slots < 1:
        raise ValueError(f"a semaphore has one slot at least, not {slots}")
    return slots


public("visor.aio", Semaphore)
