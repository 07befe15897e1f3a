"""What a transaction knows of one kind beside the indexes: what it writes, and what others have changed since its view.

It is only ever added to. An object that has several states has the values of all of them here, so what it answers are
candidates, as those of the indexes are: the asker looks at each object as the transaction sees it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from visor._core.store.record import Record
from visor._core.store.tables import Table, sortable


class Overlay:
    """The ids of objects that may differ from the indexes, by the values of each index."""

    def __init__(self, table: Table) -> None:
        self._kind = table.kind
        self._values: dict[str, dict[Hashable, dict[str, None]]] = {name: {} for name in table.kind.indexes}
        self._ids: dict[str, None] = {}

    def add(self, record: Record) -> None:
        """Take in one state of an object."""
        self._ids[record.id] = None
        for name, held in self._values.items():
            for value in self._kind.indexed(name, record):
                held.setdefault(value, {})[record.id] = None

    def equal(self, index: str, value: Hashable) -> Iterable[str]:
        """Ids of objects that have the value."""
        return tuple(self._values[index].get(value, ()))

    def beginning(self, index: str, prefix: str, key: str | None) -> Iterable[str]:
        """Ids of objects that have a text with this prefix; with `key`, a pair of that key and such a text."""
        first = key or ""
        found: dict[str, None] = {}
        for value, ids in self._values[index].items():
            pair = sortable(value)
            if pair[0] == first and pair[1].startswith(prefix):
                found.update(ids)
        return found

    def ids_beginning(self, prefix: str) -> Iterable[str]:
        """Ids that have this prefix."""
        return [id for id in self._ids if id.startswith(prefix)]

    def everything(self) -> Iterable[str]:
        """All ids."""
        return self._ids
