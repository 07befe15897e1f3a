"""The bytes of the log: segment headers, frames and the records in them. Pure: bytes in, bytes out.

A log is a row of segment files. A segment starts with a header of 64 bytes and holds frames; **a frame is
what one sync made durable**, and it holds the records (mostly entries) that had gathered until then. All
integers are little-endian.

    header  magic 8, version 4, salt 4, number 8, zeros 36, crc 4
    frame   magic 4, length 4, sequence 8, previous 4, crc 4, then `length` bytes of records
    record  kind 1, zeros 3, length 4, index 8, term 8, then `length` bytes of payload

`sequence` counts frames, over all segments and without a gap. `previous` is the crc of the frame before (0
for the very first). `crc` covers the rest of the frame and starts from the segment's salt, so that what an
earlier use of a recycled file left behind never passes for a frame of this one.

Worked example. Segment 7 (salt S) holds frames 41 and 42, then comes what a former use of the file left:

    64: header | frame 41 (prev = crc of 40) | frame 42 (prev = crc of 41) | leftover: frame 12 under
    another salt

Reading goes on as long as the next frame is whole: magic, sequence = last + 1, previous = last crc, crc.
The leftover fails at the sequence (12 is not 43). What does a failure mean? `log.py` writes frame n + 1
only after the sync of frame n returned, so:

- Frame 42 has a wrong crc and a valid frame 43 stands anywhere after it: 42 was durable once. Damage.
- Frame 42 has a wrong crc and the mark (`mark.py`) says that 42 was synced: damage.
- Neither: power went while 42 was being written; nobody was told that it was stored. A torn tail: cut it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

VERSION: Final = 1
HEADER_SIZE: Final = 64
FRAME_SIZE: Final = 24
"""Bytes of a frame before its records."""
RECORD_SIZE: Final = 24
"""Bytes of a record before its payload."""

ENTRY: Final = 1
"""An entry of the log. It replaces an entry of the same index, and all after that one."""
TRUNCATE: Final = 2
"""The entry at `index` and all after it are gone."""
BASE: Final = 3
"""The log starts anew: the only entry is an empty one with this index and term."""

_MAGIC: Final = b"VISORLOG"
_FRAME_MAGIC: Final = b"VfR\xa7"
_HEADER: Final = struct.Struct("<8sIIQ36xI")
_FRAME: Final = struct.Struct("<4sIQII")
_FRAME_SUM: Final = struct.Struct("<4sIQI")
_RECORD: Final = struct.Struct("<BxxxIQQ")
_CRC: Final = struct.Struct("<I")

pack_record: Final = _RECORD.pack
"""`pack_record(kind, len(payload), index, term)` gives a record's first RECORD_SIZE bytes."""


class Header(NamedTuple):
    """What a segment's header says."""

    version: int
    salt: int
    number: int


class Frame(NamedTuple):
    """A whole frame: its place in the sequence, its crc, and where its records lie in the segment's bytes."""

    sequence: int
    crc: int
    start: int
    end: int


class Record(NamedTuple):
    """One record of a frame. `entry` is the index of the log's entry that it is about."""

    kind: int
    entry: int
    term: int
    payload: bytes


def pack_header(salt: int, number: int) -> bytes:
    """Return the HEADER_SIZE bytes that a segment starts with."""
    data = _HEADER.pack(_MAGIC, VERSION, salt, number, 0)
    return data[:-4] + _CRC.pack(zlib.crc32(data[:-4]))


def unpack_header(data: bytes) -> Header | None:
    """Read a segment's header; None when it is not one (its version may be unknown to this code)."""
    if len(data) < HEADER_SIZE:
        return None
    magic, version, salt, number, crc = _HEADER.unpack_from(data)
    if magic != _MAGIC or crc != zlib.crc32(data[: HEADER_SIZE - 4]):
        return None
    return Header(version, salt, number)


def pack_frame(salt: int, sequence: int, previous: int, records: bytes) -> tuple[bytes, int]:
    """Return a frame's first FRAME_SIZE bytes (its records follow) and its crc."""
    start = _FRAME_SUM.pack(_FRAME_MAGIC, len(records), sequence, previous)
    crc = zlib.crc32(records, zlib.crc32(start, salt))
    return start + _CRC.pack(crc), crc


def frame_at(data: bytes, offset: int, salt: int) -> tuple[Frame, int] | None:
    """Return the whole frame at `offset` and its `previous`, whatever their values; None if there is none."""
    if offset + FRAME_SIZE > len(data):
        return None
    magic, length, sequence, previous, crc = _FRAME.unpack_from(data, offset)
    start = offset + FRAME_SIZE
    end = start + length
    if magic != _FRAME_MAGIC or end > len(data):
        return None
    view = memoryview(data)
    if zlib.crc32(view[start:end], zlib.crc32(view[offset : start - 4], salt)) != crc:
        return None
    return Frame(sequence, crc, start, end), previous


def torn_at(data: bytes, offset: int, sequence: int) -> int:
    """Return the length in bytes of a frame `sequence` that was begun at `offset`; 0 when none was.

    Only its first bytes are looked at, and they may be anything.
    """
    head = data[offset : offset + FRAME_SIZE].ljust(FRAME_SIZE, b"\0")
    magic, length, found, _, _ = _FRAME.unpack(head)
    if magic != _FRAME_MAGIC or found != sequence:
        return 0
    return min(FRAME_SIZE + int(length), len(data) - offset)


def later_frame(data: bytes, offset: int, salt: int, sequence: int) -> tuple[int, int] | None:
    """Find a whole frame after `offset` with a sequence above `sequence`: its (offset, sequence), or None."""
    at = data.find(_FRAME_MAGIC, offset)
    while at >= 0:
        found = frame_at(data, at, salt)
        if found is not None and found[0].sequence > sequence:
            return at, found[0].sequence
        at = data.find(_FRAME_MAGIC, at + 1)
    return None


def records(data: bytes, start: int, end: int) -> Iterator[Record]:
    """Yield the records of `data[start:end]`. Raises `ValueError` when they do not fill it exactly."""
    while start < end:
        if start + RECORD_SIZE > end:
            raise ValueError(f"a record begins {end - start} bytes before its frame's end")
        kind, length, index, term = _RECORD.unpack_from(data, start)
        start += RECORD_SIZE
        if start + length > end:
            raise ValueError(f"a record of {length} bytes passes its frame's end")
        yield Record(kind, index, term, data[start : start + length])
        start += length
