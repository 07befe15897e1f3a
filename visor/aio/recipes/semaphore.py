"""A semaphore: at most so many hold it at once, in the order in which they came."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from visor import guard, op, select
from visor._contenders import LIMIT, SLOT, Contender
from visor._public import public
from visor.aio.recipes._holding import Holding
from visor.aio.recipes._place import Patience, Place
from visor.codecs import BYTES
from visor.values import Result

if TYPE_CHECKING:
    from visor.aio.session import Session


class Semaphore(Holding):
    """One of `limit` slots of a directory; made by `Session.semaphore`.

    All contenders must name the same limit (ValueError); the first one's is kept in the directory. One object is one
    contender, as for a lock. A slot's fencing number is higher than those of all who came before.
    """

    _word = "semaphore"

    def __init__(self, session: Session, path: str, limit: int, *, data: bytes) -> None:
        if limit < 1:
            raise ValueError(f"a semaphore has one slot at least, not {limit}")
        super().__init__(session, path, data)
        self._kind = SLOT
        self._limit = limit

    @property
    def limit(self) -> int:
        """How many may hold it at once."""
        return self._limit

    def _free(self, queue: Sequence[Contender]) -> bool:
        return len(queue) < self._limit

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
            ahead = {one.path for one in queue if one.fence < place.fence}
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
        """Set the limit if nobody has, or find that it is another one."""

        async def request(timeout: float) -> Result:
            return await self._client.txn(
                {agreed: guard.missing()},
                then=[op.set(agreed, b"%d" % self._limit)],
                orelse=[op.get(agreed)],
                codec=BYTES,
                timeout=timeout,
            )

        result = await patience.do(request)
        if not result.succeeded:
            found = getattr(result.results[0], "data", b"")
            if found != b"%d" % self._limit:
                shown = found.decode("utf-8", "replace")
                raise ValueError(
                    f"{self._directory}: the others hold a semaphore of {shown}, not of {self._limit}"
                )

    async def __aenter__(self) -> Semaphore:
        await self.acquire()
        return self


public("visor.aio", Semaphore)
