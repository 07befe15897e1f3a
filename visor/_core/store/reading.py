"""Reading a typed store at one version: consistent, from memory, never in a writer's way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar, cast

from visor._core.following.cache import View
from visor._core.public import public
from visor._core.store.by import By
from visor._core.store.errors import InvalidFind
from visor._core.store.record import Record
from visor._core.store.tables import Table, Tables

R = TypeVar("R", bound=Record)


class Reading:
    """The objects as they were at `version`; immutable, for any number of threads."""

    def __init__(self, view: View[Record], tables: Tables) -> None:
        self._view = view
        self._tables = tables

    @property
    def version(self) -> int:
        """The rev at which this is the state."""
        return self._view.rev

    def get(self, kind: type[R], id: str) -> R | None:
        """Return the object, None when there is none. It is shared, and cannot be changed in place."""
        return cast("R | None", self._get(f"{self._tables.of(kind).directory}/{id}"))

    def find(self, kind: type[R], *selectors: By) -> list[R]:
        """Return the objects that all selectors match, in the order of their ids; all objects without any.

        InvalidFind when the kind has no index for a selector, UnknownKind when the store has no such kind.
        """
        return self._find(self._tables.of(kind), selectors)

    def count(self, kind: type[R], *selectors: By) -> int:
        """Return how many objects all selectors match."""
        return len(self.find(kind, *selectors))

    def _get(self, path: str) -> Record | None:
        return self._view.get(path)

    def _find(self, table: Table, selectors: tuple[By, ...]) -> list[R]:
        found = {}
        for id in self._candidates(table, selectors):
            record = self._get(f"{table.directory}/{id}")
            if record is not None and all(selector.matches(record) for selector in selectors):
                found[id] = record
        return [found[id] for id in sorted(found)]  # type: ignore[misc]

    def _candidates(self, table: Table, selectors: tuple[By, ...]) -> Iterable[str]:
        """Return the ids of all objects that may match: the shortest of the indexes' answers, and what has changed."""
        check_indexes(table, selectors)
        answers: list[list[str]] = [list(selector.ids(table)) for selector in selectors]
        if not answers:
            answers.append(list(table.everything()))
        shortest = min(answers, key=len)
        ids = dict.fromkeys(shortest)
        ids.update(dict.fromkeys(self._changed(table)))
        return ids

    def _changed(self, table: Table) -> list[str]:
        """Return the ids whose present state the indexes do not know as this reading does."""
        inside = table.directory + "/"
        return [table.id(path) for path in list(self._view.old) if path.startswith(inside)]

    def __repr__(self) -> str:
        return f"<objects at version {self.version}>"


public("visor.store", Reading)


def check_indexes(table: Table, selectors: tuple[By, ...]) -> None:
    """Raise InvalidFind when the kind has no index for one of the selectors."""
    for selector in selectors:
        for index in selector.index():
            if index is not None and index not in table.kind.indexes:
                raise InvalidFind(kind=table.kind.name, selector=index)
