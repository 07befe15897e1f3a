"""The log's files: made, filled with zeros and recycled ahead of need.

Overwriting blocks that were written before syncs more than twice as fast as appending, and cannot run out
of space. So a segment's blocks are written (zeros, synced with the size) before any entry needs them, by a
background job, and a segment that a checkpoint made needless becomes a spare: it gets a new header and is
used again.

    00000000000000000007.log   ####################....   current: entries up to `offset`, prepared up to
    `size` 00000000000000000008.log   h...................       next: a header and prepared blocks
    spare-00000000000000000005                            free to become number 9

What was redacted must not stay in files that are used again. `renew` ends the file that is written where it is, throws
away what was made ready from spares, and marks all files so far: none of them becomes a spare when its turn comes.

    00000000000000000007.log   ####################       ended here: `tainted` is 7
    00000000000000000008.log   h...................       made anew

A file gets its final name only when its header and first blocks are durable, so every `.log` has a readable
header. A full disk shows here, before a write is accepted: `full` tells, nothing else breaks, `retry` tries
again.
"""

from __future__ import annotations

import contextlib
import errno
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from visord.raft import records
from visord.raft.records import FRAME_SIZE, HEADER_SIZE, Frames, Header
from visord.storage.disk import Disk, File, join
from visord.storage.errors import NO_SPACE_ERRNOS
from visord.storage.worker import Submitter

SUFFIX: Final = ".log"
SPARE: Final = "spare-"
MAX_SPARES: Final = 4
"""Files kept for use again: about what is logged between two checkpoints."""
_ZEROS: Final = bytes(256 * 1024)


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes in bytes. The defaults suit a server; `SMALL` opens in milliseconds, for trials."""

    segment: int = 64 << 20
    """A segment ends here; one larger frame may have a segment of its own."""
    chunk: int = 4 << 20
    """How much is written at once when blocks are prepared."""
    ahead: int = 24 << 20
    """How much should be prepared beyond what is used: more than two of the largest commands."""
    first: int = 256 << 10
    """What is prepared before the log opens; the rest follows in the background."""
    reserve: int = 8 << 20
    """Free bytes to leave on the disk, so that a checkpoint can still be written and make room."""
    spare: int = 4 << 20
    """Prepared bytes that are kept for what makes room: an entry that lets the state grow leaves them."""
    keep: int = 16 << 20
    """Bytes of entries kept after a checkpoint for replicas that lag."""


SMALL: Final = Options(
    segment=4 << 20,
    chunk=256 << 10,
    ahead=512 << 10,
    first=64 << 10,
    reserve=1 << 20,
    spare=128 << 10,
    keep=1 << 20,
)


class Full(NamedTuple):
    """Why no blocks can be prepared: the directory, the bytes free there, and the system's words."""

    path: str
    free: int
    why: str

    @property
    def wanted(self) -> str:
        """What a node that does not go on waits for."""
        return f"space: {self.path}: {self.free} bytes are free"


class Segment:
    """One file of the log. `size` is how far it is prepared, `low` its lowest entry (None: none)."""

    __slots__ = ("capacity", "file", "frames", "low", "number", "size")

    def __init__(self, file: File, frames: Frames, number: int, size: int, capacity: int) -> None:
        self.file = file
        self.frames = frames
        self.number = number
        self.size = size
        self.capacity = max(capacity, size)
        self.low: int | None = None

    def saw(self, index: int) -> None:
        """Remember that the segment holds a record about `index`."""
        if self.low is None or index < self.low:
            self.low = index


def segment_name(number: int) -> str:
    """Return the file name of segment `number`."""
    return f"{number:020d}{SUFFIX}"


class Segments:
    """The row of segments, oldest first, and the position where the next frame goes.

    `background` runs the jobs that prepare and remove files. `changed()` is called when more room was
    prepared or preparing failed; `failed(error)` when the disk is broken.
    """

    def __init__(
        self,
        disk: Disk,
        directory: str,
        options: Options,
        background: Submitter,
        random32: Callable[[], int],
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._options = options
        self._background = background
        self._random32 = random32
        self._busy = False
        self._closed = False
        self._owes_sync = False
        """A segment was retired, and for want of file descriptors the directory could not be synced."""
        self._wanted = 0
        self.row: list[Segment] = []
        self.spares: list[str] = []
        self._inherited: set[str] = set()
        self.at = 0
        """Position in `row` of the segment that is written."""
        self.offset = HEADER_SIZE
        """Where the next frame goes in it."""
        self.tainted = 0
        """No segment up to this number may become a spare."""
        self.full: Full | None = None
        self.changed: Callable[[], None] = _nothing
        self.failed: Callable[[BaseException], None] = _nothing

    @property
    def current(self) -> Segment:
        """The segment that is written."""
        return self.row[self.at]

    def free(self) -> tuple[int, int]:
        """Return the prepared bytes after the last frame, and those of the next segment."""
        row, at = self.row, self.at
        following = row[at + 1].size - HEADER_SIZE if at + 1 < len(row) else 0
        return row[at].size - self.offset, following

    def place(self, size: int) -> bool:
        """Move to the next segment if a frame with `size` bytes of records does not fit into this one for good.

        True when the frame can be written at `offset` now. False: `changed` will be called.
        """
        current = self.current
        end = self.offset + current.frames.size + size
        if end <= current.size:
            return True
        if end > current.capacity and self.at + 1 < len(self.row):
            following = self.row[self.at + 1]
            if HEADER_SIZE + following.frames.size + size <= following.size:
                self.at += 1
                self.offset = HEADER_SIZE
                self.prepare()
                return True
        self.prepare(FRAME_SIZE + size)
        return False

    def inherit(self, spares: list[str]) -> None:
        """Use the spares of a former process, too. Nobody knows how much of them it saw become durable."""
        self.spares = spares
        self._inherited = set(spares)

    def first(self) -> None:
        """Make the very first segment, before anything else runs."""
        header = records.new_header(1, self._random32)
        size = HEADER_SIZE + self._options.first
        self._make_file(header, size)
        self.row.append(self._open(header, size))

    def renew(self) -> bool:
        """Let everything from here on go to files that were never used. False: not just now, `changed` will be called.

        Only while nothing is being written.
        """
        if self._busy or self._closed or self.offset == HEADER_SIZE:
            return False
        current, needless = self.current, self.row[self.at + 1 :]
        del self.row[self.at + 1 :]
        current.capacity = current.size = self.offset
        self.tainted = current.number
        self._busy = True
        self._background.submit(functools.partial(self._discard, needless), self._prepared)
        return True

    def retry(self) -> None:
        """Try again to prepare blocks after the disk was full."""
        if self._owes_sync:
            self._owes_sync = False
            self._background.submit(lambda: self._disk.sync_dir(self._directory), self._retired)
        if self.full is not None:
            self.prepare(self._wanted)

    def prepare(self, size: int = 0) -> None:
        """See that `ahead` bytes, or a frame of `size`, are prepared; at most one job at a time."""
        self._wanted = max(self._wanted, size)
        if self._busy or self._closed:
            return
        job = self._next_job(max(self._options.ahead, self._wanted))
        if job is None:
            self._wanted = 0
            self.full = None
            return
        self._busy = True
        self._background.submit(job, self._prepared)

    def _next_job(self, ahead: int) -> Callable[[], Segment | None] | None:
        options, current = self._options, self.current
        target = min(current.capacity, self.offset + ahead)
        if current.size < target:
            upto = min(current.capacity, current.size + options.chunk)
            return lambda: self._extend(current, upto)
        left = current.capacity - self.offset
        if left >= ahead:
            return None
        # The rest lies in the next segment; a frame that does not fit into this one must fit there whole.
        target = HEADER_SIZE + max(self._wanted, min(ahead - left, options.segment - HEADER_SIZE))
        size = 0 if self.at + 1 == len(self.row) else self.row[self.at + 1].size
        # A whole chunk at a time, as above: `target` moves on with every frame.
        upto = min(max(target, options.segment), max(size, HEADER_SIZE) + options.chunk)
        if size == 0:
            return lambda: self._add(current.number + 1, upto)
        if size >= target:
            return None
        following = self.row[self.at + 1]
        return lambda: self._extend(following, upto)

    def _prepared(self, segment: Segment | None, error: BaseException | None) -> None:
        self._busy = False
        if self._closed:
            if segment is not None:
                segment.file.close()
            return
        if isinstance(error, OSError) and error.errno in NO_SPACE_ERRNOS:
            self._say_full(error)
        elif error is not None:
            self.failed(error)
            return
        else:
            if segment is not None:
                self.row.append(segment)
            self.full = None
            self.prepare()
        self.changed()

    def _say_full(self, error: OSError) -> None:
        self.full = Full(self._directory, _free(self._disk, self._directory), error.strerror or str(error))

    # -- on the background thread -----------------------------------------------------------------------

    def _require(self, size: int) -> None:
        free = self._disk.free(self._directory)
        if free < size + self._options.reserve:
            error = OSError(
                f"{free} bytes are free, {size} and a reserve of {self._options.reserve} are needed"
            )
            error.errno = errno.ENOSPC
            raise error

    def _discard(self, segments: list[Segment]) -> None:
        # From the end, so that no gap can appear in the row.
        for segment in reversed(segments):
            segment.file.close()
            self._disk.unlink(join(self._directory, segment_name(segment.number)))
        for name in self.spares:
            self._disk.unlink(join(self._directory, name))
        self.spares.clear()
        self._inherited.clear()
        self._disk.sync_dir(self._directory)

    def _extend(self, segment: Segment, upto: int) -> None:
        start, there = segment.size, segment.file.size()
        if start < there:
            # Blocks of a former process: they need no space, but nobody knows whether they are durable.
            upto = min(upto, there)
        else:
            self._require(upto - start)
        try:
            _fill(segment.file, start, upto)
            segment.file.sync()
        except OSError as error:
            if error.errno in NO_SPACE_ERRNOS:
                with contextlib.suppress(OSError):
                    segment.file.truncate(start)
            raise
        segment.capacity = max(segment.capacity, upto)
        segment.size = upto

    def _add(self, number: int, size: int) -> Segment:
        header = records.new_header(number, self._random32)
        if self.spares:
            size = self._recycle(header, size)
        else:
            self._require(size)
            self._make_file(header, size)
        return self._open(header, size)

    def _make_file(self, header: Header, size: int) -> None:
        path = join(self._directory, segment_name(header.number))
        temporary = path + ".tmp"
        file = self._disk.open(temporary, create=True)
        try:
            file.pwrite(records.pack_header(header), 0)
            _fill(file, HEADER_SIZE, size)
            file.sync()
        except OSError:
            with contextlib.suppress(OSError):
                self._disk.unlink(temporary)
            raise
        finally:
            file.close()
        self._disk.rename(temporary, path)
        self._disk.sync_dir(self._directory)

    def _recycle(self, header: Header, size: int) -> int:
        """Turn a spare into the segment of `header`; return its prepared size."""
        name = self.spares[-1]
        spare = join(self._directory, name)
        file = self._disk.open(spare)
        try:
            there = file.size()
            prepared = HEADER_SIZE if name in self._inherited else there
            if there < size:
                self._require(size - there)
            _fill(file, prepared, size)
            file.pwrite(records.pack_header(header), 0)
            file.sync()
        finally:
            file.close()
        self._disk.rename(spare, join(self._directory, segment_name(header.number)))
        self._disk.sync_dir(self._directory)
        self.spares.remove(name)
        self._inherited.discard(name)
        return max(prepared, size)

    def _open(self, header: Header, size: int) -> Segment:
        file = self._disk.open(join(self._directory, segment_name(header.number)))
        return Segment(file, Frames(header), header.number, size, self._options.segment)

    # -- the old end ------------------------------------------------------------------------------------

    def drop_before(self, index: int) -> None:
        """Give up the oldest segments as long as the one after still starts at or below `index`."""
        while self.at > 0:
            low = self.row[1].low
            if low is None or low > index:
                return
            self.at -= 1
            self._background.submit(functools.partial(self._retire, self.row.pop(0)), self._retired)

    def _retire(self, segment: Segment) -> None:
        # The new name is durable before the file is used again: after a crash no header may stand under a
        # name that it does not belong to. One name at a time, so that no gap can appear in the row.
        path = join(self._directory, segment_name(segment.number))
        if segment.file.size() > segment.size:  # what was never prepared by this process
            segment.file.truncate(segment.size)
        segment.file.close()
        small = segment.size <= 2 * self._options.segment
        if len(self.spares) < MAX_SPARES and small and segment.number > self.tainted:
            spare = f"{SPARE}{segment.number:020d}"
            self._disk.rename(path, join(self._directory, spare))
            self._disk.sync_dir(self._directory)
            self.spares.append(spare)
        else:
            self._disk.unlink(path)
            self._disk.sync_dir(self._directory)

    def _retired(self, _: None, error: BaseException | None) -> None:
        if isinstance(error, OSError) and error.errno in NO_SPACE_ERRNOS:
            self._owes_sync = True
            self._say_full(error)  # so that it is tried again
        elif error is not None and not self._closed:
            self.failed(error)
        elif self.full is not None:
            self.retry()

    def remains(self) -> list[str]:
        """Return the names of files up to `tainted` that are still there. A job of the background worker."""
        names = self._disk.listdir(self._directory)
        return [name for name in names if (number := _number_of(name)) and number <= self.tainted]

    def size(self) -> int:
        """Return the bytes of all segments and spares' segments that are in the row."""
        return sum(segment.size for segment in self.row)

    def close(self) -> None:
        """Close the files. Jobs under way end by themselves."""
        self._closed = True
        for segment in self.row:
            segment.file.close()


def _number_of(name: str) -> int:
    digits = name.removeprefix(SPARE).partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _fill(file: File, start: int, end: int) -> None:
    while start < end:
        size = min(len(_ZEROS), end - start)
        file.pwrite(_ZEROS[:size], start)
        start += size


def _free(disk: Disk, directory: str) -> int:
    try:
        return disk.free(directory)
    except OSError:
        return 0


def _nothing(*_: object) -> None:
    pass
