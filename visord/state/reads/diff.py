"""DIFF: the files that are not the same version at two revs.

Few changes in between: look at those, all of them for each page. Many: walk the tree at both revs side by side, past
the directories in which nothing changed, and go on behind the cursor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from visor.paths import sort_key
from visord.state.cost import CHANGE_ROW, UNIT_BYTES_BITS, VISIT
from visord.state.reads import page
from visord.state.reads.log import candidates
from visord.state.reads.scan import visit
from visord.state.selector import Selector
from visord.state.store import Store
from visord.state.tree import Directory
from visord.state.version import Version

Row: TypeAlias = tuple[str, Version | None, Version | None]

FEW: Final = 2_000
"""Units of cost up to which the changes in between are looked at, before walking is thought to be cheaper."""


def diff(
    store: Store, selector: Selector, a: int, b: int, cursor: str | None = None, limit: int = 0
) -> list[Any]:
    """Return `[rev, rows, cursor]`, row `(path, version at a, version at b)`, None where there is no file.

    `a` and `b` are readable revs in any order; `rev` is the latest. `cursor` is the path behind which to go
    on; an answer may hold few rows, even none, and still have one.
    """
    rows: list[Row] = []
    most, room, left = page.rows(limit, store.limits), store.limits.page_bytes, page.BUDGET
    for row, spent in rows_between(store, selector, a, b, cursor):
        path, before, after = row
        left -= spent
        if (before and before[0]) != (after and after[0]):
            if len(rows) >= most or room <= 0:
                return [store.rev, rows, rows[-1][0]]
            before = before and store.filled(path, before)
            after = after and store.filled(path, after)
            rows.append((path, before, after))
            size = _size(before) + _size(after)
            room -= size
            left -= CHANGE_ROW + (size >> UNIT_BYTES_BITS)
        if left <= 0:
            return [store.rev, rows, path]
    return [store.rev, rows, None]


def rows_between(
    store: Store, selector: Selector, a: int, b: int, cursor: str | None = None
) -> Iterator[tuple[Row, int]]:
    """Yield a row for each path that may differ, in path order, and what it cost to come there from the row before.

    Where nothing differs the two versions have the same rev; they may be without their values. What was looked at
    before the first row comes with it; it is no more than `FEW`, and not told where there is no row at all.
    """
    changed, spent = _changed(store, selector, min(a, b), max(a, b))
    if changed is None:
        return _side_by_side(store, selector, a, b, cursor, spent)
    if cursor is not None:
        behind = sort_key(cursor)
        changed = [path for path in changed if sort_key(path) > behind]
    return _one_by_one(store, a, b, sorted(changed, key=sort_key), spent)


def _changed(store: Store, selector: Selector, low: int, high: int) -> tuple[list[str] | None, int]:
    """Return the paths changed after `low` up to `high`, None when those are many, and what looking cost."""
    found: dict[str, None] = {}
    spent, matches, price = 0, selector.matches, selector.price
    for rev in candidates(store, selector, low + 1, high, reverse=False):
        spent += VISIT
        for file in store.history.files(rev):
            if spent > FEW:
                return None, spent
            spent += price(file.path)
            if matches(file.path):
                found[file.path] = None
    return list(found), spent


def _one_by_one(store: Store, a: int, b: int, paths: list[str], spent: int) -> Iterator[tuple[Row, int]]:
    for path in paths:
        yield (path, store.version(path, a), store.version(path, b)), spent + VISIT
        spent = 0


def _side_by_side(
    store: Store, selector: Selector, a: int, b: int, cursor: str | None, spent: int
) -> Iterator[tuple[Row, int]]:
    low, high = min(a, b), max(a, b)

    def unchanged(directory: Directory) -> bool:
        return directory.changed_at(high) <= low

    left = visit(store, selector, a, cursor, passed=unchanged)
    right = visit(store, selector, b, cursor, passed=unchanged)
    one, two = next(left, None), next(right, None)
    while one is not None or two is not None:
        key_one = sort_key(one[0]) if one is not None else None
        key_two = sort_key(two[0]) if two is not None else None
        take_one = key_one is not None and (key_two is None or key_one <= key_two)
        take_two = key_two is not None and (key_one is None or key_two <= key_one)
        path = one[0] if take_one and one is not None else two[0]  # type: ignore[index]
        spent += 2 * VISIT + selector.price(path)
        meant = selector.matches(path)
        before = one[1] if take_one and meant and one is not None else None
        after = two[1] if take_two and meant and two is not None else None
        yield (path, before, after), spent
        spent = 0
        if take_one:
            one = next(left, None)
        if take_two:
            two = next(right, None)


def _size(version: Version | None) -> int:
    return len(version[1] or b"") if version is not None else 0
