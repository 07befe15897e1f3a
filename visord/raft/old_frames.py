"""Frames of format 1, the first one: segments that hold them are read, and filled up to their end. None is made.

    header  magic 8, version 4, salt 4, number 8, zeros 36, crc 4
    frame   magic 4, length 4, sequence 8, previous 4, crc 4, then `length` bytes of records

`crc` covers the rest of the frame and starts from the segment's salt. The magic is the same in all files, so clients
can write it into values, each with a length of their choice behind it: every such place must be summed up to that
length before it is known for no frame. A MiB of them after the log's end would keep a node from starting for ever.
So a search has two bounds, both linear in the bytes that are searched, and both beyond what the frames that a log
wrote itself can cost:

- the places that are looked at: frames do not overlap, and none is smaller than `_LEAST`;
- the bytes that are summed: `_SUMS` times those that are searched, and a sum counts as `_SUM` bytes at least.

A place whose sequence cannot be that far behind the last frame costs no sum. Where an unreadable frame says that it
ends, and where a segment begins, is looked at first: only when damage hit a head and a client filled the rest of the
file with magics does the search end early. Then the mark alone (`durable_mark.py`) tells damage from a torn tail.
"""

from __future__ import annotations

import struct
from typing import ClassVar, Final

from visord.raft.records import RECORD_SIZE, Frame, Frames, crc32

VERSION: Final = 1
MAGIC: Final = b"VfR\xa7"
_FRAME: Final = struct.Struct("<4sIQII")
_START: Final = struct.Struct("<4sIQI")
_CRC: Final = struct.Struct("<I")
_LEAST: Final = _FRAME.size + RECORD_SIZE
"""Bytes of the smallest frame: one record without a payload."""
_SUMS: Final = 2
"""A search sums at most this many times the bytes that it searches. Frames that a log wrote itself need one."""
_SUM: Final = 1024
"""What a sum costs, however short, in bytes. One that is right ends the search."""


class OldFrames(Frames):
    """The frames of a segment of format 1."""

    __slots__ = ()

    size: ClassVar[int] = _FRAME.size

    def pack(self, sequence: int, previous: int, records: bytes) -> tuple[bytes, int]:
        """Return a frame's first bytes (its records follow) and its crc."""
        start = _START.pack(MAGIC, len(records), sequence, previous)
        crc = crc32(records, crc32(start, self._salt))
        return start + _CRC.pack(crc), crc

    def at(self, data: bytes, offset: int) -> tuple[Frame, int] | None:
        """Return the whole frame at `offset` and its `previous`, whatever their values; None if there is none."""
        start = offset + self.size
        if start > len(data):
            return None
        magic, length, sequence, previous, crc = _FRAME.unpack_from(data, offset)
        end = start + length
        if magic != MAGIC or end > len(data):
            return None
        view = memoryview(data)
        if crc != crc32(view[start:end], crc32(view[offset : offset + _START.size], self._salt)):
            return None
        return Frame(sequence, crc, start, end), previous

    def torn(self, data: bytes, offset: int, sequence: int) -> int:
        """Return the length in bytes of a frame `sequence` that was begun at `offset`; 0 when none was."""
        head = data[offset : offset + self.size].ljust(self.size, b"\0")
        magic, length, found, _, _ = _FRAME.unpack(head)
        if magic != MAGIC or found != sequence:
            return 0
        return min(self.size + int(length), len(data) - offset)

    def later(self, data: bytes, offset: int, sequence: int, unread: int) -> tuple[int, int] | None:
        """Find a whole frame at `offset` or after it with a sequence above `sequence`: (offset, sequence), or None."""
        following = offset + self.torn(data, offset, sequence + 1)
        found = self.at(data, following)
        if found is not None and found[0].sequence > sequence:
            return following, found[0].sequence
        places = (len(data) - offset) // _LEAST + 1
        sums = _SUMS * (len(data) - offset)
        at = data.find(MAGIC, offset, len(data) - self.size + len(MAGIC))
        while at >= 0 and places > 0 and sums > 0:
            places -= 1
            _, length, claimed, _, _ = _FRAME.unpack_from(data, at)
            size = self.size + length
            most = sequence + 1 + (unread + at - offset) // _LEAST
            if sequence < claimed <= most and size <= min(sums, len(data) - at):
                if self.at(data, at) is not None:
                    return at, claimed
                sums -= max(size, _SUM)
            at = data.find(MAGIC, at + 1, len(data) - self.size + len(MAGIC))
        return None
