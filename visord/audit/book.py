"""The files of one chain: opened again after whatever happened, written to the end, and begun anew when one is full.

    access.log                        the file that is written
    access-000000000001.log, ...      full ones, by the number of their first line; of these the newest are kept

All of it blocks: it runs on the thread for background work. A chain goes on where its last whole line ended, in
whichever file that is: over rotation, over a restart, and after a failed write, which is not gone on with but found out
anew from the disk. What a power cut left of a line (bytes without an end, or zeros) is cut off and told (`torn`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from visord.audit.line import MOST, START, ChainEnd, Fields, hash_of, kept, read, written
from visord.audit.recorded import TORN
from visord.storage.disk import Disk, File, join

TAIL: Final = 16 * MOST
"""Bytes of a file's end in which its last whole line is looked for."""


class Noted(NamedTuple):
    """Something to be written. `fields` were `kept`."""

    milliseconds: int
    event: str
    fields: Fields


class ChainBounds(NamedTuple):
    """How much a chain may take of the disk."""

    bytes: int
    """Of one file."""
    files: int
    """Full ones that are kept."""
    reserve: int
    """Free bytes that are left to others."""


class Book:
    """See the module. Not for two threads at once."""

    def __init__(
        self,
        disk: Disk,
        directory: str,
        name: str,
        node: str,
        bounds: ChainBounds,
        clock_ms: Callable[[], int],
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._name = name
        self._path = join(directory, f"{name}.log")
        self._node = node
        self._bounds = bounds
        self._clock_ms = clock_ms
        self._file: File | None = None
        self._end = 0
        self._first = 0
        """Number of the first line of the file."""
        self.place = START

    def append(self, records: Iterable[Noted]) -> ChainEnd:
        """Write records, durable on return; return where the chain is then. OSError: any may be there, or none."""
        try:
            file = self._open()
            if self._disk.free(self._directory) < self._bounds.reserve:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)
            for data in self._pieces(records):
                if self._end and self._end + len(data) > self._bounds.bytes:
                    file = self._begin_anew(file)
                self._first = self._first or self.place.number
                file.pwrite(data, self._end)
                self._end += len(data)
            file.sync()
        except BaseException:
            # What is on the disk now is unknown, after a failed sync more than ever: it is found out anew.
            self.close()
            raise
        return self.place

    def _pieces(self, records: Iterable[Noted]) -> Iterator[bytes]:
        for milliseconds, event, fields in records:
            data, self.place = written(self.place, milliseconds, self._node, event, fields)
            yield data

    def close(self) -> None:
        """Give the file back. Idempotent; `append` opens it again."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    # -- opening ----------------------------------------------------------------------------------------------------

    def _open(self) -> File:
        """Return the file to write to, with `place` where the chain is."""
        if self._file is not None:
            return self._file
        if not self._disk.exists(self._directory):
            self._disk.mkdir(self._directory)
        self.place, self._end, self._first = START, 0, 0
        older = self.full()
        if older:
            self.place, _, _ = self._ending(older[-1])
        if not self._disk.exists(self._path):
            return self._make()
        place, end, size = self._ending(self._path)
        self.place = max(place, self.place)  # by number: an empty file says nothing
        self._file = file = self._disk.open(self._path)
        self._end = end
        if end:
            self._first = _first_of(file)
        if size > end:
            file.truncate(end)
            file.sync()
            self._tell_torn(file, size - end)
        return file

    def _make(self) -> File:
        self._file = self._disk.open(self._path, create=True)
        self._end = self._first = 0
        self._disk.sync_dir(self._directory)
        return self._file

    def _tell_torn(self, file: File, size: int) -> None:
        reason = f"{size} bytes of a line that was not whole were cut off: the machine or the process ended meanwhile"
        data, self.place = written(self.place, self._clock_ms(), self._node, TORN, kept({"reason": reason}))
        self._first = self._first or self.place.number
        file.pwrite(data, self._end)
        self._end += len(data)

    def _ending(self, path: str) -> tuple[ChainEnd, int, int]:
        """Return the last whole line of a file (`START` without one), where it ends, and the file's size."""
        file = self._disk.open_read(path)
        try:
            size = file.size()
            start = max(0, size - TAIL)
            tail = file.pread(size - start, start)
        finally:
            file.close()
        end = tail.rstrip(b"\0").rfind(b"\n") + 1
        if start and not end:  # these are no lines at all: nothing of it is touched, and `verify` tells
            end = len(tail)
        return _last(tail[:end]), start + end, size

    # -- rotation ---------------------------------------------------------------------------------------------------

    def full(self) -> list[str]:
        """Return the full files that are kept, the oldest first."""
        names = [name for name in self._disk.listdir(self._directory) if self._number_in_name(name)]
        return [join(self._directory, name) for name in names]

    def _number_in_name(self, path: str) -> int:
        name = path.rpartition("/")[2]
        number = name.removeprefix(f"{self._name}-").removesuffix(".log")
        return int(number) if number.isascii() and number.isdigit() and len(number) == 12 else 0

    def _begin_anew(self, file: File) -> File:
        """Put the full file beside and begin another one."""
        file.sync()
        self.close()
        number = self._first
        while self._disk.exists(aside := join(self._directory, f"{self._name}-{number:012d}.log")):
            number += 1  # a file that was damaged may have had no number: none is ever replaced
        self._disk.rename(self._path, aside)
        made = self._make()
        for path in self.full()[: -self._bounds.files or None]:
            self._disk.unlink(path)
        return made


def _last(data: bytes) -> ChainEnd:
    """Return where the chain is after these lines. One that cannot be read counts, and has a hash like any other."""
    lines = data.split(b"\n")[:-1]
    for unread, line in enumerate(reversed(lines)):
        found = read(line)
        if found is not None:
            return ChainEnd(found[0] + unread, hash_of(lines[-1]))
    return ChainEnd(len(lines), hash_of(lines[-1])) if lines else START


def _first_of(file: File) -> int:
    found = read(file.pread(MOST, 0).partition(b"\n")[0])
    return 0 if found is None else found[0]
