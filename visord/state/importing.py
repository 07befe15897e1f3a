"""Rows and columns of a store (`exporting`), into an empty store or one that goes on from there.

`import_base` with all rows of the base if there is one, `import_columns` (or `import_commits`) with all commits after
it, `tables.import_tables` last. Blocks may be of any size. Without a base, commits start at rev 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from visor.paths import ROOT, check, parent
from visor.protocol.verbs import CREATE, EXPIRE, REMOVE, UPDATE
from visord.state.columns import (
    Columns,
    actors_of,
    column,
    from_rows,
    to_rows,
    updated_path,
    whole,
)
from visord.state.store import Store
from visord.state.tree import File
from visord.state.version import BYTES, tombstone


class CorruptHistory(Exception):  # noqa: N818 - the name says what it is
    """Imported rows contradict themselves or what came before. `rev`: where."""

    def __init__(self, rev: int, why: str) -> None:
        super().__init__(f"rev {rev}: {why}")
        self.rev = rev
        self.why = why


def _no_commit(rev: int, error: Exception) -> CorruptHistory:
    return CorruptHistory(rev, f"not a commit: {type(error).__name__}: {error}")


def import_commits(store: Store, rows: Iterable[Any]) -> None:
    """Add commits, which continue at `store.rev + 1`. Raises CorruptHistory; the store is of no use then."""
    rows, first = list(rows), store.rev + 1
    try:
        for rev, row in enumerate(rows, first):
            if row[0] != rev or type(row[0]) is not int:
                raise CorruptHistory(rev, f"followed by rev {row[0]!r:.40}")
        columns = from_rows(rows) if rows else None
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise _no_commit(first, error) from error
    if columns is not None:
        import_columns(store, columns)


def import_columns(store: Store, columns: Columns) -> None:
    """Add commits, which continue at `store.rev + 1`. Raises CorruptHistory; the store is of no use then."""
    if columns.first != store.rev + 1:
        raise CorruptHistory(store.rev + 1, f"followed by rev {columns.first}")
    if not columns.size:
        return
    store.make_room(columns.first + columns.size)
    try:
        if not _are_plain(columns):
            _import_mixed(store, whole(columns))
        elif columns.born is not None and min(column(columns.born)) > store.history.base:
            _import_short(store, columns)
            _import_heads(store, columns)
        else:
            _import_plain(store, whole(columns))
            _import_heads(store, columns)
        # What directories list is counted when all is there: see `tables.Import`.
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError, StopIteration) as error:
        raise _no_commit(store.rev + 1, error) from error
    store.history.recent.clear()  # they were exported elsewhere
    store.history.recent_base = store.rev


def _are_plain(columns: Columns) -> bool:
    """Tell whether each commit sets one file, which is what most of a long history consists of."""
    kinds = columns.kinds
    return (
        columns.counts is None
        and columns.leases is None
        and kinds.count(CREATE) + kinds.count(UPDATE) == len(kinds)
        and set(map(type, columns.values)) == {bytes}
    )


def _import_short(store: Store, columns: Columns) -> None:
    """Add the changes of short columns. A long history passes here: what is done for each commit is counted.

    Memory is what it waits for. A file is found by the rev that created it, among the files that revs changed, instead
    of by its path; that it is the right one shows in its newest version, which is needed anyway.
    """
    history, created = store.history, iter(columns.paths)
    touched, before = history.touched, history.base + 1
    born = column(columns.born or b"")
    revs = range(columns.first, columns.first + columns.size)
    for rev, kind, value, since in zip(revs, columns.kinds, columns.values, born, strict=True):
        if kind == UPDATE:
            file = touched[since - before]
            if type(file) is not File:  # several files were created by that rev, or it was trimmed
                file = store.files[updated_path(columns, rev - columns.first)]
            last = file.versions[-1]
            was = last[2]  # not looking at the others also saves: a tombstone was not created by any rev
            if was != since:
                raise CorruptHistory(rev, f"changes {file.path!r:.80}, which was not created by rev {since}")
            file.add((rev, value, was, last[3] + 1, 0))
        else:
            file = _import_new(store, rev, next(created), value)
        for changes in file.directory.lineage:
            changes.append(rev)
        touched.append(file)


def _import_plain(store: Store, columns: Columns) -> None:
    """Add the changes of commits of one file each, without leases, by their paths."""
    get, touched = store.files.get, store.history.touched
    revs = range(columns.first, columns.first + columns.size)
    for rev, kind, path, value in zip(revs, columns.kinds, columns.paths, columns.values, strict=True):
        file = get(path)
        if kind == UPDATE:
            last = file.versions[-1] if file is not None else None
            if file is None or last is None or last[1] is None:
                raise CorruptHistory(rev, f"changes {path!r:.80}, which does not exist")
            file.add((rev, value, last[2], last[3] + 1, 0))
        else:
            file = _import_new(store, rev, path, value)
        for changes in file.directory.lineage:
            changes.append(rev)
        touched.append(file)


def _import_new(store: Store, rev: int, path: str, value: bytes | None) -> File:
    """Add a version that creates a file; return the file."""
    files, directories, limits = store.files, store.directories, store.limits
    slash = path.rfind("/")
    above = directories.get(path[:slash])
    if (
        above is None
        or not above.sizes
        or not above.sizes[-1]
        or path in files
        or path in directories
        or not path[slash + 1 :].isalnum()
        or not path.isascii()
        or len(path) > limits.component
        or len(path) > limits.path
    ):
        return _import_one(store, rev, CREATE, path, value, 0)
    # The directory exists, and so does what is above it: only the name had to be looked at.
    file = files[path] = File(path, above)
    store.held += len(path)
    file.add((rev, value, rev, 1, 0))
    above.live.add(path)
    above.size_revs.append(rev)
    above.sizes.append(above.sizes[-1] + 1)
    return file


def _import_heads(store: Store, columns: Columns) -> None:
    """Add when, by which actor and why the commits were made, whose changes have been added."""
    history = store.history
    store.held += BYTES * columns.size + sum(map(len, filter(None, columns.values)))
    times = column(columns.times)
    _check_times(columns.first, store.time, times)
    history.times.extend(times)
    history.actors.extend(actors_of(columns, history.actor))
    for position, note in columns.notes:
        history.note(columns.first + position, note)
    store.time = times[-1]
    store.rev += columns.size


def _check_times(first: int, before: int, times: Sequence[int]) -> None:
    """Raise CorruptHistory where commits from rev `first` on, behind one at `before`, go back in time."""
    if times[0] < before or sorted(times) != list(times):
        last = before
        for rev, time in enumerate(times, first):
            if time < last:
                raise CorruptHistory(rev, f"was made at {time}, before {last}, when the rev before it was")
            last = time


def _import_mixed(store: Store, columns: Columns) -> None:
    history = store.history
    for rev, time, actor, note, changes in to_rows(columns):
        _check_times(rev, store.time, (time,))
        if len(changes) != 1 or changes[0][0] == EXPIRE:
            _import_several(store, rev, time, actor, note, changes)
            continue
        file = _import_one(store, rev, *changes[0])
        store.held += BYTES + len(changes[0][2] or b"")
        for revs in file.directory.lineage:
            revs.append(rev)
        history.times.append(time)
        history.actors.append(history.actor(actor))
        history.touched.append(file)
        if note is not None:
            history.note(rev, note)
        store.time = time
        store.rev = rev


def _import_one(store: Store, rev: int, kind: int, path: str, value: bytes | None, lease: int) -> File:
    """Add the version that the only change of a commit made; return the file."""
    file = store.files.get(path)
    last = file.versions[-1] if file is not None else None
    if lease:
        store.leases.named[path] = None
    if (kind == REMOVE) != (value is None) or not (value is None or type(value) is bytes):
        raise CorruptHistory(rev, f"gives {path!r:.80} no fitting value")
    if kind == CREATE:
        if last is not None and last[1] is not None:
            raise CorruptHistory(rev, f"creates {path!r:.80}, which exists")
        if file is None:
            file = _new_file(store, rev, path)
        file.add((rev, value, rev, 1, lease))
        file.directory.enter(file.path, rev)
        return file
    if file is None or last is None or last[1] is None or kind not in (UPDATE, REMOVE):
        raise CorruptHistory(rev, f"changes {path!r:.80}, which does not exist, with kind {kind!r:.40}")
    if kind == UPDATE:
        file.add((rev, value, last[2], last[3] + 1, lease))
    else:
        file.add(tombstone(rev))
        file.directory.leave(file.path, rev)
    return file


def _new_file(store: Store, rev: int, path: str) -> File:
    why = check(path, store.limits)
    if why is not None or path == ROOT:
        raise CorruptHistory(rev, f"writes {path!r:.80}, which {why or 'is a directory'}")
    above = parent(path)
    directory = store.directories.get(above)
    if directory is None:
        _no_file_above(store, rev, path)
        directory = store.directory(above)
    inner = store.directories.get(path)
    if inner is not None and inner.live:
        raise CorruptHistory(rev, f"writes {path!r:.80}, which is a directory")
    file = store.files[path] = File(path, directory)
    store.held += len(path)
    return file


def _no_file_above(store: Store, rev: int, path: str) -> None:
    while path != ROOT:
        path = parent(path)
        file = store.files.get(path)
        if file is not None and file.versions[-1][1] is not None:
            raise CorruptHistory(rev, f"writes below {path!r:.80}, which is a file")


def _import_several(
    store: Store, rev: int, time: int, actor: str, note: str | None, changes: list[Any]
) -> None:
    writes, expired, seen = [], False, set[str]()
    for kind, path, value, lease in changes:
        live = store.version(path, store.rev) is not None
        deletes = kind in (REMOVE, EXPIRE)
        wrong = (kind == CREATE) == live or kind not in (CREATE, UPDATE, REMOVE, EXPIRE)
        if wrong or deletes != (value is None) or path in seen or not (deletes or type(value) is bytes):
            raise CorruptHistory(rev, f"its change of {path!r:.80} does not fit what was there")
        seen.add(path)
        expired = expired or kind == EXPIRE
        writes.append((path, value, lease))
        if lease:
            store.leases.named[path] = None
    if not writes:
        raise CorruptHistory(rev, "changes nothing")
    store.commit(time, actor, note, writes, expired=expired)


def import_base(store: Store, floor: int, time: int, rows: Iterable[Any]) -> None:
    """Add rows of the state at `floor`, whose commit was at `time` (ms), to a store without commits.

    Called again with the same `floor` and `time` for each block. Raises CorruptHistory.
    """
    if store.rev != store.floor or store.floor not in (0, floor) or (store.files and store.rev != floor):
        raise CorruptHistory(floor, f"a base does not fit a store at rev {store.rev}")
    store.begin(floor, time)
    try:
        for row in rows:
            if len(row) == 2:
                directory = store.directory(row[0])
                if not row[0].startswith("/") or directory.changes or not 0 < row[1] <= floor:
                    raise CorruptHistory(floor, f"{row[0]!r:.80} does not fit as a directory")
                directory.changes.append(row[1])
            else:
                _import_file(store, floor, row)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise CorruptHistory(floor, f"not a row of a base: {type(error).__name__}: {error}") from error


def _import_file(store: Store, floor: int, row: list[Any]) -> None:
    path, mod_rev, value, created, count, lease = row
    if path in store.files or not 0 < created <= mod_rev <= floor or type(value) is not bytes or count < 1:
        raise CorruptHistory(floor, f"{path!r:.80} does not fit as a file")
    file = _new_file(store, floor, path)
    file.add((mod_rev, value, created, count, lease))
    store.held += BYTES + len(value)
    if lease:
        store.leases.named[path] = None
    file.directory.enter(path, floor)
