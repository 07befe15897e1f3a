"""A backlog in pieces of bounded size, the last of which says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from visor._core.following.delta import Batch, Delta, Origin

E = TypeVar("E")

MOST = 1000
"""Paths in one piece."""
MOST_BYTES = 2 << 20
"""Bytes in one piece, as the source weighs them."""


def cut(batch: Batch[E], weigh: Callable[[E], int]) -> Iterator[Batch[E]]:
    """Cut a batch into pieces that lead to its rev together; one at least, and only the last ends a backlog.

    A piece but the last claims no progress: its `rev` is where the whole begins. A single entry above the
    bound is a piece of its own.
    """
    for deltas, last in _bounded(batch.deltas, weigh):
        if last:
            yield replace(batch, deltas=deltas)
        else:
            yield replace(batch, deltas=deltas, rev=batch.since, backlog_end=False)


def _bounded(
    deltas: Iterable[Delta[E]], weigh: Callable[[E], int]
) -> Iterator[tuple[tuple[Delta[E], ...], bool]]:
    piece: list[Delta[E]] = []
    size = 0
    for delta in deltas:
        more = 100 if delta.after is None else weigh(delta.after)
        if piece and (len(piece) >= MOST or size + more > MOST_BYTES):
            yield tuple(piece), False
            piece, size = [], 0
        piece.append(delta)
        size += more
    yield tuple(piece), True


def backlog(rev: int, deltas: Iterable[Delta[E]]) -> Batch[E]:
    """Return what there is at `rev` as one batch, not cut yet."""
    return Batch(rev, 0, tuple(deltas), Origin.BACKLOG, backlog_end=True)
