"""What a store needs of the disk: the values that are not in memory any more (`past.py`).

    store.filled(path, stub)  ->  reader.value(path, rev)  ->  what is at hand, or a block that is read from a file

The real one is `storage/past_reader.py`.

Who answers clients does not wait for a disk: it asks first with what is at hand (`visord/serving/cold_reads.py`).
"""

from __future__ import annotations

from typing import Protocol

from visord.state.columns import Columns


class Absent(Exception):  # noqa: N818 - it says what is missing; nothing went wrong
    """So much is not at hand that looking further is of no use: it has to be read first."""


class Unreadable(OSError):  # noqa: N818 - the name says what it is
    """Something that was written cannot be read any more. `path`, `offset` (None: the whole file): where."""

    def __init__(self, path: str, offset: int | None, why: str) -> None:
        super().__init__(why)
        self.path = path
        self.offset = offset


class PastValues(Protocol):
    """See the module. Raises `Unreadable`."""

    def value(self, path: str, rev: int) -> tuple[bytes | None, int]:
        """Return the value and the lease (0: none) of the version of `path` that `rev` wrote."""

    def told(self, rev: int) -> tuple[str, str | None]:
        """Return who made the commit `rev`, and why."""

    def kind(self, path: str, rev: int) -> int:
        """Return the kind of what `rev` did to `path`."""

    def columns(self, rev: int) -> Columns:
        """Return some commits as they were written, `rev` among them."""

    def look_through(self) -> None:
        """Find out where everything lies: on any thread."""
