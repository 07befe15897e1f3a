"""History on disk: files of blocks, each block some rows with a checksum.

    header  magic 8, version 4, kind 4, number 8, zeros 36, crc 4 block   magic 4, length 4, codec 4, count
    4, first 8, last 8, crc 4, then `length` bytes: a msgpack array of rows

Integers are little-endian. In a history file the rows are commits, `first` and `last` their revs, and every
block continues the one before; in a base file (the files at one rev) they are whatever the store exported,
and both are 0. `codec` 0 is plain.

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

from visord.storage.disk import Disk, join
from visord.storage.errors import RESTORE, DamageError, FormatError

VERSION: Final = 1
HEADER_SIZE: Final = 64
HEAD_SIZE: Final = 36
"""Bytes of a block before its rows."""
COMMITS: Final = 1
BASE: Final = 2
PLAIN: Final = 0

_MAGIC: Final = b"VISORHIS"
_BLOCK_MAGIC: Final = b"VhB\xa7"
_HEADER: Final = struct.Struct("<8sIIQ36xI")
_HEAD: Final = struct.Struct("<4sIIIQQI")
_HEAD_SUM: Final = struct.Struct("<4sIIIQQ")
_ARRAY: Final = struct.Struct(">BI")
_ARRAY32: Final = 0xDD
MAX_BLOCK: Final = 1 << 30
"""Bytes of a block that a reader accepts: far more than the largest commit."""


class Part(NamedTuple):
    """A history or base file as the manifest describes it: the first `size` bytes of `name` count."""

    name: str
    kind: int
    number: int
    size: int
    first: int
    last: int
    chain: int


class Block(NamedTuple):
    """A block ready to be written, and what it does to its file's chain."""

    data: bytes
    first: int
    last: int
    chain: int


def part_name(kind: int, number: int) -> str:
    """Return the file name of part `number`."""
    return f"{'base' if kind == BASE else 'commits'}-{number:012d}"


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


def pack_block(chain: int, count: int, rows: bytes, first: int, last: int) -> Block:
    """Make a block of `count` packed rows that follows the blocks summed up in `chain`."""
    payload = _ARRAY.pack(_ARRAY32, count) + rows
    head = _HEAD_SUM.pack(_BLOCK_MAGIC, len(payload), PLAIN, count, first, last)
    crc = zlib.crc32(payload, zlib.crc32(head))
    head += crc.to_bytes(4, "little")
    return Block(head + payload, first, last, zlib.crc32(head, chain))


def grow(part: Part, block: Block) -> Part:
    """Return `part` with `block` appended."""
    return part._replace(
        size=part.size + len(block.data),
        first=part.first or block.first,
        last=block.last,
        chain=block.chain,
    )


def read_part(disk: Disk, directory: str, part: Part) -> Iterator[tuple[int, int, Any]]:
    """Yield (first, last, rows) of each block, rows as tuples. Everything is checked.

    A block is yielded before the blocks behind it are looked at; only the end of the iteration says that
    the whole part is sound. Raises `DamageError` or `FormatError`.
    """
    for payload, first, last in read_payloads(disk, directory, part):
        yield first, last, msgpack.unpackb(payload, use_list=False, raw=False, strict_map_key=False)


def read_payloads(disk: Disk, directory: str, part: Part) -> Iterator[tuple[memoryview, int, int]]:
    """Yield (packed rows, first, last) of each block, checked like `read_part`."""
    path = join(directory, part.name)
    data = _read_file(disk, path, part)
    view, offset, chain = memoryview(data), HEADER_SIZE, 0
    last_rev = part.first - 1
    while offset < part.size:
        if offset + HEAD_SIZE > part.size:
            raise DamageError(path, offset, "a block", f"{part.size - offset} bytes", RESTORE)
        magic, length, codec, _, first, last, crc = _HEAD.unpack_from(data, offset)
        start = offset + HEAD_SIZE
        if magic != _BLOCK_MAGIC or start + length > part.size:
            raise DamageError(path, offset, "a block", repr(data[offset:start]), RESTORE)
        head = view[offset : start - 4]
        payload = view[start : start + length]
        found = zlib.crc32(payload, zlib.crc32(head))
        if found != crc:
            raise DamageError(path, offset, f"checksum {crc:#010x}", f"{found:#010x}", RESTORE)
        if codec != PLAIN:
            raise FormatError(f"{path}, offset {offset}: unknown codec {codec}")
        if part.kind == COMMITS and (first != last_rev + 1 or last < first):
            raise DamageError(path, offset, f"rev {last_rev + 1}", f"revs {first} to {last}", RESTORE)
        chain = zlib.crc32(view[offset:start], chain)
        last_rev = last
        yield payload, first, last
        offset = start + length
    if chain != part.chain or (part.kind == COMMITS and last_rev != part.last):
        expected = f"blocks up to rev {part.last} with chain {part.chain:#010x}"
        raise DamageError(path, None, expected, f"up to {last_rev} with {chain:#010x}", RESTORE)


def _read_file(disk: Disk, path: str, part: Part) -> bytes:
    if not disk.exists(path):
        raise DamageError(path, None, f"a file of {part.size} bytes", "no such file", RESTORE)
    file = disk.open_read(path)
    try:
        data = file.pread(part.size, 0)
    finally:
        file.close()
    if len(data) < part.size:
        raise DamageError(path, len(data), f"{part.size} bytes", f"{len(data)}", RESTORE)
    magic, version, kind, number, crc = _HEADER.unpack_from(data)
    if magic != _MAGIC or zlib.crc32(data[: HEADER_SIZE - 4]) != crc:
        raise DamageError(path, 0, "a header", repr(data[:24]), RESTORE)
    if version != VERSION:
        raise FormatError(f"{path}: history format {version}, this version reads {VERSION}")
    if (kind, number) != (part.kind, part.number):
        raise DamageError(path, 0, part.name, part_name(kind, number), RESTORE)
    return data
