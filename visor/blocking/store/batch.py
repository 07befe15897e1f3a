# Generated from visor/aio/store/batch.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Many updates in few transactions of bounded size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from visor._core.public import public
from visor._core.store.transaction import Claims, Transaction
from visor.errors import Conflict

if TYPE_CHECKING:
    from visor._drivers.blocking.driver import Driver
    from visor.blocking._channel import Channel

T = TypeVar("T")

CHANGES = 200
"""Objects that one transaction of a batch writes, unless a single update writes more."""
BYTES = 3 << 20
"""Three quarters of what the registry takes in one transaction."""


class Transacts(Protocol):
    """A store, as far as its transactions are made and committed here."""

    _driver: Driver
    _channel: Channel[Any]

    @property
    def version(self) -> int:
        """The rev at which its copy equals the registry."""

    def _transaction(self) -> Transaction:
        """Begin one."""

    def _commit(
        self, tx: Transaction, known: Claims, note: str | None, timeout: float | None
    ) -> Claims | None:
        """Commit one; return None when that is done, otherwise what the claims in question really are."""


class Batcher:
    """What `Store.batch` hands to its body; for one thread."""

    def __init__(
        self, store: Transacts, note: str | None, timeout: float | None, most: int = CHANGES
    ) -> None:
        self._store = store
        self._note = note
        self._timeout = timeout
        self._most = most
        self._tx: Transaction | None = None
        self._bodies: list[Callable[[Transaction], Any]] = []
        """What the open transaction consists of, to be run again after a conflict."""
        self.versions: list[int] = []
        """The versions that have been committed so far."""

    def update(self, body: Callable[[Transaction], T | T]) -> T:
        """Call `body(tx)` and return its result; what it wrote is committed with what comes before and after.

        `body` may be called again, as that of `Store.update`. What it raises is raised here, and leaves
        nothing of this update behind; the batch can go on.
        """
        result = self._run(body)
        assert self._tx is not None
        if self._tx.changes >= self._most or self._tx.size >= BYTES:
            self.flush()
        return result

    def _run(self, body: Callable[[Transaction], T | T]) -> T:
        tx = self._tx = self._tx or self._store._transaction()
        point = tx.save_point()
        tx.begin()
        try:
            result: Any = self._store._driver.outcome(body(tx))
        except BaseException:
            tx.roll_back(point)
            raise
        finally:
            tx.end()
        if self._bodies and (tx.changes > self._most or tx.size > BYTES):
            # Together they would be too large: this one begins the next transaction.
            tx.roll_back(point)
            self.flush()
            return self._run(body)
        self._bodies.append(body)
        return result  # type: ignore[no-any-return]

    def flush(self) -> None:
        """Commit what is open; again with the new state while others change what it read. Conflict."""
        timeout = self._store._channel.shared(self._timeout)
        pause = self._store._driver.pauses(timeout)
        known: Claims | None = {}
        while self._tx is not None and known is not None:
            tx = self._tx
            tx.end()
            known = self._store._commit(tx, known, self._note, timeout)
            if known is None:
                break
            if not pause.next():
                raise Conflict(f"others kept changing what the batch read, until rev {self._store.version}")
            self._tx = again = self._store._transaction()
            for body in self._bodies:
                self._store._driver.outcome(body(again))
        if self._tx is not None and self._tx.committed is not None:
            self.versions.append(self._tx.committed)
        self._tx = None
        self._bodies = []

    def __repr__(self) -> str:
        open_ = 0 if self._tx is None else self._tx.changes
        return f"<store batch, {len(self.versions)} transactions committed, {open_} changes open>"


public("visor.store", Batcher)
