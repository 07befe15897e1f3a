"""How far the log is durable, remembered without a system call.

The mark tells damage from a torn tail: every frame up to it was synced, so one of them that cannot be read
today is damage, never the trace of a power cut. It is moved after a sync returned and before anybody hears
of it.

It lives in shared memory of an 8 KiB file: two slots, each with its own crc, written in turn, so that the
end of the process in the middle of a move leaves the other slot. The kernel writes the file back when it
likes: a killed process loses nothing, a power cut may set the mark back, never ahead. A mark that was set
back or lost only tells less.

Worked example: frames 1 to 42 are synced, slot 0 says 42, slot 1 says 41. Bit flip in frame 42: the reader
stops after 41, 41 < 42, damage. Bit flip in slot 0: the mark is 41, the log is whole up to 42, nothing is
wrong. Power cut while frame 43 is written: the mark says 42 or less, the torn 43 is cut.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from typing import Any, Final, NamedTuple

from visord.storage.disk import Disk, File, join

NAME: Final = "mark"
_SLOT: Final = struct.Struct("<8sQQQQI")
_SUMMED: Final = _SLOT.size - 4
_MAGIC: Final = b"VISORMRK"
_SLOT_DISTANCE: Final = 4096
_SIZE: Final = 2 * _SLOT_DISTANCE


class Position(NamedTuple):
    """The end of a frame: its sequence, its segment's number, the offset after it, the last entry."""

    sequence: int
    segment: int
    offset: int
    last: int


class DurableMark:
    """The open mark file of a log."""

    def __init__(self, file: File, memory: Any) -> None:
        self._file = file
        self._memory = memory
        self._slot = 0

    def move(self, position: Position) -> None:
        """Remember that everything up to `position` is durable, before anybody hears of it."""
        data = _SLOT.pack(_MAGIC, *position, 0)[:_SUMMED]
        start = self._slot * _SLOT_DISTANCE
        self._memory[start : start + _SLOT.size] = data + zlib.crc32(data).to_bytes(4, "little")
        self._slot ^= 1

    def close(self) -> None:
        """Give memory and descriptor back."""
        with contextlib.suppress(BufferError):
            self._memory.close()
        self._file.close()


def read(disk: Disk, directory: str) -> Position | None:
    """Return the highest position that the mark file tells; None when it is missing or unreadable."""
    path = join(directory, NAME)
    if not disk.exists(path):
        return None
    file = disk.open_read(path)
    try:
        data = file.pread(_SIZE, 0)
    finally:
        file.close()
    return max(filter(None, (_read_slot(data, slot) for slot in (0, 1))), default=None)


def _read_slot(data: bytes, slot: int) -> Position | None:
    piece = data[slot * _SLOT_DISTANCE : slot * _SLOT_DISTANCE + _SLOT.size]
    if len(piece) < _SLOT.size:
        return None
    magic, sequence, segment, offset, index, crc = _SLOT.unpack(piece)
    if magic != _MAGIC or crc != zlib.crc32(piece[:_SUMMED]):
        return None
    return Position(sequence, segment, offset, index)


def open_mark(disk: Disk, directory: str) -> DurableMark:
    """Open the mark for moving, making the file when it is missing or too short.

    Its blocks are allocated here: a store into mapped memory without a block would end the process.
    """
    path = join(directory, NAME)
    if disk.exists(path):
        file = disk.open(path)
        if file.size() == _SIZE:
            return DurableMark(file, file.map(_SIZE))
        file.close()
    file = disk.open(path, create=True)
    try:
        file.pwrite(bytes(_SIZE), 0)
        file.sync()
        disk.sync_dir(directory)
        return DurableMark(file, file.map(_SIZE))
    except BaseException:
        file.close()
        raise
