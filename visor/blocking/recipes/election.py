# Generated from visor/aio/recipes/election.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Elections: many may lead, one does, and everybody sees who.

election = session.election("/leader", b"10.0.0.5:80")
election.run(serve)               # serve() is called while leading, again after every loss of the lead

for leader in election.observe():      # anybody may watch
    print(leader.data if leader else "nobody")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from visor import op
from visor._core.public import public
from visor._core.recipes.holding import check_data, check_directory
from visor._core.recipes.queue import LOCK, Contender
from visor.blocking.recipes._place import standing_at
from visor.blocking.recipes._roll import Roll
from visor.blocking.recipes.lock import Lock

if TYPE_CHECKING:
    from visor.blocking._asks import Asks, Life


class Election(Lock):
    """A candidacy of one session; made by `Session.election`.

    Leading is holding an exclusive lock: everything that a `Lock` has is here, `fence`, `guards`, `on_lost` and `check`
    above all. Used in a `with` block it campaigns at the beginning and resigns at the end.
    """

    _word = "election"

    def __init__(self, session: Life, path: str, *, data: bytes) -> None:
        super().__init__(session, path, shared=False, delay=0.0, data=data)

    def campaign(self, timeout: float | None = None) -> int:
        """Wait until this candidate leads, `timeout` seconds at most (None: for ever), and return the fencing number.

        Raises what `Lock.acquire` raises.
        """
        return self.acquire(timeout)

    def resign(self, *, timeout: float | None = None) -> None:
        """Leave the lead to the next one; RuntimeError when this candidate does not lead."""
        self.release(timeout=timeout)

    def run(self, lead: Callable[[int], Any], timeout: float | None = None) -> Any:
        """Campaign, call `lead(fence)` as the leader, resign, and return what it returned.

        LockLost when the lead was lost meanwhile; `lead` itself looks at `held`, `check` or `on_lost`.
        """
        self.campaign(timeout)
        try:
            result = self._client.channel.driver.outcome(lead(self.fence))
        except BaseException as error:
            self._exit(error)
            raise
        self._exit(None)
        return result

    def proclaim(self, data: bytes, *, timeout: float | None = None) -> int:
        """Change what others see of this leader, and return the rev of that; LockLost when it does not lead any more.

        `guards` that were taken before fail from now on: take them anew. `set` and `txn` know of it.
        """
        place, said = self._held_place(), check_data(data)
        then = [op.set(place.path, said, lease=self._session.id)]
        attempt = self._guarded(place, (), then, (), None, timeout)
        attempt.take(self._turn)
        try:
            rev = self._done(self._result(self._settled(attempt), place))
            place.wrote(rev)
            self._data = said
        finally:
            self._turn.give()
        return rev

    def leader(self, *, timeout: float | None = None) -> Contender | None:
        """Return who leads now; None when nobody stands."""
        return self.leader_at(self._client, self._directory, timeout=timeout)

    @staticmethod
    def leader_at(client: Asks[Any], path: str, *, timeout: float | None = None) -> Contender | None:
        """Return who leads at `path` now, without standing; None when nobody does.

        WrongQueue when something else than an election (or a lock) stands there.
        """
        return _first(standing_at(client, check_directory(path, "election"), LOCK, timeout))

    def observe(self, *, timeout: float | None = None) -> Iterator[Contender | None]:
        """Iterate over the leaders: who leads now, and then every change (another leader, other data, nobody).

        `timeout` is for the beginning; then it waits for ever.
        """
        return self.observe_at(self._client, self._directory, timeout=timeout)

    @staticmethod
    def observe_at(
        client: Asks[Any], path: str, *, timeout: float | None = None
    ) -> Iterator[Contender | None]:
        """Iterate over the leaders at `path` as `observe` does, without standing."""
        roll = Roll(client, check_directory(path, "election"), LOCK, timeout)
        try:
            leader = _first(roll.next())
            yield leader
            while True:
                now = _first(roll.next())
                if now != leader:
                    leader = now
                    yield leader
        finally:
            roll.close()

    def __enter__(self) -> Election:
        self.campaign()
        return self


def _first(standing: list[Contender]) -> Contender | None:
    return standing[0] if standing else None


public("visor", Election)
