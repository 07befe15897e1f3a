"""The state at one rev with the index of its history, so that a start need not go through all commits.

    out     for row in Keyframe(store, rev, floor, time).rows(): ...      each is about half a millisecond of work
    in      load = KeyframeReader(store); for row in rows: load.add(row); load.finish()

Commits up to `rev` are on disk by then: of values, only those of the newest versions are in it. All else is in memory:

    [HEAD, rev, floor, time]
    [COMMITS, first, times, [revs that changed several files]]
    [DIRECTORIES, [path, ...], [changes, ...], [size_revs, ...], [sizes, ...]]        parents before what is in them
    [MORE, path, column, numbers]                         of a directory before, which knows of many revs
    [FILES, [path, ...], [version, ...], [past, ...]]                                 `past.packed`

Which file a rev touched, and what is live or gone in a directory, follows from the versions. What is at or below the
floor is left out, as trimming would: of a file stays the version in force there.

Rows are made while commits go on: everything up to a rev stays what it is, as long as nothing is trimmed or redacted.
A keyframe is this node's own, for a later start of the same code: what it holds was checked when it was written, and
what comes back is what its checksums let through. It is never taken from others.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

from visor.paths import ROOT, parent, sort_key
from visord.state import past
from visord.state.sorted_names import SortedNames, merged
from visord.state.store import Store
from visord.state.tree import Directory, File
from visord.state.version import BYTES, SPILLED, Version, position_after

HEAD: Final = 0
DIRECTORIES: Final = 1
COMMITS: Final = 2
FILES: Final = 3
MORE: Final = 4
PART: Final = 256
"""Files, or directories, of a row, at most."""
PART_BYTES: Final = 128 * 1024
"""Bytes of values, or of revs, of a row, about."""
REVS: Final = 16_384
"""Commits of a row."""
SLICE: Final = 65_536
"""Numbers of one directory in one row."""
TOGETHER: Final = 4096
"""Versions of one file that are looked at between two rows."""
PORTABLE: Final = sys.byteorder == "little"
"""Numbers are packed as memory has them."""


class Keyframe:
    """What is written of a store: its state at `rev`, from `floor` on, whose commit was at `time` (ms).

    The tree is walked by name, directory by directory: what comes between two slices is of later revs, and left out.
    """

    def __init__(self, store: Store, rev: int, floor: int, time: int) -> None:
        self._store = store
        self._rev = rev
        self._floor = floor
        self._time = time
        self._directories: list[list[Any]] = [[], [], [], []]
        self._more: list[tuple[str, int, Slice]] = []
        self._files: list[list[Any]] = [[], [], []]
        self._size = 0

    def rows(self) -> Iterator[list[Any]]:
        """Yield all rows."""
        yield [HEAD, self._rev, self._floor, self._time]
        yield from self._commit_rows()
        for working in self._walk():
            if working:
                yield [FILES, [], [], []]
            elif self._size >= PART_BYTES or len(self._files[0]) + len(self._directories[0]) >= PART:
                yield from self._gathered()
        yield from self._gathered()

    def _gathered(self) -> Iterator[list[Any]]:
        """Yield what the walk has come by: directories before what is in them."""
        directories, files, more = self._directories, self._files, self._more
        self._directories, self._files, self._size, self._more = [[], [], [], []], [[], [], []], 0, []
        if directories[0]:
            yield [DIRECTORIES, *directories]
        for path, place, (numbers, start, stop) in more:
            for begin in range(start, stop, SLICE):
                yield [MORE, path, place, _numbers(numbers[begin : min(stop, begin + SLICE)])]
        if files[0]:
            yield [FILES, *files]

    def _commit_rows(self) -> Iterator[list[Any]]:
        history = self._store.history
        for first in range(self._floor + 1, self._rev + 1, REVS):
            last = min(first + REVS - 1, self._rev)
            start, stop = first - history.base - 1, last - history.base
            revs = range(first, last + 1)
            several = [
                rev for rev, one in zip(revs, history.touched[start:stop], strict=True) if type(one) is tuple
            ]
            times = history.times[start:stop].tobytes()
            yield [COMMITS, first, times, several]

    def _walk(self) -> Iterator[bool]:
        """Gather all directories and files, a few at a time; true: one file takes so long."""
        stack: list[tuple[Directory, str | None]] = []
        if self._add_directory(self._store.root):
            stack.append((self._store.root, None))
        while stack:
            directory, after = stack.pop()
            entries = list(islice(_entries(directory, after), PART))
            for entry in entries:
                yield from self._add_file(entry)
                inner = self._store.directories.get(entry)
                if inner is not None and self._add_directory(inner):
                    stack += ((directory, entry), (inner, None))
                    break
                if self._size >= PART_BYTES:
                    stack.append((directory, entry))
                    break
            else:
                if entries:
                    stack.append((directory, entries[-1]))
            yield False

    def _add_directory(self, directory: Directory) -> bool:
        kept = _directory(directory, self._rev, self._floor)
        if kept is None:
            return False
        changes, revs, sizes = (numbers[start : min(stop, start + SLICE)] for numbers, start, stop in kept)
        first = directory.path, _numbers(changes), _numbers(revs), sizes.tobytes()
        for column, value in zip(self._directories, first, strict=True):
            column.append(value)
        self._size += sum(map(len, first))
        for place, (numbers, start, stop) in enumerate(kept):
            if stop - start > SLICE:
                self._more.append((directory.path, place, (numbers, start + SLICE, stop)))
        return True

    def _add_file(self, path: str) -> Iterator[bool]:
        file = self._store.files.get(path)
        if file is not None and len(file.versions) > TOGETHER:
            found = yield from self._many(file)
        else:
            found = _file(file, self._rev, self._floor) if file is not None else None
        if found is None:
            return
        version, before = found
        packed = None if before is None else past.packed(before)
        for column, value in zip(self._files, (path, version, packed), strict=True):
            column.append(value)
        self._size += len(path) + len(version[1] or b"") + (len(packed) if type(packed) is bytes else 0)

    def _many(self, file: File) -> Generator[bool, None, tuple[Version, past.Past | None] | None]:
        """Return what `_file` does, of a file with many versions in memory, with pauses."""
        versions, rev, floor = file.versions, self._rev, self._floor
        count = position_after(versions, rev)
        if not count or versions[count - 1][0] <= floor:
            return _file(file, rev, floor)
        before = None if file.past is None else past.copied(file.past)
        for start in range(0, count - 1, TOGETHER):
            before = past.extended(before, versions[start : min(start + TOGETHER, count - 1)])
            yield True
        return versions[count - 1], None if before is None else _from(before, floor)


def _entries(directory: Directory, after: str | None) -> Iterator[str]:
    entries = directory.live.walk(after, inclusive=False)
    if directory.gone:
        return merged(entries, directory.gone.walk(after, inclusive=False), reverse=False)
    return entries


Slice: TypeAlias = "tuple[array[int], int, int]"
"""Numbers from one place to before another."""


def _directory(directory: Directory, rev: int, floor: int) -> tuple[Slice, Slice, Slice] | None:
    """Return what a directory knows of the revs from the floor to `rev`; None where that is nothing."""
    changes, revs, sizes = directory.changes, directory.size_revs, directory.sizes
    first, last = max(bisect_right(revs, floor) - 1, 0), bisect_right(revs, rev)
    if not last and directory.parent is not None:
        return None
    begin, end = max(bisect_right(changes, floor) - 1, 0), bisect_right(changes, rev)
    if directory.parent is not None and not sizes[last - 1] and (not end or changes[end - 1] <= floor):
        return None
    return (changes, begin, end), (revs, first, last), (sizes, first, last)


def _numbers(numbers: array[int]) -> bytes:
    return (b"I" if numbers.typecode == "I" else b"q") + numbers.tobytes()


def _file(file: File, rev: int, floor: int) -> tuple[Version, past.Past | None] | None:
    """Return the version of a file that `rev` sees, and the past before it; None where nothing is known of it."""
    versions = file.versions
    count = position_after(versions, rev)
    if not count:
        return None  # it came later
    version = versions[count - 1]
    if version[0] <= floor:
        return None if version[1] is None else (version, None)
    before = file.past
    if before is not None and (count > 1 or past.revs(before)[0] <= floor):
        before = past.copied(before)
    if count > 1:
        before = past.extended(before, versions[: count - 1])
    return version, None if before is None else _from(before, floor)


def _from(before: past.Past, floor: int) -> past.Past | None:
    """Return a past, which is nobody else's, from what is in force at the floor on."""
    old = bisect_right(past.revs(before), floor)
    return past.without(before, old - (old > 0 and not past.is_gone(before, old - 1)))


class KeyframeReader:
    """Fills a new store with the rows of a keyframe. Raises ValueError and the like for what none wrote."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._touched: list[Any] = []
        self._several: dict[int, list[File]] = {}
        """The files of each commit that changed several, or none any more."""
        self._noted = 0
        """Changes whose files are known."""
        self._rev = 0
        self._before = 0
        """The first rev whose commit is known."""

    def add(self, row: Sequence[Any]) -> None:
        """Take the next row."""
        kind, *content = row
        if kind == FILES:
            self._add_files(*content)
        elif kind == COMMITS:
            self._add_commits(*content)
        elif kind == DIRECTORIES:
            for each in zip(*content, strict=True):
                self._add_directory(*each)
        elif kind == MORE:
            self._add_more(*content)
        elif kind == HEAD:
            self._rev, floor, time = content
            self._store.begin(floor, time)
            self._before = floor + 1
            self._touched = [None] * (self._rev - floor)
        else:
            raise ValueError(f"a row of kind {kind!r:.40}")

    def _add_directory(self, path: str, changes: bytes, revs: bytes, sizes: bytes) -> None:
        store = self._store
        if path == ROOT:
            directory = store.root
        else:
            directory = store.directories[path] = Directory(path, store.directories[parent(path)])
            store.held += len(path)
        directory.changes = array(changes[:1].decode(), changes[1:])
        directory.size_revs = array(revs[:1].decode(), revs[1:])
        directory.sizes = array("I", sizes)

    def _add_more(self, path: str, place: int, numbers: bytes) -> None:
        directory = self._store.directories[path]
        column = (directory.changes, directory.size_revs, directory.sizes)[place]
        column.extend(array(numbers[:1].decode(), numbers[1:]))

    def _add_commits(self, first: int, times: bytes, several: Sequence[int]) -> None:
        history = self._store.history
        if first != history.base + 1 + len(history.times):
            raise ValueError(f"commits from rev {first} on, which do not follow those before")
        history.times.extend(array("q", times))
        history.times.seal(len(history.times))
        for rev in several:
            self._several[rev] = []

    def _add_files(self, paths: Sequence[str], versions: Sequence[Version], pasts: Sequence[Any]) -> None:
        """Take some files. A million of them pass here: what is done for each, and for each of its revs, is counted."""
        store = self._store
        files, directories, touched, several = store.files, store.directories, self._touched, self._several
        before, held, noted, named = self._before, 0, 0, store.leases.named
        for path, version, packed in zip(paths, versions, pasts, strict=True):
            file = files[path] = File(path, directories[path[: path.rfind("/")] or ROOT])
            file.versions = (version,)
            rev = version[0]
            held += len(path) + BYTES + len(version[1] or b"")
            if version[4]:
                named[path] = None
            if packed is not None:
                file.past = past.unpacked(packed)
                revs = past.revs(file.past)
                held += SPILLED * len(revs)
                noted += len(revs)
                if revs[0] < before:  # what was in force at the floor: its commit is not known
                    revs, noted = revs[1:], noted - 1
                for one in revs:
                    touched[one - before] = file
            if rev >= before:
                touched[rev - before] = file
                noted += 1
            if several:
                self._note_several(file)
        store.held += held
        self._noted += noted

    def _note_several(self, file: File) -> None:
        """Note a file at the commits of several that changed it."""
        several = self._several
        for rev in (*(past.revs(file.past) if file.past is not None else ()), file.versions[0][0]):
            if rev in several:
                several[rev].append(file)

    def finish(self) -> None:
        """Put together what follows from all rows. Raises ValueError when they are not all there."""
        store, history, touched = self._store, self._store.history, self._touched
        for rev, files in self._several.items():
            touched[rev - self._before] = tuple(sorted(files, key=_order))
        extra = sum(len(files) - 1 for files in self._several.values())
        if not len(history.times) == len(touched) == self._noted - extra:
            raise ValueError("commits without their files")
        history.touched = touched
        history.recent_base = history.told_base = store.rev = store.spilled = self._rev
        if history.times:
            store.time = history.times[-1]
        _fill(store)


def _order(file: File) -> str:
    return sort_key(file.path)


def _fill(store: Store) -> None:
    """Have each directory list what is live in it, and what is gone."""
    directories = store.directories
    for path, file in store.files.items():
        if path not in directories:
            _list(file.directory, path, live=file.versions[-1][1] is not None)
    for path, directory in directories.items():
        above = directory.parent
        if above is None:
            continue
        is_directory = bool(directory.sizes) and directory.sizes[-1] > 0
        above.folders += is_directory
        is_file = path in store.files and store.files[path].versions[-1][1] is not None
        _list(above, path, live=is_directory or is_file)


def _list(directory: Directory, path: str, *, live: bool) -> None:
    if live:
        directory.live.add(path)
        return
    if directory.gone is None:
        directory.gone = SortedNames()
    directory.gone.add(path)
