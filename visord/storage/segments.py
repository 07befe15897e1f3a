"""History on disk: files of blocks, each block some rows with a checksum.

    header  magic 8, version 4, kind 4, number 8, zeros 36, crc 4
    block   magic 4, length 4, codec 4, count 4, first 8, last 8, crc 4, then `length` bytes of msgpack

Integers are little-endian. In a history file a block holds commits, `first` and `last` are their revs, and every
block continues the one before. `codec` says how: 0, an array of rows; 1, their columns (`state/columns.py`), which are
read in a third of the time and are what is written; files of both are sound. In a base file (the files at one rev) and
in a tables file (sessions and leases) there are rows of whatever was exported, and `first` and `last` are 0. So it is
in a keyframe, of which the manifest tells the revs.

A file is only as long as the manifest says: it holds each file's size, its rev range and a **chain**, the
crc over the heads (with their crcs) of all blocks so far. So a flipped bit, a cut, a missing, doubled or
swapped block and a file of another checkpoint are all seen, and what stands behind the manifest's size (a
checkpoint that was not finished) is nobody's.

Worked example. The manifest says `h2: size 9000, revs 101..350, chain C`; the file has 12000 bytes. Blocks
101..200 and 201..350 end at 9000, and the crc over both heads is C: whole. The 3000 bytes behind are cut
before the next checkpoint appends.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgpack

from visord.state.columns import Columns, from_rows, packable, unpacked
from visord.storage.disk import Disk, File, join
from visord.storage.errors import RESTORE, DamageError, FormatError

VERSION: Final = 1
HEADER_SIZE: Final = 64
HEAD_SIZE: Final = 36
"""Bytes of a block before its rows."""
COMMITS: Final = 1
BASE: Final = 2
TABLES: Final = 3
KEYFRAME: Final = 4
ROWS: Final = 0
COLUMNS: Final = 1

_NAMES: Final = {COMMITS: "commits", BASE: "base", TABLES: "tables", KEYFRAME: "keyframe"}
_MAGIC: Final = b"VISORHIS"
_BLOCK_MAGIC: Final = b"VhB\xa7"
_HEADER: Final = struct.Struct("<8sIIQ36xI")
_HEAD: Final = struct.Struct("<4sIIIQQI")
_HEAD_SUM: Final = struct.Struct("<4sIIIQQ")
_ARRAY: Final = struct.Struct(">BI")
_ARRAY32: Final = 0xDD
PIECE: Final = 1 << 20
"""Bytes that are read at a time."""


class Part(NamedTuple):
    """A history, base or tables file as the manifest describes it: the first `size` bytes of `name` count."""

    name: str
    kind: int
    number: int
    size: int
    first: int
    last: int
    chain: int


class Block(NamedTuple):
    """A block that is to be written; `seal` makes its head."""

    codec: int
    entries: int
    payload: bytes
    first: int
    last: int


def part_name(kind: int, number: int) -> str:
    """Return the file name of part `number`."""
    return f"{_NAMES[kind]}-{number:012d}"


def new_part(kind: int, number: int) -> Part:
    """Return a part that has its header and no block yet."""
    return Part(part_name(kind, number), kind, number, HEADER_SIZE, 0, 0, 0)


def pack_header(kind: int, number: int) -> bytes:
    """Return the HEADER_SIZE bytes that a file starts with."""
    data = _HEADER.pack(_MAGIC, VERSION, kind, number, 0)[:-4]
    return data + zlib.crc32(data).to_bytes(4, "little")


class BlockEncoder:
    """Packs rows until there is enough for a block. One for many blocks."""

    __slots__ = ("_count", "_packer")

    def __init__(self) -> None:
        self._packer: Any = msgpack.Packer(use_bin_type=True, autoreset=False)
        self._count = 0

    def add(self, row: Any) -> int:
        """Add a row; return the bytes gathered so far."""
        self._packer.pack(row)
        self._count += 1
        size: int = self._packer.getbuffer().nbytes
        return size

    @property
    def count(self) -> int:
        """Rows since the last `take`."""
        return self._count

    def take(self) -> tuple[int, bytes]:
        """Return the number of rows and their bytes, and start anew."""
        count, data = self._count, self._packer.bytes()
        self._packer.reset()
        self._count = 0
        return count, data


def pack_rows(count: int, rows: bytes) -> Block:
    """Make a block of `count` packed rows."""
    return Block(ROWS, count, _ARRAY.pack(_ARRAY32, count) + rows, 0, 0)


def pack_commits(columns: Columns) -> Block:
    """Make a block of commits."""
    payload = msgpack.packb(packable(columns), use_bin_type=True)
    return Block(COLUMNS, columns.size, payload, columns.first, columns.first + columns.size - 1)


def seal(block: Block, chain: int) -> tuple[bytes, int]:
    """Return what stands before the payload of a block that follows those of `chain`, and the chain with it."""
    codec, entries, payload, first, last = block
    head = _HEAD_SUM.pack(_BLOCK_MAGIC, len(payload), codec, entries, first, last)
    head += zlib.crc32(payload, zlib.crc32(head)).to_bytes(4, "little")
    return head, zlib.crc32(head, chain)


class Raw(NamedTuple):
    """A block as it was read, checked but not decoded."""

    codec: int
    payload: memoryview
    first: int
    last: int


def commits_of(block: Raw) -> Columns:
    """Decode a block of commits. Raises ValueError and the like for what no checkpoint wrote."""
    if block.codec == COLUMNS:
        columns = unpacked(block.first, msgpack.unpackb(block.payload, raw=False, strict_map_key=False))
    else:
        rows = msgpack.unpackb(block.payload, raw=False, strict_map_key=False)
        if [row[0] for row in rows] != list(range(block.first, block.last + 1)):
            raise ValueError(f"not the revs {block.first} to {block.last}")
        columns = from_rows(rows)
    if columns.size != block.last - block.first + 1:
        raise ValueError(f"{columns.size} commits, not {block.last - block.first + 1}")
    return columns


def rows_of(block: Raw) -> list[Any]:
    """Decode a block of rows. Raises ValueError and the like for what no checkpoint wrote."""
    rows: list[Any] = msgpack.unpackb(block.payload, raw=False, strict_map_key=False)
    return rows


def tuples_of(block: Raw) -> tuple[Any, ...]:
    """Decode a block of rows into tuples all the way down. Raises ValueError and the like as `rows_of`."""
    rows: tuple[Any, ...] = msgpack.unpackb(block.payload, raw=False, strict_map_key=False, use_list=False)
    return rows


def grow(part: Part, block: Block) -> Part:
    """Return `part` with `block` appended, but for the chain."""
    return part._replace(
        size=part.size + HEAD_SIZE + len(block.payload), first=part.first or block.first, last=block.last
    )


class BlockScanner:
    """Cuts a part that comes in pieces into its blocks, and checks everything.

        scanner = BlockScanner(path, part)
        for piece in pieces:
            for block in scanner.feed(piece): ...
        scanner.finish()                # only now the part as a whole is known to be sound

    A block is given out before those behind it are looked at. After a `DamageError`, or a `rewind`, the scanner has
    to be fed from `position` again.
    """

    __slots__ = ("_chain", "_held", "_last", "_need", "_part", "_path", "_pieces", "position")

    def __init__(self, path: str, part: Part) -> None:
        self._path = path
        self._part = part
        self._chain = 0
        self._last = part.first - 1
        self._pieces: list[bytes] = []
        self._held = 0
        self._need = HEADER_SIZE
        self.position = 0
        """Bytes of the part that are sound: the end of the last whole block."""

    def feed(self, data: bytes) -> Iterator[Raw]:
        """Yield the blocks that `data` completes; the iteration has to come to its end.

        Raises `DamageError` or `FormatError`.
        """
        self._pieces.append(data)
        self._held += len(data)
        if self._held < self._need:
            return  # so that a block of many pieces is put together once
        view = memoryview(b"".join(self._pieces) if len(self._pieces) > 1 else data)
        self._pieces, self._held, offset = [], 0, 0
        if self.position == 0:
            _check_header(self._path, self._part, view)
            self.position = offset = HEADER_SIZE
        while True:
            size = self._size_of_block(view[offset : offset + HEAD_SIZE])
            if offset + size > len(view):
                break
            yield self._block(view[offset : offset + size])
            offset += size
        self._need = size
        if offset < len(view):
            self._pieces = [bytes(view[offset:])]
            self._held = len(view) - offset

    @property
    def fed(self) -> int:
        """Where in the part the next bytes are expected."""
        return self.position + self._held

    def rewind(self) -> None:
        """Forget the beginning of a block that is not complete: the next bytes come from `position` on."""
        self._pieces, self._held = [], 0
        self._need = HEAD_SIZE if self.position else HEADER_SIZE

    def _size_of_block(self, head: memoryview) -> int:
        """Return how many bytes the block takes as far as its head tells, at least a head's."""
        left = self._part.size - self.position
        if len(head) < HEAD_SIZE:
            if 0 < left < HEAD_SIZE and len(head):
                raise self._damage("a block", f"{left} bytes")
            return HEAD_SIZE
        magic, length, *_ = _HEAD.unpack(head)
        if magic != _BLOCK_MAGIC or HEAD_SIZE + length > left:
            raise self._damage("a block", repr(bytes(head)))
        size: int = HEAD_SIZE + length
        return size

    def _block(self, block: memoryview) -> Raw:
        try:
            raw = _checked(self._path, self._part, self.position, block)
        except DamageError:
            self.rewind()
            raise
        if self._part.kind == COMMITS and (raw.first != self._last + 1 or raw.last < raw.first):
            raise self._damage(f"rev {self._last + 1}", f"revs {raw.first} to {raw.last}")
        self._chain = zlib.crc32(block[:HEAD_SIZE], self._chain)
        self._last = raw.last
        self.position += len(block)
        return raw

    def _damage(self, expected: str, found: str) -> DamageError:
        self.rewind()
        return DamageError(self._path, self.position, expected, found, RESTORE)

    def finish(self) -> None:
        """Check that the part is complete. Raises `DamageError`."""
        part = self._part
        if self.position != part.size:
            raise self._damage(f"{part.size} bytes", f"{self.position + self._held}")
        if self._chain != part.chain or (part.kind == COMMITS and self._last != part.last):
            expected = f"blocks up to rev {part.last} with chain {part.chain:#010x}"
            found = f"up to {self._last} with {self._chain:#010x}"
            raise DamageError(self._path, None, expected, found, RESTORE)


def _checked(path: str, part: Part, offset: int, block: memoryview) -> Raw:
    """Return what a whole block holds. Raises `DamageError` or `FormatError`."""
    _, _, codec, _, first, last, crc = _HEAD.unpack_from(block)
    payload = block[HEAD_SIZE:]
    found = zlib.crc32(payload, zlib.crc32(block[: HEAD_SIZE - 4]))
    if found != crc:
        raise DamageError(path, offset, f"checksum {crc:#010x}", f"{found:#010x}", RESTORE)
    if codec > (COLUMNS if part.kind == COMMITS else ROWS):
        raise FormatError(f"{path}, offset {offset}: unknown codec {codec}")
    return Raw(codec, payload, first, last)


class BlockHead(NamedTuple):
    """What the head of a block says, which was not checked."""

    length: int
    first: int
    last: int


def head_of(data: bytes) -> BlockHead | None:
    """Return what the head at the beginning of `data` says; None where there is none."""
    if len(data) < HEAD_SIZE or data[:4] != _BLOCK_MAGIC:
        return None
    _, length, _, _, first, last, _ = _HEAD.unpack_from(data)
    return BlockHead(length, first, last)


def read_block(file: File, part: Part, offset: int, size: int) -> Raw:
    """Return the block of `size` bytes at `offset`, checked by itself. Raises `DamageError` or `FormatError`."""
    return _sound(file, part, offset, size, file.pread(size, offset))


def block_at_hand(file: File, part: Part, offset: int, size: int) -> Raw | None:
    """Return what `read_block` does, None where that might wait for the disk."""
    data = file.pread_at_hand(size, offset)
    return None if data is None else _sound(file, part, offset, size, data)


def _sound(file: File, part: Part, offset: int, size: int, data: bytes) -> Raw:
    head = head_of(data)
    if head is None or len(data) < size or HEAD_SIZE + head.length != size:
        raise DamageError(file.path, offset, f"a block of {size} bytes", repr(data[:HEAD_SIZE]), RESTORE)
    return _checked(file.path, part, offset, memoryview(data))


def read_part(disk: Disk, directory: str, part: Part) -> Iterator[Raw]:
    """Yield the blocks of a part. Everything is checked.

    A block is yielded before the blocks behind it are looked at; only the end of the iteration says that
    the whole part is sound. Raises `DamageError` or `FormatError`.
    """
    path = join(directory, part.name)
    scanner = BlockScanner(path, part)
    if not disk.exists(path):
        raise DamageError(path, None, f"a file of {part.size} bytes", "no such file", RESTORE)
    file = disk.open_read(path)
    try:
        for offset in range(0, part.size, PIECE):
            yield from scanner.feed(read_piece(file, part, offset))
    finally:
        file.close()
    scanner.finish()


def read_piece(file: File, part: Part, offset: int) -> bytes:
    """Return the next PIECE bytes of a part, fewer at its end. Raises `DamageError` when they are not there."""
    size = min(PIECE, part.size - offset)
    data = file.pread(size, offset)
    if len(data) < size:
        raise DamageError(
            file.path, offset + len(data), f"{part.size} bytes", f"{offset + len(data)}", RESTORE
        )
    return data


def _check_header(path: str, part: Part, data: memoryview) -> None:
    magic, version, kind, number, crc = _HEADER.unpack_from(data)
    if magic != _MAGIC or zlib.crc32(data[: HEADER_SIZE - 4]) != crc:
        raise DamageError(path, 0, "a header", repr(bytes(data[:24])), RESTORE)
    if version != VERSION:
        raise FormatError(f"{path}: history format {version}, this version reads {VERSION}")
    if (kind, number) != (part.kind, part.number):
        raise DamageError(path, 0, part_name(part.kind, part.number), part_name(kind, number), RESTORE)
