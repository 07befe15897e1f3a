"""DIFF: the files that are not the same version at two revs.

Few changes in between: look at those. Many: walk the tree at both revs side by side, which the files bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from visor.paths import sort_key
from visord.state.reads import page
from visord.state.reads.log import candidates
from visord.state.reads.scan import visit
from visord.state.selector import Selector
from visord.state.store import Store
from visord.state.version import Version

Row: TypeAlias = tuple[str, Version | None, Version | None]

FEW: Final = 20_000
"""Changes that are looked at one by one before walking is thought to be cheaper."""


def diff(
    store: Store, selector: Selector, a: int, b: int, cursor: str | None = None, limit: int = 0
) -> list[Any]:
    """Return `[rev, rows, cursor]`, row `(path, version at a, version at b)`, None where there is no file.

    `a` and `b` are readable revs in any order; `rev` is the latest. `cursor` is the path behind which to go
    on; an answer may hold few rows, even none, and still have one.
    """
    rows: list[Row] = []
    most, room, visits = page.rows(limit, store.limits), store.limits.page_bytes, page.VISITS
    for row in rows_between(store, selector, a, b, cursor):
        path, before, after = row
        if before is not after:
            if len(rows) >= most or room <= 0:
                return [store.rev, rows, rows[-1][0]]
            rows.append(row)
            room -= _size(before) + _size(after)
        visits -= 1
        if not visits:
            return [store.rev, rows, path]
    return [store.rev, rows, None]


def rows_between(
    store: Store, selector: Selector, a: int, b: int, cursor: str | None = None
) -> Iterator[Row]:
    """Yield a row for each path that may differ, in path order.

    Where nothing differs the two versions are one object.
    """
    changed = _changed(store, selector, min(a, b), max(a, b))
    if changed is None:
        return _side_by_side(store, selector, a, b, cursor)
    if cursor is not None:
        behind = sort_key(cursor)
        changed = [path for path in changed if sort_key(path) > behind]
    return ((path, store.version(path, a), store.version(path, b)) for path in sorted(changed, key=sort_key))


def _changed(store: Store, selector: Selector, low: int, high: int) -> list[str] | None:
    """Return the paths changed after `low` up to `high`; None when those are many."""
    found: dict[str, None] = {}
    looked, matches = 0, selector.matches
    for rev in candidates(store, selector, low + 1, high, reverse=False):
        files = store.history.files(rev)
        looked += len(files)
        if looked > FEW:
            return None
        for file in files:
            if matches(file.path):
                found[file.path] = None
    return list(found)


def _side_by_side(store: Store, selector: Selector, a: int, b: int, cursor: str | None) -> Iterator[Row]:
    left, right = visit(store, selector, a, cursor), visit(store, selector, b, cursor)
    one, two = next(left, None), next(right, None)
    while one is not None or two is not None:
        key_one = sort_key(one[0]) if one is not None else None
        key_two = sort_key(two[0]) if two is not None else None
        take_one = key_one is not None and (key_two is None or key_one <= key_two)
        take_two = key_two is not None and (key_one is None or key_two <= key_one)
        path = one[0] if take_one and one is not None else two[0]  # type: ignore[index]
        meant = selector.matches(path)
        before = one[1] if take_one and meant and one is not None else None
        after = two[1] if take_two and meant and two is not None else None
        yield path, before, after
        if take_one:
            one = next(left, None)
        if take_two:
            two = next(right, None)


def _size(version: Version | None) -> int:
    return len(version[1] or b"") if version is not None else 0
