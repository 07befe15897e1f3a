"""Between what the registry keeps and objects: one version, or one commit of the past."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from visor._core.following.delta import Batch, Delta
from visor._core.store.damage import Damaged
from visor._core.store.record import Record
from visor._core.store.tables import Tables
from visor._core.unfit import Unfit
from visor.values import Commit

Decode = Callable[[str, Sequence[Any]], "Record | None"]


def decoder(tables: Tables, damaged: dict[str, Damaged] | None) -> Decode:
    """Return what makes an object of a path and a version: None when it is no object of these kinds.

    What should be one and cannot be read is noted in `damaged`, until it can, or is forgotten there.
    """

    def decode(path: str, version: Sequence[Any]) -> Record | None:
        table = tables.at(path)
        if table is None:
            return None
        try:
            record: Record = table.kind.decode(table.id(path), version)
        except Exception as error:  # msgpack and the user's dataclass raise whatever they like
            if damaged is not None:
                damaged[path] = Damaged(version[0], reason(error))
            return None
        if damaged:
            damaged.pop(path, None)
        return record

    return decode


def reason(error: Exception) -> str:
    """Return why a file is no object."""
    return str(error) if isinstance(error, Unfit) else f"{type(error).__name__}: {error}"


def batch_of(commit: Commit[Any], since: int, decode: Decode) -> Batch[Record]:
    """Return what a commit of the past did to the objects; it must have been read with what it replaced."""
    deltas = []
    for change in commit.changes:
        before = None if change._previous is None else change._previous
        old = None if before is None or before[1] is None else decode(change.path, before)
        new = None if change.data is None else decode(change.path, change._version)
        if old is not None or new is not None:
            deltas.append(Delta(change.path, old, new, change.kind))
    return Batch(commit.rev, since, tuple(deltas), time=commit._time, actor=commit.actor, note=commit.note)
