"""The tree at every rev from `floor` to `rev`.

    store.rev       the latest rev, 0 for an empty store
    store.floor     the lowest rev that can be read (0 until retention raises it); commits above it are known
    store.time      ms since 1970 UTC of the latest commit

A read names a rev from `floor` to `rev` (`outside` says what is wrong with any other), and costs the same
wherever that rev lies. Changes come in through `overwrite` and `commit` only, one rev each, and were decided
before: they cannot fail.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import TypeAlias

from visor.paths import ROOT, check, parent, sort_key
from visor.protocol.limits import DEFAULT, Limits
from visor.protocol.verbs import CREATE, EXPIRE, REMOVE, UPDATE
from visord.state import past, refusal
from visord.state.cost import TODAY
from visord.state.history import History
from visord.state.leases import Leases
from visord.state.past import LEASED, NARROW, UNREAD
from visord.state.past_values import PastValues
from visord.state.redacted import Redacted
from visord.state.refusal import Refusal
from visord.state.tree import Directory, File
from visord.state.version import BYTES, ENTRY, Version, Write, position_after, tombstone

Change: TypeAlias = tuple[int, str, Version, Version | None]
"""`(kind, path, version, previous)`."""

Commit: TypeAlias = tuple[int, int, str, str | None, list[Change]]
"""`(rev, time_ms, actor, note, changes)`, the changes in path order."""


class Store:
    """See the module. Reads of more than one file are in `visord.state.reads`."""

    __slots__ = (
        "bounds",
        "cut",
        "directories",
        "files",
        "floor",
        "floor_time",
        "held",
        "history",
        "leases",
        "limits",
        "past_values",
        "redacted",
        "rev",
        "root",
        "spilled",
        "spilling",
        "time",
        "trimmed",
    )

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self.bounds = TODAY
        """What one write may cost; of the command that is being applied."""
        self.limits = limits
        self.rev = 0
        self.floor = 0
        self.time = 0
        self.floor_time = 0
        self.held = 0
        """About how many bytes versions, paths and directories take: see `growth.held`."""
        self.root = Directory(ROOT, None)
        self.files: dict[str, File] = {}
        self.directories: dict[str, Directory] = {ROOT: self.root}
        self.history = History()
        self.leases = Leases(limits)
        self.redacted = Redacted()
        self.past_values: PastValues | None = None
        """Where values are read that are not in memory any more; None: all are."""
        self.spilled = 0
        """Up to this rev only the newest version of a file is sure to be in memory (`spilling.py`)..."""
        self.spilling = 0
        """...and so many files of the rev after it are done."""
        self.trimmed = (0, 0)  # the rev, and how many changes of the one after it, that trim has handled
        self.cut = 0  # the floor that trim last worked towards: commits up to it may have lost parts

    # -- reads ----------------------------------------------------------------------------------------

    def get(self, path: str, rev: int) -> Version | Refusal | None:
        """Return the version of the file that `rev` sees, None when there is no file.

        Refused: `is_directory`, `bad_path`, `compacted`, `future_rev`.
        """
        if not self.floor <= rev <= self.rev:
            return self.outside(rev)
        file = self.files.get(path)
        if file is not None:
            version: Version | None = file.versions[-1]
            if version[0] > rev:  # type: ignore[index]
                version = file.in_force(rev)
                if version is not None:
                    version = self.filled(path, version)
            if version is not None and version[1] is not None:
                return version
        return self._why_no_file(path, rev)

    def _why_no_file(self, path: str, rev: int) -> Refusal | None:
        if self.is_directory(path, rev):
            return refusal.is_directory(path)
        why = check(path, self.limits)
        return refusal.bad_path(path, why) if why is not None else None

    def outside(self, rev: int) -> Refusal | None:
        """Return why `rev` cannot be read; None when it can."""
        if rev < self.floor:
            return refusal.compacted(self.floor, rev)
        return refusal.future_rev(self.rev, rev) if rev > self.rev else None

    def version(self, path: str, rev: int) -> Version | None:
        """Return the live version at a readable `rev`, maybe without its value; None for anything else than a file."""
        file = self.files.get(path)
        if file is None:
            return None
        version = file.in_force(rev)
        return version if version is not None and version[1] is not None else None

    def filled(self, path: str, version: Version) -> Version:
        """Return the version with its value and lease, read from disk where they are not in memory."""
        rev, value, created, count, _ = version
        if value is not UNREAD and value is not LEASED:
            return version
        value, lease = self._reader(rev).value(path, rev)
        if self.redacted.marks:
            value = self.redacted.marks.get((path, rev), value)
        return (rev, value, created, count, lease)

    def bare(self, path: str, version: Version) -> Version:
        """Return the version without its value; its lease is read from disk where it may have one."""
        if version[1] is LEASED:
            version = self.filled(path, version)
        return (version[0], None, version[2], version[3], version[4])

    def size(self, path: str, version: Version) -> int:
        """Return the size of a version's value as it was written, also where that was redacted."""
        if self.redacted.sizes:
            size = self.redacted.size(path, version[0])
            if size is not None:
                return size
        return len(self.filled(path, version)[1] or b"")

    def is_directory(self, path: str, rev: int) -> bool:
        """Say whether `path` is a directory at a readable `rev`."""
        directory = self.directories.get(path)
        if directory is None:
            return False
        return directory is self.root or directory.size_at(rev) > 0

    def exists(self, path: str, rev: int) -> bool:
        """Say whether `path` is a file or a directory at a readable `rev`."""
        return self.version(path, rev) is not None or self.is_directory(path, rev)

    def deleted_at(self, path: str, rev: int) -> int:
        """Return when `path`, missing at `rev`, was deleted; 0 when it never was or nobody knows any more.

        What happened at the floor or below counts as unknown, whether or not it was trimmed yet.
        """
        file, directory = self.files.get(path), self.directories.get(path)
        version = file.in_force(rev) if file is not None else None
        last = version[0] if version is not None else 0
        if directory is not None and directory is not self.root:
            last = max(last, directory.changed_at(rev))
        return last if last > self.floor else 0

    def changed(self, path: str, rev: int) -> int:
        """Return the last rev up to `rev` that changed `path` or anything below it; 0 when `path` does not exist."""
        if path == ROOT:
            return rev
        version = self.version(path, rev)
        if version is not None:
            return version[0]
        return self.directories[path].changed_at(rev) if self.is_directory(path, rev) else 0

    def rev_at(self, time: int) -> int | Refusal:
        """Return the last rev at or before `time` (ms since 1970 UTC). Refused: `compacted`."""
        found = self.history.rev_at(time)
        if found > self.floor or (found == self.floor and time >= self.floor_time):
            return found
        return refusal.Refusal(
            "compacted",
            f"history starts at rev {self.floor}, {self.floor_time} ms",
            {"floor": self.floor, "rev": 0},
        )

    def commits(self, first: int, last: int) -> Iterator[Commit]:
        """Yield the commits from `first` to `last`, ascending. Both lie above `floor` and not above `rev`."""
        history = self.history
        for rev in range(first, last + 1):
            changes = [self.change(file, rev) for file in history.files(rev)]
            yield (rev, history.time(rev), *self.told(rev), changes)

    def told(self, rev: int) -> tuple[str, str | None]:
        """Return who made the commit `rev`, and why (None: no note)."""
        history = self.history
        position = rev - history.told_base - 1
        if position >= 0:
            return history.actors[position], history.notes.get(rev)
        return self._reader(rev).told(rev)

    def _reader(self, rev: int) -> PastValues:
        if self.past_values is None:
            raise RuntimeError(f"what rev {rev} wrote is neither in memory nor on disk")
        return self.past_values

    def _deleted(self, path: str, rev: int) -> int:
        """Return the kind of a change that deleted a file."""
        if rev > self.history.told_base:
            return EXPIRE if rev in self.history.expired else REMOVE
        return self._reader(rev).kind(path, rev)

    def change(self, file: File, rev: int, *, previous: bool = True) -> Change:
        """Return what the commit `rev` did to `file`, which it touched.

        Without `previous`, what was before is only told where it costs nothing.
        """
        versions = file.versions
        position = len(versions) - 1
        if versions[position][0] != rev:
            position = position_after(versions, rev) - 1
            if position < 0:
                return self._change_of_past(file, rev, previous)
        version = versions[position]
        before = versions[position - 1] if position else None
        if before is None and file.past is not None and version[3] != 1:
            before = self._before(file, previous, past.size(file.past) - 1)
        if before is not None and before[1] is None:
            before = None
        if version[1] is None:
            return (self._deleted(file.path, rev), file.path, version, before)
        return (CREATE if version[3] == 1 else UPDATE, file.path, version, before)

    def _change_of_past(self, file: File, rev: int, previous: bool) -> Change:
        known = file.past
        assert known is not None
        position = past.position(known, rev)
        version = past.stub(known, position)
        if version[1] is None:
            kind = self._deleted(file.path, rev)
            return (kind, file.path, version, self._before(file, previous, position - 1))
        kind = CREATE if version[3] == 1 else UPDATE
        before = None if kind == CREATE else self._before(file, previous, position - 1)
        return (kind, file.path, self.filled(file.path, version), before)

    def _before(self, file: File, wanted: bool, position: int) -> Version | None:
        """Return the version at a position of the file's past; None where there is none, it is gone, or not wanted."""
        if not wanted or position < 0 or file.past is None:
            return None
        before = past.stub(file.past, position)
        return self.filled(file.path, before) if before[1] is not None else None

    # -- changes --------------------------------------------------------------------------------------

    def overwrite(self, file: File, last: Version, value: bytes, time: int, actor: str) -> int:
        """Commit one write to a file that exists, whose latest version is `last`; return the rev."""
        self.rev = rev = self.rev + 1
        if last[4]:
            self.leases.move(file.path, last[4], 0)
        version = (rev, value, last[2], last[3] + 1, 0)
        versions = file.versions  # `File.add`, without a call
        if type(versions) is list:
            versions.append(version)
        else:
            file.versions = [last, version]
        directory = file.directory
        self.held += directory.weight + len(value)
        for changes in directory.lineage:
            changes.append(rev)
        history = self.history
        history.recent.append(version)
        history.times.append(time)
        history.actors.append(actor)
        history.touched.append(file)
        self.time = time
        return rev

    def create(self, path: str, value: bytes, time: int, actor: str) -> int | None:
        """Commit a new file in a directory that exists; return the rev, None when it takes a closer look.

        That the directory exists answers for everything above it; so this is the short way for what is
        common.
        """
        directory = self.directories.get(path[: path.rfind("/")] or ROOT)
        if directory is None or not directory.live or path in self.directories:
            return None
        file = self.files.get(path)
        if file is None:
            if check(path, self.limits) is not None:
                return None
            file = self.files[path] = File(path, directory)
            self.held += len(path)
        self.rev = rev = self.rev + 1
        version = (rev, value, rev, 1, 0)
        file.add(version)
        directory.enter(file.path, rev)
        self.held += directory.weight + len(value)
        for changes in directory.lineage:
            changes.append(rev)
        history = self.history
        history.recent.append(version)
        history.times.append(time)
        history.actors.append(actor)
        history.touched.append(file)
        self.time = time
        return rev

    def remove(self, path: str, time: int, actor: str) -> int | None:
        """Commit the deletion of a file; return the rev, None when `path` is no file."""
        file = self.files.get(path)
        if file is None or file.versions[-1][1] is None:
            return None
        self.rev = rev = self.rev + 1
        if file.versions[-1][4]:
            self.leases.move(file.path, file.versions[-1][4], 0)
        file.add((rev, None, 0, 0, 0))
        file.directory.leave(file.path, rev)
        directory = file.directory
        self.held += directory.weight
        for changes in directory.lineage:
            changes.append(rev)
        self._record(time, actor, file)
        return rev

    def _record(self, time: int, actor: str, file: File) -> None:
        history = self.history
        history.times.append(time)
        history.actors.append(history.actor(actor))
        history.touched.append(file)
        history.recent.append(None)
        self.time = time

    def commit(
        self, time: int, actor: str, note: str | None, writes: list[Write], *, expired: bool = False
    ) -> int:
        """Commit `writes` (one a path, at least one, allowed together) as one rev; return the rev.

        `expired` says that leases ended: the deletions are told as EXPIRE.
        """
        self.rev = rev = self.rev + 1
        for path, value, _ in writes:
            if value is None:
                self._delete(path, rev)
        touched = [self._set(w[0], w[1], w[2], rev) if w[1] is not None else self.files[w[0]] for w in writes]
        for file in touched:
            self.held += ENTRY * _mark(file.directory, rev)
        history = self.history
        history.times.append(time)
        history.actors.append(history.actor(actor))
        history.touched.append(touched[0] if len(touched) == 1 else _in_order(touched))
        only = touched[0].versions[-1] if len(touched) == 1 else None
        history.recent.append(only if only is not None and only[1] is not None and not only[4] else None)
        if note is not None:
            history.note(rev, note)
        if expired:
            history.expired[rev] = True
        self.time = time
        return rev

    def raise_floor(self, rev: int) -> None:
        """Make `rev`, which is readable, the lowest readable one. Memory is given back by `trim.trim`."""
        if rev > self.floor:
            self.floor_time = self.history.time(rev)
            self.floor = rev

    def widen(self) -> None:
        """Give revs 8 bytes in all directories: once, when 4 will not be enough any more.

        It takes about a second for 100 million revs of history. Files do it one by one (`past.py`).
        """
        for directory in self.directories.values():
            directory.changes = array("q", directory.changes)
            directory.size_revs = array("q", directory.size_revs)
        for directory in self.directories.values():
            if directory.lineage:
                directory.lineage = directory.line()

    def make_room(self, rev: int) -> None:
        """Called before revs up to `rev` come: see that directories can note them."""
        if rev > NARROW and self.root.changes.typecode == "I":
            self.widen()

    def begin(self, rev: int, time: int) -> None:
        """Make an empty store stand at `rev`, whose commit was at `time`, with nothing known of before."""
        self.make_room(rev)
        self.rev = self.floor = self.cut = rev
        self.time = self.floor_time = time
        self.history.base = self.history.recent_base = self.history.told_base = rev
        self.trimmed = (rev, 0)

    # -- inside ---------------------------------------------------------------------------------------

    def _set(self, path: str, value: bytes, lease: int, rev: int) -> File:
        file = self.files.get(path)
        if file is None:
            file = self.files[path] = File(path, self.directory(parent(path)))
            self.held += len(path)
        self.held += BYTES + len(value)
        versions = file.versions
        last = versions[-1] if versions else None
        before = last[4] if last is not None else 0
        if before != lease:
            self.leases.move(file.path, before, lease)
        if last is not None and last[1] is not None:
            file.add((rev, value, last[2], last[3] + 1, lease))
        else:
            file.add((rev, value, rev, 1, lease))
            file.directory.enter(file.path, rev)
        return file

    def _delete(self, path: str, rev: int) -> None:
        file = self.files[path]
        lease = file.versions[-1][4]
        if lease:
            self.leases.move(file.path, lease, 0)
        self.held += BYTES
        file.add(tombstone(rev))
        file.directory.leave(file.path, rev)

    def directory(self, path: str) -> Directory:
        """Return the directory, made with all above it where it is not there."""
        directories, missing = self.directories, []
        directory = directories.get(path)
        while directory is None:
            missing.append(path)
            path = parent(path)
            directory = directories.get(path)
        for path in reversed(missing):
            directory = directories[path] = Directory(path, directory)
            self.held += len(path)
        return directory


def _mark(directory: Directory, rev: int) -> int:
    """Note `rev` at the directory and those above; return at how many."""
    for count, changes in enumerate(directory.lineage):
        if changes and changes[-1] == rev:
            return count  # then those above are marked as well
        changes.append(rev)
    return len(directory.lineage)


def _in_order(touched: list[File]) -> tuple[File, ...]:
    return tuple(sorted(touched, key=_order))


def _order(file: File) -> str:
    return sort_key(file.path)
