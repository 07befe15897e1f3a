# Generated from visor/aio/recipes/semaphore.py by tests/hygiene/unasync.py.
"""A semaphore: at most so many hold it at once, in the order in which they came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from visor import guard, op, select
from visor._contenders import LIMIT, SLOT, Contender
from visor._public import public
from visor.blocking.recipes._holding import Holding
from visor.blocking.recipes._place import Patience, Place
from visor.codecs import BYTES
from visor.values import Result

if TYPE_CHECKING:
    from visor.blocking.session import Session


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

    def _take(self, place: Place, patience: Patience, *, wait: bool) -> bool:
        agreed = f"{self._directory}/{LIMIT}"
        while True:
            try:
                place.enter(patience, ((agreed, guard.data(b"%d" % self._limit)),))
                break
            except LookupError:
                self._agree(agreed, patience)
        while True:
            rev, queue, _ = place.look(patience)  # raises if this contender was taken out meanwhile
            ahead = {one.path for one in queue if one.fence < place.fence}
            if len(ahead) < self._limit:
                return True
            if not wait:
                return False
            self._wait_gone(place, ahead, rev, patience)

    def _wait_gone(self, place: Place, ahead: set[str], rev: int, patience: Patience) -> None:
        """Wait until enough of those ahead are gone; it may return before."""

        # Any of them may go first, so all of them are watched: by their going alone, without reading again.
        def gone(path: str) -> bool:
            ahead.discard(path)
            return len(ahead) >= self._limit

        place.follow(select.children(self._directory), rev, patience, gone)

    def _agree(self, agreed: str, patience: Patience) -> None:
        """Set the limit if nobody has, or find that it is another one."""

        def request(timeout: float) -> Result:
            return self._client.txn(
                {agreed: guard.missing()},
                then=[op.set(agreed, b"%d" % self._limit)],
                orelse=[op.get(agreed)],
                codec=BYTES,
                timeout=timeout,
            )

        result = patience.do(request)
        if not result.succeeded:
            found = getattr(result.results[0], "data", b"")
            if found != b"%d" % self._limit:
                shown = found.decode("utf-8", "replace")
                raise ValueError(
                    f"{self._directory}: the others hold a semaphore of {shown}, not of {self._limit}"
                )

    def __enter__(self) -> Semaphore:
        self.acquire()
        return self


public("visor", Semaphore)
