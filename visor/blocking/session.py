# Generated from visor/aio/session.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""A session: a lease with what is built on it. Locks, semaphores, elections and parties belong to a session.

with client.session(10) as session:
    session.on_change(lambda state: print("session", state))        # connected, suspended, lost, ended
    with session.lock("/locks/db") as lock:
        lock.set("/db/primary", b"me")                        # refused if the lock is not held any more
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from visor._core.backoff import Deadline
from visor._core.log import log
from visor._core.public import public
from visor._core.recipes.lease import LeaseState
from visor.blocking._listeners import Listeners
from visor.blocking.lease import Lease
from visor.blocking.recipes.election import Election
from visor.blocking.recipes.lock import Lock
from visor.blocking.recipes.party import Party
from visor.blocking.recipes.semaphore import Semaphore
from visor.errors import LeaseNotFound, NotFound, Rejected, VisorError

if TYPE_CHECKING:
    from visor.blocking._asks import Asks
    from visor.blocking._keeper import Keeper

LEAST_TIMEOUT = 0.01
MOST_LEFT_AT_ONCE = 64
"""Files that were left behind and are deleted in one look after the session."""


class Held(Protocol):
    """Something whose file the session watches over."""

    def _taken_away(self, path: str) -> None:
        """The file at `path` is not attached to the session's lease any more."""

    def _restore(self, path: str, timeout: float) -> None:
        """Bring it back in `timeout` seconds, where it is of a kind that comes back; called until it is there."""


class Session(Lease):
    """A lease that is kept alive, with recipes; made by `Client.session`.

    While nothing can be heard of the registry it is *suspended*: what it holds is still held, for `time_left` seconds.
    Then it is *lost*, for good: to go on, make another one and acquire again. Listeners and locks learn
    of it at once, without a connection. `lease=session` attaches a file to it.
    """

    _word = "session"

    def __init__(self, client: Asks[Any], lease: int, ttl: float, sent: float, keeper: Keeper | None) -> None:
        self._numbers = count(1)
        self._held: dict[str, Held] = {}
        """What is held, by the path of its file."""
        self._leaving: set[str] = set()
        self._over: Listeners[LeaseState] = Listeners(client.channel.driver)
        super().__init__(client, lease, ttl, sent, keeper)

    # -- recipes --------------------------------------------------------------------------------------
    def lock(self, path: str, *, delay: float = 0.0, data: bytes | None = None) -> Lock:
        """Return a lock on the directory `path`; see `Lock`. It excludes also those of `read_lock`.

        `delay`: seconds for which nobody gets the lock after this holder was lost without releasing it, so that what
        it had sent elsewhere can arrive. `data` is shown to others (default: the client's actor).
        """
        return Lock(self, path, shared=False, delay=delay, data=self._said(data))

    def read_lock(self, path: str, *, data: bytes | None = None) -> Lock:
        """Return a lock on `path` that several may hold at once, but never beside one of `lock`."""
        return Lock(self, path, shared=True, delay=0.0, data=self._said(data))

    def semaphore(self, path: str, limit: int, *, data: bytes | None = None) -> Semaphore:
        """Return a semaphore on the directory `path` that at most `limit` contenders hold at once."""
        return Semaphore(self, path, limit, data=self._said(data))

    def election(self, path: str, data: bytes | None = None) -> Election:
        """Return a candidacy for leadership at the directory `path`; `data` is what the others see of the leader."""
        return Election(self, path, data=self._said(data))

    def party(self, path: str, data: bytes | None = None) -> Party:
        """Return a membership in the directory `path`, where everybody sees who is there."""
        return Party(self, path, data=self._said(data))

    def _said(self, data: bytes | None) -> bytes:
        return self._client.channel.settings.actor.encode() if data is None else data

    def __enter__(self) -> Session:
        return self

    # -- what recipes use -----------------------------------------------------------------------------
    def _contender(self, kind: str) -> str:
        """Return a name that nobody else has: the lease's id in it is the session's own."""
        return f"{kind}{self.id}.{next(self._numbers)}"

    def _on_over(self, listener: Callable[[LeaseState], object]) -> None:
        self._over.add(listener)

    def _off_over(self, listener: Callable[[LeaseState], object]) -> None:
        with contextlib.suppress(ValueError):
            self._over.remove(listener)

    def _ask(self, timeout: float) -> None:
        """Ask the registry whether the session lives; LeaseLost when it does not, and then listeners are told."""
        self.keep_alive(timeout=timeout)

    def _hold(self, path: str, held: Held) -> None:
        self._held[path] = held

    def _let_go(self, path: str) -> None:
        self._held.pop(path, None)

    def _leave_later(self, path: str) -> None:
        """Delete a file that could not be deleted, as soon as that can be done."""
        self._leaving.add(path)

    def _changed(self, state: LeaseState) -> None:
        super()._changed(state)
        if state in (LeaseState.LOST, LeaseState.ENDED):
            self._leaving.clear()  # it went with the lease, or will
            self._over.tell(state)

    def _look_after(self, timeout: float) -> None:
        """See whether what is held is still there, bring back what comes back, and delete what was left behind.

        One that fails stands in nobody's way: each is dealt with by itself, what is held first.
        """
        deadline = self._client.channel.driver.deadline(timeout)
        held = self._held.copy()  # while the answer is under way, some are released, and others acquired
        if held:
            try:
                info = self._client.lease_info(self.id, timeout=timeout)
            except LeaseNotFound:
                self._gone()
                return
            except VisorError as error:
                log.info("session %d: %s", self.id, error)
                return
            for path in held.keys() - set(info.files or ()):
                self._look_after_missing(path, held[path], deadline)
        for path in list(self._leaving)[:MOST_LEFT_AT_ONCE]:
            if not self._delete_left(path, deadline):
                return

    def _look_after_missing(self, path: str, held: Held, deadline: Deadline) -> None:
        try:
            held._taken_away(path)
            held._restore(path, max(LEAST_TIMEOUT, deadline.left()))
        except VisorError as error:
            log.info("session %d: %s", self.id, error)
        except Exception:
            log.exception("session %d: %s cannot be looked after", self.id, path)

    def _delete_left(self, path: str, deadline: Deadline) -> bool:
        """Delete a file that was left behind; false when the registry cannot do it now, nor anything else."""
        try:
            self._client.delete(path, timeout=max(LEAST_TIMEOUT, deadline.left()))
        except NotFound:
            pass
        except Rejected as error:  # nor will it ever
            log.warning("session %d: %s cannot be deleted, it goes with the lease: %s", self.id, path, error)
        except VisorError as error:
            log.info("session %d: %s", self.id, error)
            return False
        self._leaving.discard(path)
        return True


public("visor", Session)
