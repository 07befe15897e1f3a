"""The indexes of all kinds, moved along with the cache.

    values    index -> value -> ids             exact lookups
    order     index -> sorted texts             prefixes; made when first asked for, dropped when texts come or go

An index may already be ahead of the view that a reader holds. So what it answers are candidates: the view adds
everything that has changed since, and the selector looks at each object as the view has it.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from visor import paths
from visor._core.following.cache import Cache
from visor._core.following.delta import Batch
from visor._core.following.sorted_paths import END
from visor._core.store.errors import UnknownKind
from visor._core.store.kind import OBJECTS, UNIQUE, Kind, Refers, escape
from visor._core.store.record import Record
from visor._core.unfit import Unfit, shown


class Table:
    """One kind below one root: where its objects lie, and its indexes."""

    def __init__(self, kind: Kind[Any], cache: Cache[Record], root: str) -> None:
        self.kind = kind
        self.directory = f"{root}/{OBJECTS}/{kind.name}"
        self._claims = f"{root}/{UNIQUE}/{kind.name}"
        self._cache = cache
        self._cut = len(self.directory) + 1
        self._values: dict[str, dict[Hashable, dict[str, None]]] = {name: {} for name in kind.indexes}
        self._order: dict[str, list[tuple[str, str, Hashable]]] = {}
        self._lock = threading.Lock()

    def path(self, id: str) -> str:
        """Return the path of an object; ValueError when the id is no component of a path, BadField for no text."""
        if not isinstance(id, str):
            raise self.kind.bad_field(shown(id), Unfit("str", id, "id"))
        path = f"{self.directory}/{id}"
        if "/" in id or not id or paths.check(path) is not None:
            raise ValueError(
                f"{id!r} cannot be an id: {paths.check(path) or 'it is one component of a path'}"
            )
        return path

    def id(self, path: str) -> str:
        """Return the id of the object at this path."""
        return path[self._cut :]

    def claim(self, field: str, value: Hashable) -> str:
        """Return the path that says who has this value in a unique field."""
        return f"{self._claims}/{field}/{escape(value)}"

    def claims(self, record: Record | None) -> dict[str, str]:
        """Return `claim: id` for the unique values of an object."""
        if record is None:
            return {}
        values = ((field, getattr(record, field)) for field in self.kind.unique)
        canonical = self.kind.canonical
        return {
            self.claim(field, canonical(field, value)): record.id
            for field, value in values
            if value is not None
        }

    def move(self, before: Record | None, after: Record | None) -> None:
        """An object has changed; called under the cache's latch."""
        kind = self.kind
        for name in kind.indexes:
            had = kind.indexed(name, before) if before is not None else {}
            has = kind.indexed(name, after) if after is not None else {}
            if had == has:
                continue
            held = self._values[name]
            for value in had:
                if value not in has and before is not None:
                    self._discard(name, held, value, before.id)
            for value in has:
                if value not in had and after is not None:
                    self._add(name, held, value, after.id)

    def _add(self, name: str, held: dict[Hashable, dict[str, None]], value: Hashable, id: str) -> None:
        ids = held.get(value)
        if ids is None:
            ids = held[value] = {}
            with self._lock:
                self._order.pop(name, None)
        ids[id] = None

    def _discard(self, name: str, held: dict[Hashable, dict[str, None]], value: Hashable, id: str) -> None:
        ids = held.get(value)
        if ids is not None:
            ids.pop(id, None)
            if not ids:
                del held[value]
                with self._lock:
                    self._order.pop(name, None)

    # -- what selectors ask ---------------------------------------------------------------------------
    def equal(self, index: str, value: Hashable) -> Iterable[str]:
        """Ids of objects that have the value."""
        return tuple(self._values[index].get(value, ()))

    def beginning(self, index: str, prefix: str, key: str | None) -> Iterable[str]:
        """Ids of objects that have a text with this prefix; with `key`, a pair of that key and such a text."""
        first = key or ""
        with self._lock:
            order = self._order.get(index)
            if order is None:
                order = self._order[index] = sorted(map(sortable, list(self._values[index])), key=_text)
            low = bisect_left(order, (first, prefix))
            high = bisect_left(order, (first, prefix + END))
            found = order[low:high]
        held = self._values[index]
        return dict.fromkeys(id for _, _, value in found for id in tuple(held.get(value, ())))

    def ids_beginning(self, prefix: str) -> Iterable[str]:
        """Ids that have this prefix."""
        return [path[self._cut :] for path in self._cache.starting(f"{self.directory}/{prefix}")]

    def everything(self) -> Iterable[str]:
        """All ids."""
        return self.ids_beginning("")


def sortable(value: Hashable) -> tuple[str, str, Hashable]:
    """Return what a value of an index is sorted by: a pair of texts, and the value itself."""
    if isinstance(value, tuple) and len(value) == 2:
        return str(value[0]), str(value[1]), value
    return "", str(value), value


def _text(item: tuple[str, str, Hashable]) -> tuple[str, str]:
    return item[:2]


class Tables:
    """The kinds of a store and their indexes."""

    def __init__(self, kinds: Iterable[Kind[Any]], cache: Cache[Record], root: str) -> None:
        self.by_type: dict[type, Table] = {}
        self.by_directory: dict[str, Table] = {}
        self.by_name: dict[str, Table] = {}
        for kind in kinds:
            table = Table(kind, cache, root)
            if kind.type in self.by_type or kind.name in self.by_name:
                raise ValueError(f"{kind} is there twice")
            self.by_type[kind.type] = table
            self.by_name[kind.name] = table
            self.by_directory[table.directory] = table
        self._check_references()

    def _check_references(self) -> None:
        for table in self.by_type.values():
            for refer in table.kind.refers:
                target = self.of(refer.target)
                if refer.by != "id" and refer.by not in target.kind.unique:
                    raise ValueError(f"{table.kind}: {refer.by!r} is not unique in {target.kind}")

    def of(self, type: type) -> Table:
        """Return the table of this kind; UnknownKind when the store was not made for it."""
        table = self.by_type.get(type)
        if table is None:
            raise UnknownKind(kind=getattr(type, "__name__", repr(type)))
        return table

    def at(self, path: str) -> Table | None:
        """Return the table of the kind whose object lies at this path."""
        return self.by_directory.get(path.rpartition("/")[0])

    def referring(self, target: type) -> Iterator[tuple[Table, Refers]]:
        """Yield the kinds whose objects may name one of this kind, and by what."""
        for table in self.by_type.values():
            for refer in table.kind.refers:
                if refer.target is target:
                    yield table, refer

    def move(self, batch: Batch[Record]) -> None:
        """Take in what the cache has taken in; called under its latch."""
        for delta in batch.deltas:
            self.by_directory[delta.path.rpartition("/")[0]].move(delta.before, delta.after)
