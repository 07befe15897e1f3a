"""The bytes of the log: segment headers, frames and the records in them. Pure: bytes in, bytes out.

A log is a row of segment files. A segment starts with a header of 64 bytes and holds frames; **a frame is
what one sync made durable**, and it holds the records (mostly entries) that had gathered until then. All
integers are little-endian. This is format 2 (`old_frames.py` has format 1, which is read and filled up):

    header  magic 8, version 4, salt 4, number 8, key 8, zeros 28, crc 4
    frame   key 8, length 4, sequence 8, previous 4, crc 4, check 4, then `length` bytes of records
    record  kind 1, zeros 3, length 4, index 8, term 8, then `length` bytes of payload

`sequence` counts frames, over all segments and without a gap. `previous` is the crc of the frame before (0
for the very first). `crc` covers key to `previous` and the records, `check` covers key to `crc`; both start
from the segment's salt.

**Most of a log's bytes are chosen by clients**: values, in the log, in what a former use of a recycled file
left behind, in a frame that was torn. Whatever they are, none of them is taken for a frame, and looking for
frames takes one pass:

- Salt and key are drawn anew for each use of a file and told to nobody: no message, value or answer holds them.
  So the key stands only where this use of the file began a frame. (96 bits: somebody who fills 1 GiB with guesses
  hits with a chance below 10^-20.) Frames of a former use have another key.
- A frame is found by searching for the key, which is one `bytes.find`, and judged by its first FRAME_SIZE bytes.
  Records are summed only of the frame that should come next, so no byte twice, however many keys there are.

Worked example. Segment 7 (key K) holds frames 41 and 42, then comes what a former use of the file left:

    64: header | K frame 41 (prev = crc of 40) | K frame 42 (prev = crc of 41) | leftover: frame 12 under
    another key

Reading goes on as long as the next frame is whole: key, check, sequence = last + 1, previous = last crc, crc.
The leftover fails at the key. What does a failure mean? `log.py` writes frame n + 1 only after the sync of
frame n returned, so:

- Frame 42 has a wrong crc, and anywhere after it stands a valid head of frame 43 or later, whatever became of
  its records: 42 was durable once. Damage.
- Frame 42 has a wrong crc and the mark (`durable_mark.py`) says that 42 was synced: damage.
- Neither: power went while 42 was being written; nobody was told that it was stored. A torn tail: cut it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import ClassVar, Final, NamedTuple
from zlib import crc32 as crc32

VERSION: Final = 2
"""The format of segments that are made. A row may begin with segments of format 1."""
HEADER_SIZE: Final = 64
FRAME_SIZE: Final = 32
"""Bytes of a frame before its records, in any format at most."""
KEY_SIZE: Final = 8
RECORD_SIZE: Final = 24
"""Bytes of a record before its payload."""

ENTRY: Final = 1
"""An entry of the log. It replaces an entry of the same index, and all after that one."""
TRUNCATE: Final = 2
"""The entry at `index` and all after it are gone."""
BASE: Final = 3
"""The log starts anew: the only entry is an empty one with this index and term."""

_MAGIC: Final = b"VISORLOG"
_HEADER: Final = struct.Struct("<8sIIQ8s28x")
_FRAME: Final = struct.Struct("<8sIQIII")
_FRAME_START: Final = struct.Struct("<8sIQI")
_FRAME_END: Final = struct.Struct("<II")
_RECORD: Final = struct.Struct("<BxxxIQQ")
_CRC: Final = struct.Struct("<I")
_KEY: Final = struct.Struct("<II")

pack_record: Final = _RECORD.pack
"""`pack_record(kind, len(payload), index, term)` gives a record's first RECORD_SIZE bytes."""


class Header(NamedTuple):
    """What a segment's header says. `key` is zeros in format 1."""

    version: int
    salt: int
    number: int
    key: bytes


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


class Head(NamedTuple):
    """A frame's first bytes, which are sound; its records may be anything."""

    length: int
    sequence: int
    previous: int
    crc: int


def new_header(number: int, random32: Callable[[], int]) -> Header:
    """Return the header of a use of a file that begins: three draws of 32 random bits make it secret."""
    return Header(VERSION, random32(), number, _KEY.pack(random32(), random32()))


def pack_header(header: Header) -> bytes:
    """Return the HEADER_SIZE bytes that a segment starts with."""
    data = _HEADER.pack(_MAGIC, header.version, header.salt, header.number, header.key)
    return data + _CRC.pack(crc32(data))


def unpack_header(data: bytes) -> Header | None:
    """Read a segment's header; None when it is not one (its version may be unknown to this code)."""
    if len(data) < HEADER_SIZE:
        return None
    magic, version, salt, number, key = _HEADER.unpack_from(data)
    (crc,) = _CRC.unpack_from(data, _HEADER.size)
    if magic != _MAGIC or crc != crc32(data[: _HEADER.size]):
        return None
    return Header(version, salt, number, key)


class Frames:
    """The frames of one segment: how they are written, found and judged."""

    __slots__ = ("_key", "_salt")

    size: ClassVar[int] = FRAME_SIZE
    """Bytes of a frame before its records."""

    def __init__(self, header: Header) -> None:
        self._key = header.key
        self._salt = header.salt

    def pack(self, sequence: int, previous: int, records: bytes) -> tuple[bytes, int]:
        """Return a frame's first bytes (its records follow) and its crc."""
        start = _FRAME_START.pack(self._key, len(records), sequence, previous)
        begun = crc32(start, self._salt)
        crc = crc32(records, begun)
        return start + _FRAME_END.pack(crc, crc32(_CRC.pack(crc), begun)), crc

    def at(self, data: bytes, offset: int) -> tuple[Frame, int] | None:
        """Return the whole frame at `offset` and its `previous`, whatever their values; None if there is none."""
        head = self._head(data, offset)
        if head is None:
            return None
        start = offset + self.size
        end = start + head.length
        view = memoryview(data)
        if end > len(data) or head.crc != crc32(
            view[start:end], crc32(view[offset : offset + _FRAME_START.size], self._salt)
        ):
            return None
        return Frame(head.sequence, head.crc, start, end), head.previous

    def torn(self, data: bytes, offset: int, sequence: int) -> int:
        """Return the length in bytes of a frame `sequence` that was begun at `offset`; 0 when none was.

        Only its first bytes are looked at. Without a sound head nothing behind it can be told from what was there.
        """
        head = self._head(data, offset)
        if head is not None:
            length = self.size + head.length if head.sequence == sequence else 0
        else:
            length = self.size if data.startswith(self._key, offset) else 0
        return min(length, len(data) - offset)

    def later(self, data: bytes, offset: int, sequence: int, unread: int) -> tuple[int, int] | None:
        """Find at `offset` or after it what proves that frame `sequence` + 1 was durable: (offset, sequence), or None.

        That is any head of a frame after that one, or that very frame whole, in a place that does not continue the log.
        `unread` is how many bytes of segments before this one could not be read either.
        """
        at = data.find(self._key, offset)
        while at >= 0:
            head = self._head(data, at)
            if head is not None and (
                head.sequence > sequence + 1
                or (head.sequence == sequence + 1 and self.at(data, at) is not None)
            ):
                return at, head.sequence
            at = data.find(self._key, at + 1)
        return None

    def _head(self, data: bytes, offset: int) -> Head | None:
        if offset + FRAME_SIZE > len(data):
            return None
        key, length, sequence, previous, crc, check = _FRAME.unpack_from(data, offset)
        if key != self._key or check != crc32(data[offset : offset + FRAME_SIZE - _CRC.size], self._salt):
            return None
        return Head(length, sequence, previous, crc)


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
