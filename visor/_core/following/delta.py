"""What a reader of a cache is told: one path that differs, and a batch of them that belongs together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from typing import Generic, TypeVar

from visor._core.dataclass import dataclass
from visor._core.generic import E_co
from visor._core.public import public
from visor._core.shown import several, word
from visor.values import Kind

E = TypeVar("E")


class Origin(StrEnum):
    """Where a batch comes from."""

    BACKLOG = "backlog"
    """What was there before the reader came."""
    COMMITS = "commits"
    """What was committed since: one commit, or several of them merged where the reader wants that."""
    REBUILT = "rebuilt"
    """The difference to a fresh look at the whole: the steps between are lost (compaction, a dropped reader)."""


@dataclass(slots=True)  # (a frozen one takes three times as long to make, and every change makes one)
class Delta(Generic[E_co]):
    """One path that differs; `before` and `after` are None where there was or is nothing."""

    path: str
    before: E_co | None
    after: E_co | None
    kind: Kind

    def __repr__(self) -> str:
        return f"Delta({self.kind.value} {word(self.path)})"


@dataclass(slots=True)
class Batch(Generic[E_co]):
    """Differences that belong together: the state at `since` with them is the state at `rev`."""

    rev: int
    since: int
    deltas: tuple[Delta[E_co], ...]
    origin: Origin = Origin.COMMITS
    backlog_end: bool = False
    """With this batch everything that was there before the reader came has been given; true exactly once."""
    time: int = 0
    """When it was committed, ms since 1970; 0 when it is not one commit."""
    actor: str = ""
    note: str | None = None

    def __iter__(self) -> Iterator[Delta[E_co]]:
        return iter(self.deltas)

    def __len__(self) -> int:
        return len(self.deltas)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        names = (f"{delta.kind.value} {word(delta.path)}" for delta in self.deltas)
        what = several(names, len(self.deltas)) or "nothing"
        return f"Batch(revs after {self.since} up to {self.rev}, {self.origin.value}: {what})"


def difference(path: str, before: E | None, after: E | None) -> Delta[E]:
    """Return the delta between two known states, of which one at least is there."""
    if before is None:
        kind = Kind.CREATE
    else:
        kind = Kind.DELETE if after is None else Kind.UPDATE
    return Delta(path, before, after, kind)


def merged(first: Batch[E], second: Batch[E]) -> Batch[E]:
    """Return one batch that leads where both lead, with the latest state of each path and not each step.

    a: create 1, update 2     ->  create 2
    b: create 1, delete       ->  nothing
    c: delete,   create 2     ->  update to 2
    """
    deltas = {delta.path: delta for delta in first.deltas}
    for delta in second.deltas:
        earlier = deltas.get(delta.path)
        if earlier is None:
            deltas[delta.path] = delta
        elif earlier.before is None and delta.after is None:
            del deltas[delta.path]
        else:
            kind = delta.kind if delta.after is None else difference("", earlier.before, delta.after).kind
            deltas[delta.path] = Delta(delta.path, earlier.before, delta.after, kind)
    rebuilt = Origin.REBUILT in (first.origin, second.origin)
    return replace(
        second,
        since=first.since,
        deltas=tuple(deltas.values()),
        origin=Origin.REBUILT if rebuilt else second.origin,
        backlog_end=first.backlog_end or second.backlog_end,
        time=0,
        actor="",
        note=None,
    )


public("visor.following", Origin, Delta, Batch)
