"""Where the blocks of a checkpoint's files begin, told from their heads alone: it finds a version of the past on disk.

    manifest   base-4 (rev 1500)   commits-2 [901..1800]              commits-3 [1801..2100]
    shelves    first paths /a /k   first revs 901 1157 1413 1669      1801 1930 2059

    rev 1200, any path    ->  commits-2, the block that begins with rev 1157
    rev 12, /m            ->  base-4, the block that begins with /k: it wrote the version that rev 1500 saw

A shelf has 16 bytes a block; a block has some 100 commits. A file is looked through once, and only what was appended
after that: off the loop, as that is a read a block (`Unknown` where nobody may wait for it). Nothing is believed: the
heads have to make up the chain of the manifest, else it is another file or one of them was changed, and nothing of it
counts; whoever reads a block checks that.
"""

from __future__ import annotations

import threading
import zlib
from array import array
from bisect import bisect_right
from typing import Final, NamedTuple

import msgpack

from visor.paths import sort_key
from visord.storage.disk import Disk, File, join
from visord.storage.errors import RESTORE, DamageError
from visord.storage.manifest import Manifest
from visord.storage.segments import BASE, HEAD_SIZE, HEADER_SIZE, Part, head_of

_FIRST_PATH: Final = 2048
"""Bytes of a block of a base that surely hold its first path."""


class BlockPlace(NamedTuple):
    """A block: of the part `name` at `offset`, `size` bytes with its head. Without a size: the heads of all of them."""

    name: str
    offset: int
    size: int


class Unknown(Exception):  # noqa: N818 - it says what is missing; nothing went wrong
    """Nobody has looked through a file yet. `place`: its heads."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.place = BlockPlace(name, 0, 0)


class Shelf:
    """The blocks of one part."""

    __slots__ = ("_chain", "_firsts", "_keys", "_lock", "_offsets", "_other", "_read", "part")

    def __init__(self, part: Part) -> None:
        self.part = part
        self._firsts = array("q")
        self._offsets = array("q")
        self._keys: list[str] = []
        """Of a base: what the first path of each block is sorted by."""
        self._read = HEADER_SIZE
        """Up to where the heads are known."""
        self._chain = 0
        """Of those."""
        self._other = False
        """It is not the file that the manifest means: nothing of it counts."""
        self._lock = threading.Lock()

    def extend(self, disk: Disk, directory: str, part: Part) -> None:
        """Look through what was appended since: on any thread. Raises `DamageError` and `OSError`."""
        if self._read >= part.size and not self._other:
            return
        path = join(directory, part.name)
        if self._other:
            raise self._mistaken(path, part)
        if not disk.exists(path):
            raise DamageError(path, None, f"a file of {part.size} bytes", "no such file", RESTORE)
        file = disk.open_read(path)
        try:
            with self._lock:
                while self._read < part.size:
                    self._read = self._add(file, part)
                if self._read == part.size and self._chain != part.chain:
                    self._other = True
                    raise self._mistaken(path, part)
                self.part = part
        finally:
            file.close()

    def _mistaken(self, path: str, part: Part) -> DamageError:
        """Return a new one each time: an error that is raised again and again keeps all that led to it."""
        expected, found = f"blocks with chain {part.chain:#010x}", f"{self._chain:#010x}"
        return DamageError(path, None, expected, found, RESTORE)

    def _add(self, file: File, part: Part) -> int:
        """Note the block at the end of what is known; return where the next one begins."""
        offset = self._read
        based = part.kind == BASE
        data = file.pread(HEAD_SIZE + _FIRST_PATH if based else HEAD_SIZE, offset)
        head = head_of(data)
        if head is None or offset + HEAD_SIZE + head.length > part.size:
            raise DamageError(file.path, offset, "a block", repr(data[:HEAD_SIZE]), RESTORE)
        if based:
            self._keys.append(_first_key(file.path, offset, data[HEAD_SIZE:]))
        self._firsts.append(head.first)
        self._offsets.append(offset)
        self._chain = zlib.crc32(data[:HEAD_SIZE], self._chain)
        return offset + HEAD_SIZE + head.length

    def knows(self, part: Part) -> bool:
        """Tell whether nothing of the part is left to be looked through."""
        return self._read >= part.size or self._other

    def of_rev(self, rev: int) -> BlockPlace:
        """Return the block with a rev, which is one of the part's."""
        return self._place(bisect_right(self._firsts, rev) - 1)

    def of_path(self, path: str) -> BlockPlace | None:
        """Return the block in which a path would be; None when it would come before all."""
        found = bisect_right(self._keys, sort_key(path))
        return self._place(found - 1) if found else None

    def _place(self, position: int) -> BlockPlace:
        offsets = self._offsets
        end = offsets[position + 1] if position + 1 < len(offsets) else self._read
        return BlockPlace(self.part.name, offsets[position], end - offsets[position])


def _first_key(path: str, offset: int, data: bytes) -> str:
    unpacker = msgpack.Unpacker(raw=False)
    unpacker.feed(data)
    try:
        if unpacker.read_array_header() and unpacker.read_array_header():
            first = unpacker.unpack()
            if type(first) is str:
                return sort_key(first)
    except (ValueError, msgpack.UnpackException):
        pass
    raise DamageError(path, offset, "rows that begin with a path", repr(data[:40]), RESTORE)


class Shelves:
    """The blocks of one checkpoint; those of the one `before` it are known."""

    def __init__(self, disk: Disk, directory: str, manifest: Manifest, before: Shelves | None = None) -> None:
        self._disk = disk
        self._directory = directory
        self._manifest = manifest
        self._parts = manifest.parts
        self._firsts = [part.first for part in manifest.parts]
        known: dict[str, Shelf] = before._shelves if before is not None else {}
        self._shelves: dict[str, Shelf] = {
            part.name: known[part.name]
            for part in manifest.files()
            if part.name in known and known[part.name].part.size <= part.size
        }

    def names(self) -> set[str]:
        """Return the names of all files."""
        return {part.name for part in self._manifest.files()}

    def find(self, path: str, rev: int, *, waiting: bool = True) -> BlockPlace:
        """Return the block with the version of `path` that `rev` wrote.

        Raises `DamageError` when no file has it, `OSError`, and without `waiting` `Unknown`.
        """
        position = bisect_right(self._firsts, rev) - 1
        if position >= 0 and rev <= self._parts[position].last:
            return self._shelf(self._parts[position], waiting=waiting).of_rev(rev)
        base = self._manifest.base
        if base is not None and rev <= self._manifest.base_rev:
            place = self._shelf(base, waiting=waiting).of_path(path)
            if place is not None:
                return place
        raise DamageError(self._directory, None, f"a file with rev {rev} of {path}", "none", RESTORE)

    def _shelf(self, part: Part, *, waiting: bool = True) -> Shelf:
        shelf = self._shelves.get(part.name)
        if shelf is None:  # by whichever thread is first
            shelf = self._shelves.setdefault(part.name, Shelf(part))
        if not (waiting or shelf.knows(part)):
            raise Unknown(part.name)
        shelf.extend(self._disk, self._directory, part)
        return shelf

    def look_at(self, part: Part) -> None:
        """Look through one file: on any thread. Raises `DamageError` and `OSError`."""
        self._shelf(part)

    def look_through(self) -> None:
        """Look through all files now: a job for the worker."""
        for part in (*self._parts, *((self._manifest.base,) if self._manifest.base is not None else ())):
            self._shelf(part)
