"""One file of another member's checkpoint on its way here: written piece by piece, and checked as it comes.

    verify(same)            once: what is here of it already, from before a restart or from an earlier offer
    write(offset, data)     each piece, in order: WHOLE, MORE, or WRONG (from `end` once more)

Both are jobs of the background worker. Pieces are written as they come, checked by the blocks that they complete, and
synced from time to time; when the last one was written and the whole is as the manifest says, the file is durable.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any, Final, NamedTuple

from visord.state.columns import part_of, to_rows
from visord.storage.disk import Disk
from visord.storage.errors import DamageError, FormatError, StorageError
from visord.storage.segments import COMMITS, PIECE, BlockScanner, Part, commits_of

logger = logging.getLogger("visord.storage")

SYNC: Final = 4 << 20
"""Bytes that are written before they are synced: not so many that a sync of the log would wait for long."""
TRIES: Final = 4
"""How often the same place of a file may turn out wrong."""
MORE: Final = 0
WHOLE: Final = 1
WRONG: Final = 2


class OfferError(StorageError):
    """An offer that cannot be taken: it makes no sense, is not of this cluster, or its files are not what it says."""


class Newest(NamedTuple):
    """The newest commit that was applied here, as a row (None: not known): no file may contradict it.

    `same_values`: nothing was redacted that is not, or that is, redacted there; else values may differ.
    """

    row: list[Any] | None
    same_values: bool = True

    def agrees(self, found: list[Any]) -> bool:
        """Tell whether the row of the same rev in a file is the same."""
        if self.row is None or self.same_values:
            return found == self.row
        return _without_values(found) == _without_values(self.row)


def _without_values(row: list[Any]) -> list[Any]:
    rev, time, actor, note, changes = row
    return [rev, time, actor, note, [[kind, path, lease] for kind, path, _, lease in changes]]


class Fetched:
    """See the module."""

    def __init__(self, disk: Disk, part: Part, path: str, source: str, newest: Newest) -> None:
        self._disk = disk
        self._path = path
        self._source = source
        self._newest = newest if part.kind == COMMITS else Newest(None)
        self._scanner = BlockScanner(path, part)
        self._unsynced = 0
        self._wrong_at = -1
        self._tries = 0
        self.part = part

    @property
    def end(self) -> int:
        """Where the next piece begins."""
        return self._scanner.fed

    @property
    def checked(self) -> int:
        """Bytes that are here and sound."""
        return self._scanner.position

    def size(self) -> int:
        """Return how many bytes the file has, right or wrong."""
        if not self._disk.exists(self._path):
            return 0
        file = self._disk.open_read(self._path)
        try:
            return file.size()
        finally:
            file.close()

    def verify(self, same: bool) -> int:
        """Check what is here, and cut off what is wrong: WHOLE or MORE.

        The beginning of a file counts when the `same` member sent it: then the rest continues it.
        """
        if not self._disk.exists(self._path):
            self._disk.open(self._path, create=True).close()
            return MORE
        size, found = self.part.size, MORE
        file = self._disk.open(self._path)
        try:
            with contextlib.suppress(DamageError, FormatError):
                for offset in range(0, min(file.size(), size), PIECE):
                    self._scan(file.pread(min(PIECE, size - offset), offset))
                self._scanner.finish()
                found = WHOLE
            if found == MORE and (not same or self.checked == size):
                self._scanner = BlockScanner(self._path, self.part)
            self._scanner.rewind()
            if file.size() > self.checked:
                file.truncate(self.checked)
            file.sync()
        finally:
            file.close()
        return found

    def write(self, offset: int, data: bytes) -> int:
        """Write a piece behind what is there, and check it.

        Raises `OfferError` when it was wrong too often, `OSError`, and `FormatError` for what a later version wrote.
        """
        if offset != self.end:
            return WRONG  # what came before it was
        if not data:
            self._wrong(offset, OfferError(f"{self._path}, offset {offset}: a piece of another size came"))
            return WRONG
        file = self._disk.open(self._path)
        try:
            file.pwrite(data, offset)
            self._unsynced += len(data)
            found = self._check(data)
            if found == WHOLE or self._unsynced >= SYNC:
                file.sync()
                self._unsynced = 0
        finally:
            file.close()
        return found

    def _check(self, data: bytes) -> int:
        try:
            self._scan(data)
            if self.checked < self.part.size:
                return MORE
            self._scanner.finish()
        except DamageError as error:
            self._wrong(self.checked, error)
            if self.checked == self.part.size:  # every block is sound, and yet it is another file
                self._scanner = BlockScanner(self._path, self.part)
            self._scanner.rewind()
            return WRONG
        return WHOLE

    def _wrong(self, place: int, error: StorageError) -> None:
        self._tries = self._tries + 1 if place == self._wrong_at else 1
        self._wrong_at = place
        if self._tries >= TRIES:
            raise OfferError(
                f"{self.part.name} of {self._source} was wrong {TRIES} times: {error}"
            ) from error
        logger.warning("a piece of a checkpoint is wrong, it is fetched again: %s", error)

    def _scan(self, data: bytes) -> None:
        newest = self._newest
        for block in self._scanner.feed(data):
            if newest.row is not None and block.first <= newest.row[0] <= block.last:
                position = newest.row[0] - block.first
                (found,) = to_rows(part_of(commits_of(block), position, position + 1))
                if not newest.agrees(found):
                    raise DifferentError(self._source, newest.row[0])


class DifferentError(StorageError):
    """Two members have different commits at one rev."""

    def __init__(self, source: str, rev: int) -> None:
        super().__init__(
            f"this member and {source} have different commits at rev {rev}: one of them does not belong to this "
            "cluster's history. Remove this member and join it again with an empty data directory."
        )
