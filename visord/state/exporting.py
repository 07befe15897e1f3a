"""The store as rows and columns, out of a running store: for storage and for nodes that catch up. Back: `importing`.

    commit row      [rev, time, actor, note, changes], change [kind, path, value, lease]
    base rows       [path, changed]                                     a directory, before what is in it
                    [path, mod_rev, value, created, count, lease]       a file

A base is the state at one rev; commits go on from there, as rows or, for many of them, as `Columns`. What they
leave out (when a file was created, how often it was written) follows from those before. Rows come in path order, and
everything in them is what msgpack carries.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from itertools import accumulate
from operator import attrgetter
from typing import Any, Final, TypeAlias

from msgpack import packb

from visor.paths import ROOT, below
from visor.protocol.verbs import CREATE, SEL_TREE, UPDATE
from visord.state.columns import Columns, from_rows, numbered, packed, part_of, to_rows
from visord.state.history import History
from visord.state.reads.walk import walk
from visord.state.selector import Selector
from visord.state.store import Store
from visord.state.tree import Directory, File
from visord.state.version import position_after

BaseCursor: TypeAlias = tuple[str, str]
"""Where a slice of a base ended: the last file that was exported (the directories above it were as well), and the
last entry that was looked at."""
_PATH: Final = attrgetter("path")
_FEW: Final = 32
"""Commits that are worth short columns of their own."""
_MANY: Final = 256
"""Commits that are looked for one by one at a time."""
WHOLE: Final = Selector(SEL_TREE, ROOT, lambda path: True)


def _require(store: Store, first: int, last: int) -> None:
    if first <= store.cut or last > store.rev:
        raise ValueError(f"commits {first} to {last}: only {store.cut + 1} to {store.rev} are there")


def export_commits(store: Store, first: int, last: int) -> list[list[Any]]:
    """Return the rows of the commits from `first` to `last`; ValueError when some of them were trimmed."""
    _require(store, first, last)
    history, change = store.history, store.change
    rows = []
    for rev in range(first, last + 1):
        changes = []
        for file in history.files(rev):
            kind, path, version, _ = change(file, rev, previous=False)
            changes.append([kind, path, version[1], version[4]])
        rows.append([rev, history.time(rev), *store.told(rev), changes])
    return rows


def export_columns(store: Store, first: int, last: int, most: int) -> Columns:
    """Return the commits from `first` on: up to `last`, or until their values have `most` bytes, or it takes long.

    ValueError when some of them were trimmed.
    """
    _require(store, first, last)
    if first <= store.spilled:
        return _export_spilled(store, first, min(last, store.spilled))
    if first > store.history.recent_base:
        found = _export_recent(store.history, first, last, most)
        if found is not None:
            return found
    last = min(last, first + _MANY - 1)
    return _export_short(store, first, last, most) or _export_all(store, first, last, most)


def _export_spilled(store: Store, first: int, last: int) -> Columns:
    """Return some commits as they are on disk, but for what was redacted since."""
    assert store.past_values is not None
    columns = store.past_values.columns(first)
    columns = part_of(columns, first - columns.first, last + 1 - columns.first)
    marks = store.redacted.marks
    end = columns.first + columns.size
    if not any(columns.first <= rev < end for _, rev in marks):
        return columns
    rows = to_rows(columns)
    for row in rows:
        for change in row[4]:
            change[2] = marks.get((change[1], row[0]), change[2])
    return from_rows(rows)


def _export_recent(history: History, first: int, last: int, most: int) -> Columns | None:
    """Return what `_export_short` does for commits whose versions are still at hand: whole columns at a time."""
    start = first - history.recent_base - 1
    versions = history.recent[start : start + last - first + 1]
    if None in versions:
        del versions[versions.index(None) :]
        if len(versions) < _FEW:
            return None
    _, values, born, counts, _ = zip(*versions, strict=True)
    files = history.touched[first - history.base - 1 : first - history.base - 1 + len(versions)]
    paths = list(map(_PATH, files))
    if sum(map(len, values)) > most:
        stop = bisect_left(list(accumulate(map(len, values))), most) + 1
        values, born, counts, paths = values[:stop], born[:stop], counts[:stop], paths[:stop]
    kinds, created, updated = bytearray([UPDATE]) * len(paths), list[str](), paths
    if 1 in counts:
        kinds = bytearray([CREATE if count == 1 else UPDATE for count in counts])
        created = [path for path, count in zip(paths, counts, strict=True) if count == 1]
        updated = [path for path, count in zip(paths, counts, strict=True) if count != 1]
    columns = _columns(history, first, first + len(paths), None, kinds, created, list(values), None)
    return columns._replace(born=packed(array("q", born)), again=packb(updated))


def _export_short(store: Store, first: int, last: int, most: int) -> Columns | None:
    """Return the commits from `first` on in short columns; None when not even a few can be told so."""
    history = store.history
    start, stop = first - history.base - 1, last - history.base
    kinds, born = bytearray(), array("q")
    created, updated, values = list[str](), list[str](), list[bytes | None]()
    rev, left = first, most
    for file in history.touched[start:stop]:
        if type(file) is not File:
            break
        versions = file.versions
        version = versions[-1]
        if version[0] != rev:
            version = versions[position_after(versions, rev) - 1]
            if version[0] != rev:
                break  # it is on disk only
        _, value, since, count, lease = version
        if value is None or lease:
            break
        path = file.path
        if count == 1:
            kinds.append(CREATE)
            created.append(path)
        else:
            kinds.append(UPDATE)
            updated.append(path)
        born.append(since)
        values.append(value)
        rev += 1
        left -= len(value) + len(path)
        if left <= 0:
            break
    if rev - first < _FEW and rev <= last and left > 0:
        return None
    again = packb(updated)
    return _columns(history, first, rev, None, kinds, created, values, None)._replace(
        born=packed(born), again=again
    )


def _export_all(store: Store, first: int, last: int, most: int) -> Columns:
    history = store.history
    kinds, paths, values = bytearray(), list[str](), list[bytes | None]()
    counts, leases = list[int](), list[int]()
    rev, left = first, most
    while rev <= last and left > 0:
        files = history.files(rev)
        counts.append(len(files))
        for file in files:
            kind, path, version, _ = store.change(file, rev, previous=False)
            kinds.append(kind)
            paths.append(path)
            values.append(version[1])
            leases.append(version[4])
            left -= len(path) + len(version[1] or b"")
        rev += 1
    return _columns(
        history,
        first,
        rev,
        None if counts.count(1) == len(counts) else counts,
        kinds,
        paths,
        values,
        leases if any(leases) else None,
    )


def _columns(
    history: History,
    first: int,
    end: int,
    counts: list[int] | None,
    kinds: bytearray,
    paths: list[str],
    values: list[bytes | None],
    leases: list[int] | None,
) -> Columns:
    """Return columns for the revs from `first` to before `end`."""
    start, stop, noted = first - history.base - 1, end - history.base - 1, history.notes
    return Columns(
        first,
        packed(history.times[start:stop]),
        numbered(history.actors[first - history.told_base - 1 : end - history.told_base - 1]),
        [[rev - first, noted[rev]] for rev in range(first, end) if rev in noted] if noted else [],
        counts,
        bytes(kinds),
        paths,
        values,
        leases,
    )


def export_base(
    store: Store, cursor: BaseCursor | None, limit: int, rev: int | None = None
) -> tuple[list[list[Any]], BaseCursor | None]:
    """Return `(rows, cursor)`: about `limit` rows of the state at `rev` (None: the floor), behind `cursor`.

    The cursor is None after the last row. `rev` has to stay the same from slice to slice. The floor may pass it, as
    long as nothing is trimmed: ValueError when what it saw is not known any more.
    """
    at = store.floor if rev is None else rev
    if not store.cut <= at <= store.rev:
        raise ValueError(f"rev {at} is not between {store.cut} and {store.rev}")
    rows: list[list[Any]] = []
    before, position = cursor if cursor is not None else (ROOT, None)
    for path, version in walk(store, WHOLE, at, position, inclusive=False):
        if version is not None:
            rows.extend(_directories_between(before, store.files[path].directory, at))
            rows.append([path, *store.filled(path, version)])
            before = path
        limit -= 1
        if limit <= 0:
            return rows, (before, path)
    return rows, None


def _directories_between(before: str, directory: Directory, rev: int) -> list[list[Any]]:
    """Return the rows of the directories that a walk enters after the file `before`, down to `directory`."""
    rows: list[list[Any]] = []
    above: Directory | None = directory
    while above is not None and above.parent is not None and not below(before, above.path):
        rows.append([above.path, above.changed_at(rev)])
        above = above.parent
    rows.reverse()
    return rows
