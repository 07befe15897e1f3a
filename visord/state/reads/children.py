"""LIST: the direct entries of a directory at a rev."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeAlias

from visor.paths import ROOT, join
from visor.protocol.verbs import N_DIRECTORY, N_FILE
from visord.state import refusal
from visord.state.cost import ROW, UNIT_BYTES_BITS, VISIT
from visord.state.reads import page
from visord.state.refusal import Refusal
from visord.state.sorted_names import merged
from visord.state.store import Store
from visord.state.tree import Directory

Seek: TypeAlias = int | str
"""Where to begin: behind so many entries, or at the first one that does not come before a name."""


def children(
    store: Store,
    path: str,
    rev: int,
    cursor: str | None = None,
    limit: int = 0,
    *,
    values: bool = False,
    seek: Seek | None = None,
) -> list[Any] | Refusal:
    """Return `[rev, rows, cursor]`, row `[name, kind, size, mod_rev]` and the value (nil of a directory) on
    request.

    `cursor` is the name behind which to go on. With `seek` there follow how many entries this page passed by before its
    first row, and how many the directory has. Refused: `not_found`, `not_directory`.
    """
    if not store.is_directory(path, rev):
        if store.version(path, rev) is not None:
            return refusal.not_directory(path)
        return refusal.not_found(path, rev)
    rows: list[list[Any]] = []
    most, room, left = page.rows(limit, store.limits), store.limits.page_bytes, page.BUDGET
    begin = 1 if path == ROOT else len(path) + 1
    directory, places = store.directories[path], []
    entries = _entries(directory, cursor, past=rev != store.rev)
    if seek is not None:
        total = directory.size_at(rev)
        if directory.is_as_at(rev):
            entries, passed = _leap(directory, cursor, seek)
        else:
            entries, passed, behind = _pass(store, directory, rev, entries, seek)
            if behind is not None:
                return [rev, [], behind[begin:], passed, total]
        places = [passed, total]
    for entry in entries:
        row = _row(store, entry, begin, rev, values)
        if row is not None:
            if len(rows) >= most or room <= 0:
                return [rev, rows, rows[-1][0], *places]
            rows.append(row)
            size = len(row[4] or b"") if values else 0
            room -= size
            left -= ROW + (size >> UNIT_BYTES_BITS)
        left -= VISIT
        if left <= 0:
            return [rev, rows, entry[begin:], *places]
    return [rev, rows, None, *places]


def _entries(directory: Directory, cursor: str | None, *, past: bool) -> Iterator[str]:
    start = join(directory.path, cursor) if cursor is not None else None
    entries = directory.live.walk(start, inclusive=False)
    if past and directory.gone:
        return merged(entries, directory.gone.walk(start, inclusive=False), reverse=False)
    return entries


def _leap(directory: Directory, cursor: str | None, seek: Seek) -> tuple[Iterator[str], int]:
    """Return the entries from `seek` on, and how many were passed by: they are those of now, which are ordered."""
    live = directory.live
    first = 0 if cursor is None else live.place(join(directory.path, cursor), behind=True)
    place = live.place(join(directory.path, seek)) if type(seek) is str else first + int(seek)
    place = max(first, min(place, len(live)))
    return live.walk_from(place), place - first


def _pass(
    store: Store, directory: Directory, rev: int, entries: Iterator[str], seek: Seek
) -> tuple[Iterator[str], int, str | None]:
    """The same of a past with other entries: one by one. The last is the entry where the budget ended, if it did."""
    passed, left = 0, page.BUDGET
    name = join(directory.path, seek) if type(seek) is str else None
    for entry in entries:
        if (name is not None and entry >= name) or (name is None and passed >= int(seek)):
            return chain((entry,), entries), passed, None
        passed += store.exists(entry, rev)
        left -= VISIT
        if left <= 0:
            return entries, passed, entry
    return entries, passed, None


def _row(store: Store, entry: str, begin: int, rev: int, values: bool) -> list[Any] | None:
    version = store.version(entry, rev)
    if version is not None:
        version = store.filled(entry, version)
        row = [entry[begin:], N_FILE, store.size(entry, version), version[0]]
        return [*row, version[1]] if values else row
    directory = store.directories.get(entry)
    size = directory.size_at(rev) if directory is not None else 0
    if directory is None or not size:
        return None
    row = [entry[begin:], N_DIRECTORY, size, directory.changed_at(rev)]
    return [*row, None] if values else row
