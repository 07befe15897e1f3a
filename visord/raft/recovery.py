"""Reading a log back: what was durable, where it ends, and whether anything is damaged.

`records.py` shows with an example how a torn tail is told from damage. The rules, for the first frame that
cannot be read at position p, after the whole frame with sequence S:

1. The next segment starts with frame S + 1: p is just where that segment ended. Go on there.
2. The head of a frame above S + 1, or frame S + 1 whole, stands after p, in this segment or a later one: damage.
3. The mark says that a frame above S was synced: damage.
4. Otherwise the log ends at p. What was begun there is cut: overwritten with zeros.

What lies above the mark may be in the page cache only (the last process ended before its sync returned, or
its sync failed), so it is written once more and synced before anybody relies on it.
"""

from __future__ import annotations

import itertools
import logging
import re
from typing import Final, NamedTuple

from visord.raft import durable_mark, old_frames, records
from visord.raft.old_frames import OldFrames
from visord.raft.records import BASE, ENTRY, HEADER_SIZE, TRUNCATE, Frames
from visord.raft.segments import SPARE, SUFFIX, Segment, segment_name
from visord.storage.disk import Disk, join, read_all
from visord.storage.errors import RESTORE, DamageError, FormatError

logger = logging.getLogger("visord.log")

Entry = tuple[bytes, int, int]
"""What pysyncobj keeps: (command, index, term)."""

SEGMENT_BYTES: Final = (1 << 30) + (64 << 20)
"""No segment is larger: the highest setting, and one frame that did not fit."""

NO_OP: Final = b"\x01"
"""pysyncobj's command that does nothing; also the content of a base entry."""


_FRAMES: Final[dict[int, type[Frames]]] = {old_frames.VERSION: OldFrames, records.VERSION: Frames}
"""By the version of a segment."""

_SEGMENT: Final = re.compile(r"[0-9]{20}" + re.escape(SUFFIX), re.ASCII)


class Piece(NamedTuple):
    """One segment file as read: its header's fields and where its frames end."""

    number: int
    path: str
    frames: Frames
    size: int
    data: bytes
    """The whole file; empty for those before the last one with frames, which nobody needs any more."""
    end: int
    low: int | None


class Recovered(NamedTuple):
    """A log read back. `pieces` is oldest first; `pieces[at]` holds the last frame."""

    pieces: list[Piece]
    at: int
    entries: list[Entry]
    sequence: int
    crc: int
    mark: durable_mark.Position | None


def names_of(disk: Disk, directory: str) -> tuple[list[int], list[str], list[str]]:
    """Return the numbers of the segments, the names of spares and those of leftover temporary files."""
    names = disk.listdir(directory)
    numbers = sorted(int(name[: -len(SUFFIX)]) for name in names if _SEGMENT.fullmatch(name))
    spares = [name for name in names if name.startswith(SPARE)]
    return numbers, spares, [name for name in names if name.endswith(".tmp")]


def read(disk: Disk, directory: str) -> Recovered:
    """Read the whole log without changing anything.

    Raises `DamageError`, or `FormatError` for a segment of an unknown version.
    """
    numbers = names_of(disk, directory)[0]
    mark = durable_mark.read(disk, directory)
    for before, number in itertools.pairwise(numbers):
        if number != before + 1:
            path = join(directory, segment_name(before + 1))
            raise DamageError(path, None, "a segment of the log", "no such file", RESTORE)
    reader = _Reader()
    for number in numbers:
        reader.add(_load(disk, directory, number))
    reader.check_after()
    _check_mark(reader, mark, directory)
    return Recovered(reader.pieces, reader.at, reader.entries, reader.sequence, reader.crc, mark)


def _load(disk: Disk, directory: str, number: int) -> Piece:
    path = join(directory, segment_name(number))
    data = read_all(disk, path, SEGMENT_BYTES)
    header = records.unpack_header(data)
    if header is None:
        raise DamageError(path, 0, "a segment header", repr(data[:16]), RESTORE)
    if header.version not in _FRAMES:
        raise FormatError(f"{path}: log format {header.version}; this version reads {sorted(_FRAMES)}")
    if header.number != number:
        raise DamageError(path, 0, f"segment {number}", f"segment {header.number}", RESTORE)
    frames = _FRAMES[header.version](header)
    return Piece(number, path, frames, len(data), data, HEADER_SIZE, None)


class _Reader:
    """Walks the frames of a row of segments and plays their records."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.at = 0
        self.entries: list[Entry] = []
        self.sequence = 0
        self.crc = 0
        self._begun = False

    def add(self, piece: Piece) -> None:
        """Read the next segment; once one holds no frame the log has ended, and nothing more is played."""
        position = len(self.pieces)
        ended = position > 0 and (not self._begun or self.at < position - 1)
        self.pieces.append(piece)
        if not ended:
            self._read_segment(position, piece)
            if self._begun and self.at == position > 0:
                self.pieces[position - 1] = self.pieces[position - 1]._replace(data=b"")

    def _read_segment(self, position: int, piece: Piece) -> None:
        offset, low = HEADER_SIZE, None
        while (frame := self._next(piece, offset)) is not None:
            for record in self._records(piece, frame):
                low = record.entry if low is None else min(low, record.entry)
                self._play(piece, frame, record)
            self._begun = True
            self.sequence, self.crc, self.at = frame.sequence, frame.crc, position
            offset = frame.end
        self.pieces[position] = piece._replace(end=offset, low=low)

    def _next(self, piece: Piece, offset: int) -> records.Frame | None:
        found = piece.frames.at(piece.data, offset)
        if found is None:
            return None
        frame, previous = found
        if self._begun and (frame.sequence != self.sequence + 1 or previous != self.crc):
            return None
        return frame

    def _records(self, piece: Piece, frame: records.Frame) -> list[records.Record]:
        try:
            return list(records.records(piece.data, frame.start, frame.end))
        except ValueError as error:
            raise DamageError(piece.path, frame.start, "whole records", str(error), RESTORE) from None

    def _play(self, piece: Piece, frame: records.Frame, record: records.Record) -> None:
        kind, index, term, payload = record
        entries = self.entries
        if kind == BASE:
            entries[:] = [(NO_OP, index, term)]
            return
        position = index - entries[0][1] if entries else 0
        if position < 0:
            entries.clear()
            position = 0
        if position > len(entries):
            expected = f"entry {entries[-1][1] + 1}"
            raise DamageError(piece.path, frame.start, expected, f"entry {index}", RESTORE)
        if position < len(entries):
            del entries[position:]
        if kind == ENTRY:
            entries.append((payload, index, term))
        elif kind != TRUNCATE:
            raise FormatError(f"{piece.path}, offset {frame.start}: record of unknown kind {kind}")

    def check_after(self) -> None:
        """Refuse when something after the end proves that more was durable: what is between cannot be read."""
        unread = 0
        for position, piece in enumerate(self.pieces[self.at :], self.at):
            end = self.pieces[self.at].end if position == self.at else HEADER_SIZE
            later = piece.frames.later(piece.data, end, self.sequence, unread)
            unread += len(piece.data) - end
            if later is not None:
                broken = self.pieces[self.at]
                found = (
                    f"unreadable bytes, and frame {later[1]} after them at offset {later[0]} of {piece.path}"
                )
                raise DamageError(broken.path, broken.end, f"frame {self.sequence + 1}", found, RESTORE)


def _check_mark(reader: _Reader, mark: durable_mark.Position | None, directory: str) -> None:
    if mark is None or mark.sequence <= reader.sequence:
        return
    if not reader.pieces:
        path = join(directory, segment_name(mark.segment))
        raise DamageError(path, None, f"the log up to frame {mark.sequence}", "no segment at all", RESTORE)
    piece = reader.pieces[reader.at]
    expected = f"frame {reader.sequence + 1} (frames up to {mark.sequence} were stored and acknowledged)"
    # The key, which a frame begins with, is a secret of this file: it goes into no log that is shown around.
    found = f"no whole frame, but ...{piece.data[piece.end : piece.end + records.FRAME_SIZE][records.KEY_SIZE :]!r}"
    raise DamageError(piece.path, piece.end, expected, found, RESTORE)


def repair(recovered: Recovered, row: list[Segment]) -> None:
    """Cut what was begun after the end, and make durable what was read above the mark.

    `row` holds the opened segments of `recovered.pieces`, in the same order.
    """
    for position in range(recovered.at, len(row)):
        piece, segment = recovered.pieces[position], row[position]
        end = piece.end if position == recovered.at else HEADER_SIZE
        torn = piece.frames.torn(piece.data, end, recovered.sequence + 1)
        if torn:
            logger.warning(
                "%s: cut %d bytes at offset %d that were being written when the node stopped; "
                "they were not acknowledged",
                piece.path, torn, end,
            )  # fmt: skip
        torn = max(torn, min(records.FRAME_SIZE, len(piece.data) - end))
        if any(piece.data[end : end + torn]):  # torn, or left from the file's former use
            segment.file.pwrite(bytes(torn), end)
            segment.file.sync()
    if recovered.pieces:
        _write_again(recovered, row[recovered.at])


def _write_again(recovered: Recovered, segment: Segment) -> None:
    # Only the last segment: the first frame of a segment is written after the one before was synced.
    piece, mark = recovered.pieces[recovered.at], recovered.mark
    start = HEADER_SIZE
    if mark is not None and mark.segment == piece.number:
        start = mark.offset
    if start < piece.end:
        segment.file.pwrite(memoryview(piece.data)[start : piece.end], start)
        segment.file.sync()
