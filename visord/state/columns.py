"""Commits as columns: what history files hold, made and read with little work for each commit.

    rev 7  alice  create /a = b"x"                    Columns(
    rev 8  bob    update /a = b"y", delete /b            first   7
    rev 9  alice  create /c = b"z", note "why"           times   three times, ms, 8 bytes each, little-endian
                                                         actors  (["alice", "bob"], [0, 1, 0])
                                                         notes   [[2, "why"]]
                                                         counts  [1, 2, 1]
                                                         kinds   1 2 3 1, a byte each
                                                         paths   ["/a", "/a", "/b", "/c"]
                                                         values  [b"x", b"y", None, b"z"]
                                                         leases  None
                                                         born    None
                                                         again   b"")

A commit has one time and one actor, a change one kind, path, value and lease. What is always the same is left out: the
actors' numbers where there is one actor, `counts` where every commit has one change, `leases` where nothing has one.

Where every commit only creates or updates one file without a lease, as in most of a long history, they are **short**:
`born` holds for each commit the rev that created its file (8 bytes each, like `times`), so that who imports them in
order knows the file without looking for its path. `paths` has those of created files only; those of updated ones are in
`again`, packed, for readers who do not know the creation (it was before a base). `whole` brings them together.

    rev 7 create /a, rev 8 update /b (since 3), rev 9 update /a      born 7 3 7    paths ["/a"]    again ["/b", "/a"]

`packable` and `unpacked` turn columns into what msgpack carries and back. Rows are those of `exporting`.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

import msgpack

from visor.protocol.verbs import CREATE, UPDATE

Row: TypeAlias = Any
"""`[rev, time, actor, note, [[kind, path, value, lease], ...]]`."""


class Columns(NamedTuple):
    """See the module."""

    first: int
    times: bytes
    actors: tuple[list[str], Sequence[int] | None]
    notes: list[Any]
    counts: list[int] | None
    kinds: bytes
    paths: list[str]
    values: list[bytes | None]
    leases: list[int] | None
    born: bytes | None = None
    again: bytes = b""

    @property
    def size(self) -> int:
        """How many commits these are."""
        return len(self.times) // 8


def packable(columns: Columns) -> list[Any]:
    """Return the columns for msgpack, without `first`."""
    return list(tuple(columns)[1:])


def unpacked(first: int, content: Any) -> Columns:
    """Return the columns that `packable` gave. Raises ValueError or TypeError when they do not fit together."""
    if type(content) is not list or len(content) != 10:
        raise ValueError("not columns of commits")
    columns = Columns(first, *content)
    commits, changes = len(columns.times) // 8, len(columns.kinds)
    numbers, leases, counts, born = columns.actors[1], columns.leases, columns.counts, columns.born
    if len(columns.times) % 8 or type(columns.times) is not bytes or type(columns.kinds) is not bytes:
        raise ValueError("times or kinds are no columns")
    if len(columns.paths) != (changes if born is None else columns.kinds.count(CREATE)):
        raise ValueError(f"{len(columns.paths)} paths for {changes} changes")
    if len(columns.values) != changes or (leases is not None and len(leases) != changes):
        raise ValueError(f"{len(columns.values)} values for {changes} changes, or not a lease for each")
    if (commits if counts is None else sum(counts)) != changes or (
        counts is not None and len(counts) != commits
    ):
        raise ValueError(f"{commits} commits do not have {changes} changes")
    if numbers is not None and len(numbers) != commits:
        raise ValueError(f"not an actor for each of {commits} commits")
    if born is not None and (len(born) != len(columns.times) or counts is not None or leases is not None):
        raise ValueError("short columns with something that these have not")
    return columns


def whole(columns: Columns) -> Columns:
    """Return columns with all paths. Raises ValueError or TypeError when those do not fit."""
    if columns.born is None:
        return columns
    created, updated = iter(columns.paths), iter(msgpack.unpackb(columns.again))
    kinds = columns.kinds
    paths = [next(created) if kind == CREATE else next(updated) for kind in kinds]
    if next(updated, None) is not None:
        raise ValueError("more paths than changes")
    return columns._replace(paths=paths, born=None, again=b"")


def updated_path(columns: Columns, position: int) -> str:
    """Return the path that the commit at `position` of short columns updates."""
    path: str = msgpack.unpackb(columns.again)[columns.kinds[:position].count(UPDATE)]
    return path


def column(numbers: bytes) -> array[int]:
    """Return the numbers of a column like `times`."""
    found = array("q", numbers)
    if sys.byteorder == "big":
        found.byteswap()
    return found


def actors_of(columns: Columns, known: Callable[[str], str] = str) -> list[str]:
    """Return the actor of each commit; `known` gives the object that stands for a name."""
    names, numbers = [known(name) for name in columns.actors[0]], columns.actors[1]
    if numbers is None:
        return [names[0]] * columns.size
    return [names[number] for number in numbers]


def packed(numbers: array[int]) -> bytes:
    """Return the bytes of a column of numbers."""
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def from_rows(rows: Sequence[Row]) -> Columns:
    """Return the columns of rows, one at least, whose revs follow each other."""
    changes = [change for row in rows for change in row[4]]
    counts = [len(row[4]) for row in rows]
    leases = [change[3] for change in changes]
    return Columns(
        rows[0][0],
        packed(array("q", [row[1] for row in rows])),
        numbered([row[2] for row in rows]),
        [[position, row[3]] for position, row in enumerate(rows) if row[3] is not None],
        None if counts.count(1) == len(counts) else counts,
        bytes([change[0] for change in changes]),
        [change[1] for change in changes],
        [change[2] for change in changes],
        leases if any(leases) else None,
    )


def numbered(actors: Sequence[str]) -> tuple[list[str], list[int] | None]:
    """Return the actors' names, each once, and the number of each commit's; None when all have the first."""
    if actors.count(actors[0]) == len(actors):
        return [actors[0]], None
    numbers = {name: number for number, name in enumerate(dict.fromkeys(actors))}
    return list(numbers), [numbers[actor] for actor in actors]


def to_rows(columns: Columns) -> list[Row]:
    """Return the rows of columns. Raises ValueError and the like when the paths do not fit."""
    columns = whole(columns)
    notes = dict(columns.notes)
    leases = columns.leases or [0] * len(columns.kinds)
    changes = [
        list(change) for change in zip(columns.kinds, columns.paths, columns.values, leases, strict=True)
    ]
    commits = zip(_starts(columns), column(columns.times), actors_of(columns), strict=True)
    return [
        [columns.first + position, time, actor, notes.get(position), changes[start:stop]]
        for position, ((start, stop), time, actor) in enumerate(commits)
    ]


def part_of(columns: Columns, start: int, stop: int) -> Columns:
    """Return the commits from position `start` to before `stop`. Raises ValueError for paths that were not packed."""
    if start <= 0 and stop >= columns.size:
        return columns
    names, numbers = columns.actors
    part = columns._replace(
        first=columns.first + start,
        times=columns.times[start * 8 : stop * 8],
        actors=(names, None if numbers is None else numbers[start:stop]),
        notes=[[position - start, note] for position, note in columns.notes if start <= position < stop],
    )
    if columns.born is not None:
        low, high = columns.kinds[:start].count(CREATE), columns.kinds[:stop].count(CREATE)
        updated = msgpack.unpackb(columns.again)[start - low : stop - high]
        return part._replace(
            kinds=columns.kinds[start:stop],
            paths=columns.paths[low:high],
            values=columns.values[start:stop],
            born=columns.born[start * 8 : stop * 8],
            again=msgpack.packb(updated),
        )
    counts = columns.counts
    low, high = (start, stop) if counts is None else (sum(counts[:start]), sum(counts[:stop]))
    return part._replace(
        counts=None if counts is None else counts[start:stop],
        kinds=columns.kinds[low:high],
        paths=columns.paths[low:high],
        values=columns.values[low:high],
        leases=None if columns.leases is None else columns.leases[low:high],
    )


def _starts(columns: Columns) -> Iterable[tuple[int, int]]:
    if columns.counts is None:
        return ((position, position + 1) for position in range(columns.size))
    ends = list(accumulate(columns.counts))
    return zip([0, *ends], ends, strict=False)
