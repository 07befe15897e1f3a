"""What each rev did, column by column: when, who, why, and which files.

Values are not repeated here: a rev's changes are found in the versions of the files it touched. Column entry
`i` belongs to rev `base + 1 + i`:

    rev       1            2            3                  base = 0
    times     1000         1000         1007
    actors    "alice"      "bob"        "alice"
    touched   File(/a)     File(/a)     (File(/a), File(/b))    several: a tuple in path order
    notes     {3: "tidy up"}                               only where there is one
    expired   {}                                           revs at which leases ended
    recent    (1, ...)     (2, ...)     None               what the newest commits wrote: see below

Who, why and whether leases ended is only known of revs behind `told_base`: those of the others are read from disk, once
a checkpoint has them (`spilling.py`).

`recent` holds the versions of the commits behind `recent_base` that only set one file, None for all others. A
checkpoint takes them from there; looking for them in the files would take most of its time. It is dropped up to the
last checkpoint, and bounded: what it lacks is looked for.
"""

from __future__ import annotations

from itertools import islice, takewhile
from typing import TypeAlias

from visord.state.times import Times
from visord.state.tree import File
from visord.state.version import Version

Touched: TypeAlias = File | tuple[File, ...]

MAX_RECENT = 1 << 20
FORGOTTEN = 16_384
"""Recent versions that an apply forgets at once: the list they are in is long, and is moved then."""
FREED_BYTES = 4 << 20
"""Bytes of values that are forgotten at once."""
_ACTORS = 65_536
_TEXT = 100
"""Bytes that a text takes beside its characters, with its place in a dict."""


class History:
    """The columns, for revs from `base + 1` on."""

    __slots__ = (
        "_names",
        "actors",
        "base",
        "expired",
        "extra",
        "notes",
        "recent",
        "recent_base",
        "times",
        "told_base",
        "touched",
    )

    def __init__(self, base: int = 0) -> None:
        self.base = base
        self.times = Times()
        self.actors: list[str] = []
        self.touched: list[Touched] = []
        self.recent: list[Version | None] = []
        self.recent_base = base
        self.told_base = base
        self.notes: dict[int, str] = {}
        self.expired: dict[int, bool] = {}
        self.extra = 0
        """About how many bytes notes and actors' names take; they go as the revs do."""
        self._names: dict[str, str] = {}

    def actor(self, name: str) -> str:
        """Return the one object that stands for this actor in the column."""
        names = self._names
        if len(names) >= _ACTORS:
            self.extra -= sum(_TEXT + len(one) for one in names)
            names.clear()  # only memory is at stake
        known = names.setdefault(name, name)
        if known is name:
            self.extra += _TEXT + len(name)
        return known

    def note(self, rev: int, text: str) -> None:
        """Keep the note of a rev, the newest one."""
        self.notes[rev] = text
        self.extra += 2 * _TEXT + len(text)

    def files(self, rev: int) -> tuple[File, ...]:
        """Return the files that `rev` changed, in path order."""
        touched = self.touched[rev - self.base - 1]
        return (touched,) if type(touched) is File else touched  # type: ignore[return-value]

    def time(self, rev: int) -> int:
        return self.times[rev - self.base - 1]

    def drop_recent(self, rev: int, most: int = MAX_RECENT) -> bool:
        """Forget the recent versions up to `rev`, `most` at once; return whether there are more.

        Fewer where their values are large: what nobody else holds any more is given back here.
        """
        count = size = 0
        for version in islice(self.recent, max(0, min(rev - self.recent_base, most))):
            count += 1
            if version is not None and version[1] is not None:
                size += len(version[1])
                if size > FREED_BYTES:
                    break
        if count > 0:
            del self.recent[:count]
            self.recent_base += count
        return rev > self.recent_base

    def replace_recent(self, version: Version) -> None:
        """Let another version stand where a recent one of the same rev does, if there is one."""
        position = version[0] - self.recent_base - 1
        if 0 <= position < len(self.recent) and self.recent[position] is not None:
            self.recent[position] = version

    def drop(self, count: int) -> None:
        """Forget the `count` oldest revs."""
        self.forget_told(self.base + count)
        self.times.drop(count)
        del self.touched[:count]
        self.base += count
        if not self.times:
            self._names.clear()
            self.extra = 0

    def forget_told(self, rev: int) -> None:
        """Forget who made the commits up to `rev`, why, and which ended leases; keep in little when they were made."""
        if rev <= self.told_base:
            return
        self.times.seal(rev - self.base)
        del self.actors[: rev - self.told_base]
        self.told_base = rev
        # Both ascend by rev, as they were written.
        for one in list(takewhile(rev.__ge__, self.notes)):
            self.extra -= 2 * _TEXT + len(self.notes.pop(one))
        for one in list(takewhile(rev.__ge__, self.expired)):
            del self.expired[one]

    def rev_at(self, time: int) -> int:
        """Return the last rev at or before `time`; `base` when all came later."""
        return self.base + self.times.up_to(time)
