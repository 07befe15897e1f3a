"""SCAN: the files that a selector means, at a rev, in path order or against it."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

from visor.paths import ROOT, sort_key
from visor.protocol.verbs import SEL_RANGE
from visord.state.cost import ROW, UNIT_BYTES_BITS, VISIT
from visord.state.reads import page
from visord.state.reads.walk import Passed, walk
from visord.state.selector import Selector
from visord.state.store import Store
from visord.state.version import Version


def scan(
    store: Store,
    selector: Selector,
    rev: int,
    cursor: str | None = None,
    limit: int = 0,
    *,
    keys: bool = False,
    reverse: bool = False,
) -> list[Any]:
    """Return `[rev, rows, cursor, nil]`, row `[path, version]`; the value is nil with `keys`.

    `cursor` is the path behind which to go on. An answer may hold fewer rows than asked for, even none, and
    still have a cursor.
    """
    rows: list[list[Any]] = []
    most, room, left = page.rows(limit, store.limits), store.limits.page_bytes, page.BUDGET
    matches, price = selector.matches, None if selector.plain else selector.price
    for path, version in visit(store, selector, rev, cursor, reverse=reverse):
        left -= VISIT if price is None else price(path)
        if version is not None and matches(path):
            if len(rows) >= most or room <= 0:
                return [rev, rows, rows[-1][0], None]
            version = store.bare(path, version) if keys else store.filled(path, version)
            rows.append([path, version])
            size = 0 if keys else len(version[1] or b"")
            room -= size
            left -= ROW + (size >> UNIT_BYTES_BITS)
        if left <= 0:
            return [rev, rows, path, None]
    return [rev, rows, None, None]


def visit(
    store: Store,
    selector: Selector,
    rev: int,
    cursor: str | None = None,
    *,
    reverse: bool = False,
    passed: Passed | None = None,
) -> Iterator[tuple[str, Version | None]]:
    """Walk the selector from `cursor` on, only as far as a range goes (which passes no directory by).

    Of several selectors each is walked, and what two of them come to is yielded once: as a file when one says so.
    """
    if selector.several is not None:
        each = (visit(store, part, rev, cursor, reverse=reverse, passed=passed) for part in selector.parts)
        return _distinct(merge(*each, key=_order, reverse=reverse))
    if selector.kind != SEL_RANGE:
        first = cursor is None
        return walk(store, selector, rev, cursor, inclusive=first, reverse=reverse, passed=passed)
    return _visit_range(store, selector, rev, cursor, reverse=reverse)


def _order(entry: tuple[str, Version | None]) -> str:
    return sort_key(entry[0])


def _distinct(entries: Iterator[tuple[str, Version | None]]) -> Iterator[tuple[str, Version | None]]:
    for path, same in groupby(entries, key=itemgetter(0)):
        yield path, next((version for _, version in same if version is not None), None)


def _visit_range(
    store: Store, selector: Selector, rev: int, cursor: str | None, *, reverse: bool
) -> Iterator[tuple[str, Version | None]]:
    low, end = selector.start or ROOT, selector.end
    if reverse:
        start = cursor if end is None or (cursor and sort_key(cursor) < sort_key(end)) else end
        inclusive = False
    else:
        behind = cursor is not None and sort_key(cursor) >= sort_key(low)
        start, inclusive = (cursor, False) if behind else (low, True)
    stop = sort_key(low) if reverse else sort_key(end) if end is not None else None
    for path, version in walk(store, selector, rev, start, inclusive=inclusive, reverse=reverse):
        if stop is not None and (sort_key(path) < stop if reverse else sort_key(path) >= stop):
            return
        yield path, version
