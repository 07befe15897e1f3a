"""What a typed store knows without asking: its objects of now, what is damaged, what a command takes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, TypeVar, cast

from visor._core.following.cache import Cache, View
from visor._core.following.delta import Batch
from visor._core.following.staleness import Staleness
from visor._core.handles import BaseFile
from visor._core.store import archive
from visor._core.store.by import By
from visor._core.store.damage import Damaged
from visor._core.store.reading import Reading
from visor._core.store.record import Record
from visor._core.store.tables import Tables
from visor._core.store.transaction import Command, Transaction
from visor.errors import TooLarge, VisorError
from visor.protocol.limits import DEFAULT

R = TypeVar("R", bound=Record)


class Copied(Protocol):
    """The local copy that a store stands on."""

    cache: Cache[Record]
    error: VisorError | None

    @property
    def rev(self) -> int:
        """The rev at which it equals the registry."""

    @property
    def staleness(self) -> Staleness:
        """How old it may be."""

    def view(self) -> View[Record]:
        """Return it as it is now, held still."""


class BaseStore:
    """The objects of now."""

    _local_copy: Copied
    _tables: Tables
    _decode_present: Callable[[str, list[Any]], Record | None]

    def __init__(self, root: str, now: Callable[[], datetime]) -> None:
        self._root = root.rstrip("/")
        self._now = now
        self._damaged: dict[str, Damaged] = {}

    def _make(self, path: str, rev: int, version: list[Any]) -> Record | None:
        return self._decode_present(path, version)

    def _forget(self, path: str | None) -> None:
        """A file is gone, or a whole state comes: then what is damaged is found out anew."""
        if path is None:
            self._damaged.clear()
        else:
            self._damaged.pop(path, None)

    def _moved(self, batch: Batch[Record]) -> None:
        self._tables.move(batch)

    def snapshot(self) -> Reading:
        """Return the objects as they are now, held still as long as the result is kept."""
        return Reading(self._local_copy.view(), self._tables)

    def get(self, kind: type[R], id: str) -> R | None:
        """Return the object, None when there is none."""
        path = f"{self._tables.of(kind).directory}/{id}"
        return cast("R | None", self._local_copy.cache.entries.get(path))

    def find(self, kind: type[R], *selectors: By) -> list[R]:
        """Return the objects that all selectors match, in the order of their ids; InvalidFind, UnknownKind."""
        return self.snapshot().find(kind, *selectors)

    @property
    def damaged(self) -> dict[str, str]:
        """Files that should be objects and cannot be read: path and why. They are left out of everything."""
        return {path: str(damaged) for path, damaged in list(self._damaged.items())}

    @property
    def version(self) -> int:
        """The rev at which the copy equals the registry."""
        return self._local_copy.rev

    @property
    def staleness(self) -> Staleness:
        """How old the copy may be."""
        return self._local_copy.staleness

    @property
    def error(self) -> VisorError | None:
        """What ended it, if not `close`."""
        return self._local_copy.error

    def _transaction(self) -> Transaction:
        return Transaction(self._local_copy.view(), self._tables, self._now, self._damaged)

    def save(self) -> bytes:
        """Return all objects at one version, as one message."""
        return archive.save(self.snapshot(), self._tables)

    def __repr__(self) -> str:
        kinds = ", ".join(self._tables.by_name)
        return f"<visor store of {kinds} below {self._root or '/'}, {self.staleness}>"


def same(one: Record, other: Record) -> bool:
    """Whether it is the same version of an object."""
    return one.meta.version == other.meta.version


def check_size(tx: Transaction, command: Command) -> None:
    """Raise TooLarge for what the registry would not take, before it is sent."""
    most = DEFAULT.operations
    needed = max(len(command.guards), len(command.then), len(command.orelse))
    if needed > most:
        raise TooLarge(
            f"an update that writes {tx.changes} objects takes {needed} operations, and a transaction has {most} at "
            "most: use batch, which splits it",
            what="operations",
            limit=most,
            actual=needed,
        )


def claim(file: object) -> tuple[int, str] | None:
    """Return which object holds a unique value, and since when; None for nobody."""
    if file is None:
        return None
    found: BaseFile[bytes] = file  # type: ignore[assignment]
    return found.mod_rev, found.value.decode(errors="replace")
