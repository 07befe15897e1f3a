"""Values of the past, read from the history files that checkpoints wrote: what `state/past_values.py` asks for.

    reader = PastReader(disk, history, manifest, Kept(bytes))
    reader.value("/a", 812)            from what is at hand, else the block is read now
    reader.begin_asking()              nothing waits for the disk: what is missing is noted, and nonsense answered
    asked = reader.end_asking()
    leaves = reader.read(asked)        on any thread; then, on the loop, reader.keep(leaves), and once more

A **leaf** is a block as it was decoded: some 100 commits, or some 200 files of a base. The leaves used last are kept,
up to a number of bytes, by the file and offset that they came from. Invariants:

- A file of a manifest never changes below its size, and no name is used twice: a leaf is right for as long as it is
  kept.
- Each block is checked by its checksum whenever it is read, and by its revs: damage is an error with file and offset
  for the one who asked, and for nobody else.
- A checkpoint that takes the place of another (`use`) has all revs from the floor on. A read may have looked for its
  block before, in a file that is gone then: `read` leaves that out, and it looks again.

What was redacted and not written again yet: `Store.filled` puts the mark in its place.
"""

from __future__ import annotations

import contextlib
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import msgpack

from visord.state.columns import Columns, whole
from visord.state.past_values import Absent, Unreadable
from visord.storage import segments
from visord.storage.disk import Disk, File, join
from visord.storage.errors import RESTORE, DamageError, StorageError
from visord.storage.manifest import Manifest
from visord.storage.segments import COMMITS, Part
from visord.storage.shelves import BlockPlace, Shelves, Unknown

MOST_ASKED: Final = 256
"""Blocks that one look at what is at hand may find missing: then it ends."""
MOST_ASKED_BYTES: Final = 8 << 20
"""Bytes of those: values may be large, and all of them are in memory at once."""
QUICK: Final = 8
"""Blocks that one look may take from what the system has in memory of the files: each takes some 40 microseconds."""
QUICK_BYTES: Final = 64 * 1024
"""Bytes of such a block, at most."""
OPEN_FILES: Final = 8
"""Files that are kept open for what is read at once."""
_CHANGE: Final = 100
"""About what a change takes beside its bytes on disk: the header of its value, its places in lists."""
_FILE: Final = 320
"""The same for a file of a base: its place in a dict, a tuple, the headers of path, value and numbers."""


class Leaf(NamedTuple):
    """The values of a block of commits, from rev `first` on."""

    first: int
    values: list[bytes | None]
    leases: list[int] | None
    starts: list[int] | None
    """Where the changes of each commit begin; None: each has one."""
    paths: list[str]
    """Only where `starts` are there."""
    kinds: bytes
    actors: tuple[list[str], Sequence[int] | None]
    """The names, and the number of each commit's; None: all have the first."""
    notes: dict[int, str]
    """By rev, where there is one."""
    size: int

    def find(self, path: str, rev: int) -> tuple[bytes | None, int]:
        """Return the value and the lease that `rev` gave `path`. Raises LookupError when it did not."""
        position = self._position(path, rev)
        return self.values[position], self.leases[position] if self.leases is not None else 0

    def kind(self, path: str, rev: int) -> int:
        """Return the kind of what `rev` did to `path`. Raises LookupError when it did nothing."""
        return self.kinds[self._position(path, rev)]

    def _position(self, path: str, rev: int) -> int:
        position = self._commit(rev)
        if self.starts is not None:
            position = self.paths.index(path, self.starts[position], self.starts[position + 1])
        return position

    def _commit(self, rev: int) -> int:
        count = len(self.values) if self.starts is None else len(self.starts) - 1
        if not 0 <= rev - self.first < count:
            raise LookupError(rev)
        return rev - self.first

    def told(self, rev: int) -> tuple[str, str | None]:
        """Return who made the commit, and why. Raises LookupError when it is not here."""
        names, numbers = self.actors
        position = self._commit(rev)
        return names[0 if numbers is None else numbers[position]], self.notes.get(rev)


class BaseLeaf(NamedTuple):
    """The files of a block of a base: `(rev, value, lease)` by path."""

    known: dict[str, tuple[int, bytes, int]]
    size: int

    def find(self, path: str, rev: int) -> tuple[bytes | None, int]:
        """Return the value and the lease that `rev` gave `path`. Raises LookupError when it did not."""
        written, value, lease = self.known[path]
        if written != rev:
            raise LookupError(rev)
        return value, lease


T = TypeVar("T")

AnyLeaf: TypeAlias = "Leaf | BaseLeaf"


class Kept:
    """The blocks used last, by where they came from; up to `limit` bytes, about."""

    __slots__ = ("_blocks", "damage", "found", "held", "limit", "read", "unreadable")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self.found = 0
        """How often a block was at hand."""
        self.read = 0
        """How many were read."""
        self.unreadable = 0
        """How often something could not be read."""
        self.damage = ""
        """What that was, the last time."""
        self._blocks: OrderedDict[BlockPlace, AnyLeaf] = OrderedDict()

    def get(self, place: BlockPlace) -> AnyLeaf | None:
        block = self._blocks.get(place)
        if block is not None:
            self._blocks.move_to_end(place)
            self.found += 1
        return block

    def __contains__(self, place: BlockPlace) -> bool:
        return place in self._blocks

    def put(self, place: BlockPlace, block: AnyLeaf) -> None:
        """Keep a block that was read."""
        self.read += 1
        before = self._blocks.pop(place, None)
        self.held += block.size - (before.size if before is not None else 0)
        self._blocks[place] = block
        while self.held > self.limit and len(self._blocks) > 1:
            _, oldest = self._blocks.popitem(last=False)
            self.held -= oldest.size

    def forget(self, names: set[str]) -> None:
        """Let go of the blocks of all files but these."""
        for place in [each for each in self._blocks if each.name not in names]:
            self.held -= self._blocks.pop(place).size


class PastReader:
    """See the module. One of a store; `kept` is shared."""

    def __init__(self, disk: Disk, directory: str, manifest: Manifest, kept: Kept) -> None:
        self._disk = disk
        self._directory = directory
        self._kept = kept
        self._shelves = Shelves(disk, directory, manifest)
        self._parts = {part.name: part for part in manifest.files()}
        self._open: OrderedDict[str, File] = OrderedDict()
        # Descriptors are nobody's when a store is let go of: another's checkpoint takes its place.
        weakref.finalize(self, _close_all, self._open).atexit = False
        self._asked: dict[BlockPlace, None] | None = None
        self._asked_bytes = 0
        self._quick = 0
        """Blocks that may be decoded yet by who asks."""

    def use(self, manifest: Manifest) -> None:
        """Read from another checkpoint, which has all that can still be asked for."""
        self._shelves = Shelves(self._disk, self._directory, manifest, self._shelves)
        self._parts = {part.name: part for part in manifest.files()}
        for name in [name for name in self._open if name not in self._parts]:
            self._open.pop(name).close()
        self._kept.forget(self._shelves.names())

    def look_through(self) -> None:
        """Find out where all blocks begin: a job for the worker, so that nobody has to wait for it later."""
        with contextlib.suppress(OSError, DamageError):  # whoever needs the file is told
            self._shelves.look_through()

    # -- at once --------------------------------------------------------------------------------------

    def value(self, path: str, rev: int) -> tuple[bytes | None, int]:
        """Return the value and the lease (0: none) of the version of `path` that `rev` wrote.

        Raises `Unreadable`, and `Absent` between `begin_asking` and `end_asking`.
        """
        return self._find(path, rev, lambda block: block.find(path, rev), (b"", 0))

    def told(self, rev: int) -> tuple[str, str | None]:
        """Return who made the commit `rev`, and why. Raises as `value`."""
        return self._find("", rev, lambda block: block.told(rev), ("", None))

    def kind(self, path: str, rev: int) -> int:
        """Return the kind of what `rev` did to `path`. Raises as `value`."""
        return self._find(path, rev, lambda block: block.kind(path, rev), 0)

    def _find(self, path: str, rev: int, look: Callable[[Any], T], nonsense: T) -> T:
        try:
            place = self._shelves.find(path, rev, waiting=self._asked is None)
            block = self._kept.get(place)
            if block is None:
                block = self._load(place) if self._asked is None else self._at_hand(place)
                if block is None:
                    return nonsense
                self._kept.put(place, block)
            try:
                return look(block)
            except (LookupError, ValueError, AttributeError):
                raise self._damage(place, f"a change of {path!r:.80} by rev {rev}") from None
        except Unknown as unknown:
            self._note(unknown.place)
            return nonsense
        except (StorageError, OSError) as error:
            raise self._unreadable(error) from error

    def _at_hand(self, place: BlockPlace) -> AnyLeaf | None:
        """Return a block that the system has in memory; else note that it is missing."""
        if self._quick > 0 and place.size <= QUICK_BYTES:
            self._quick -= 1
            raw = segments.block_at_hand(self._file(place.name), self._part(place), *place[1:])
            if raw is not None:
                return self._block(place, raw, self._part(place).kind)
        self._note(place)
        return None

    def _note(self, place: BlockPlace) -> None:
        """Note that something is missing. Raises `Absent` where that is enough."""
        asked = self._asked
        assert asked is not None
        if place in asked:
            return
        if len(asked) >= MOST_ASKED or (asked and self._asked_bytes + place.size > MOST_ASKED_BYTES):
            raise Absent
        asked[place] = None
        self._asked_bytes += place.size

    def columns(self, rev: int) -> Columns:
        """Return the commits of the block that `rev` is in. Raises `Unreadable`."""
        try:
            place = self._shelves.find("", rev)
            return self._decoded(place, self._raw(place, self._file(place.name)))
        except (StorageError, OSError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> Unreadable:
        """Return what to tell who asked; note it for operators."""
        self._kept.unreadable += 1
        self._kept.damage = str(error)
        path = getattr(error, "path", None) or getattr(error, "filename", None) or self._directory
        return Unreadable(str(path), getattr(error, "offset", None), str(error))

    def _load(self, place: BlockPlace) -> AnyLeaf:
        return self._block(place, self._raw(place, self._file(place.name)), self._part(place).kind)

    def _file(self, name: str) -> File:
        file = self._open.get(name)
        if file is None:
            file = self._open[name] = self._opened(name)
            if len(self._open) > OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        return file

    # -- off the loop ---------------------------------------------------------------------------------

    def begin_asking(self) -> None:
        """Wait for no disk until `end_asking`, which has to come."""
        self._asked, self._asked_bytes = {}, 0
        self._quick = QUICK

    def end_asking(self) -> Collection[BlockPlace]:
        """Return what was missing; if that is anything, what was answered meanwhile is worth nothing."""
        asked, self._asked = self._asked, None
        return asked or ()

    def read(self, places: Iterable[BlockPlace]) -> list[tuple[BlockPlace, AnyLeaf]]:
        """Read blocks, on any thread; those whose file is gone are left out, and so are those that cannot be read.

        Raises `StorageError` and `OSError` where nothing could be.
        """
        found: list[tuple[BlockPlace, AnyLeaf]] = []
        files: dict[str, File] = {}
        shelves, parts, failure, looked = self._shelves, self._parts, None, False
        try:
            for place in places:
                if place.name not in parts:
                    continue
                try:
                    if not place.size:
                        shelves.look_at(parts[place.name])
                        looked = True
                        continue
                    file = files.get(place.name)
                    if file is None:
                        file = files[place.name] = self._opened(place.name)
                    raw = segments.read_block(file, parts[place.name], *place[1:])
                    found.append((place, self._block(place, raw, parts[place.name].kind)))
                except (StorageError, OSError) as error:
                    failure = error
        finally:
            for file in files.values():
                file.close()
        if failure is not None and not found and not looked:
            raise failure
        return found

    def missing(self, places: Iterable[BlockPlace]) -> list[BlockPlace]:
        """Return those that are not at hand now: others may have read them meanwhile."""
        return [place for place in places if place not in self._kept]

    def keep(self, blocks: Iterable[tuple[BlockPlace, AnyLeaf]]) -> None:
        """Have what was read at hand."""
        for place, block in blocks:
            if place.name in self._parts:
                self._kept.put(place, block)

    # -- blocks ---------------------------------------------------------------------------------------

    def _opened(self, name: str) -> File:
        path = join(self._directory, name)
        if not self._disk.exists(path):
            raise DamageError(
                path, None, f"a file of {self._parts[name].size} bytes", "no such file", RESTORE
            )
        return self._disk.open_read(path)

    def _raw(self, place: BlockPlace, file: File) -> segments.Raw:
        return segments.read_block(file, self._part(place), *place[1:])

    def _part(self, place: BlockPlace) -> Part:
        return self._parts[place.name]

    def _decoded(self, place: BlockPlace, raw: segments.Raw) -> Columns:
        try:
            return segments.commits_of(raw)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            raise self._damage(place, f"commits ({type(error).__name__}: {error})") from error

    def _block(self, place: BlockPlace, raw: segments.Raw, kind: int) -> AnyLeaf:
        if kind == COMMITS:
            return leaf_of(self._decoded(place, raw), len(raw.payload))
        try:
            rows = msgpack.unpackb(raw.payload, raw=False, strict_map_key=False)
            known = {row[0]: (row[1], row[2], row[5]) for row in rows if len(row) > 2}
        except (ValueError, TypeError, LookupError) as error:
            raise self._damage(place, f"files ({type(error).__name__}: {error})") from error
        return BaseLeaf(known, len(raw.payload) + _FILE * len(known))

    def _damage(self, place: BlockPlace, expected: str) -> DamageError:
        path = join(self._directory, place.name)
        return DamageError(path, place.offset, expected, "something else in its place", RESTORE)


def _close_all(files: OrderedDict[str, File]) -> None:
    while files:
        files.popitem()[1].close()


def leaf_of(columns: Columns, size: int) -> Leaf:
    """Return what is looked up in commits that took so many bytes on disk."""
    starts: Any = None
    paths: list[str] = []
    if columns.counts is not None:
        starts, paths = [0, *accumulate(columns.counts)], whole(columns).paths
    notes = {columns.first + position: note for position, note in columns.notes}
    size += _CHANGE * len(columns.values)
    return Leaf(
        columns.first,
        columns.values,
        columns.leases,
        starts,
        paths,
        columns.kinds,
        columns.actors,
        notes,
        size,
    )
