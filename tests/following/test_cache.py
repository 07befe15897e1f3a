"""The core of every copy: a cache moves on, views of it stand still, batches merge to what they lead to."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from visor import paths
from visor._core.following.cache import Cache
from visor._core.following.delta import Batch, Origin, difference, merged
from visor._core.following.pages import MOST, backlog, cut
from visor._core.following.sorted_paths import SortedPaths
from visor.values import Kind

NAMES = st.sampled_from(["/a", "/a/b", "/a-b", "/b", "/b/c/d", "/é", "/b/c"])
ENTRIES = st.one_of(st.none(), st.integers(0, 3))
CHANGES = st.dictionaries(NAMES, ENTRIES, min_size=1, max_size=4)
STEPS = st.lists(st.tuples(st.sampled_from(["apply", "reset", "view", "order"]), CHANGES), max_size=25)


def step(cache: Cache[int], rev: int, how: str, changes: dict[str, int | None]) -> Batch[int]:
    since = cache.rev
    with cache.latch:
        if how == "reset":
            kept = {path: entry for path, entry in changes.items() if entry is not None}
            return Batch(rev, since, cache.reset(rev, kept), Origin.REBUILT)
        rows = [
            (path, entry, Kind.UPDATE if entry is not None else Kind.DELETE)
            for path, entry in changes.items()
        ]
        return Batch(rev, since, cache.apply(rev, rows))


def taken_in(state: dict[str, int], batch: Batch[int]) -> dict[str, int]:
    """What becomes of a state when somebody believes every word of a batch."""
    state = dict(state)
    for delta in batch:
        assert state.get(delta.path) == delta.before
        assert delta.before is not None or delta.after is not None
        if delta.after is None:
            del state[delta.path]
        else:
            state[delta.path] = delta.after
    return state


@given(STEPS)
def test_views_stand_still_and_batches_lead_where_they_say(steps: list[tuple[str, Any]]) -> None:
    cache: Cache[int] = Cache(lambda a, b: a == b)
    state: dict[str, int] = {}
    views = []
    for rev, (how, changes) in enumerate(steps, 1):
        if how == "view":
            with cache.latch:
                views.append((cache.view(), dict(cache.entries), cache.rev))
        elif how == "order":
            cache.starting("/")
        else:
            state = taken_in(state, step(cache, rev, how, changes))
        assert cache.entries == state
        assert cache.starting("/") == sorted(state, key=paths.sort_key)
        for view, held, then in views:
            assert (view.entries(), view.rev, len(view)) == (held, then, len(held))
            assert all(view.get(path) == held.get(path) for path in [*held, *state])
            assert view.starting("/b") == sorted(
                (path for path in held if path.startswith("/b")), key=paths.sort_key
            )
            assert dict(view.among(list(cache.entries))) == held


@given(STEPS)
def test_merged_batches_lead_where_the_single_ones_lead(steps: list[tuple[str, Any]]) -> None:
    cache: Cache[int] = Cache(lambda a, b: a == b)
    batches = [
        step(cache, rev, how, changes)
        for rev, (how, changes) in enumerate(steps, 1)
        if how in ("apply", "reset")
    ]
    if not batches:
        return
    whole = batches[0]
    for batch in batches[1:]:
        whole = merged(whole, batch)
    assert taken_in({}, whole) == cache.entries
    assert (whole.since, whole.rev) == (0, batches[-1].rev)
    assert all(delta.kind is Kind.CREATE for delta in whole)  # it begins with nothing


def test_a_view_costs_nothing_once_it_is_gone() -> None:
    cache: Cache[int] = Cache(lambda a, b: a == b)
    step(cache, 1, "apply", {"/a": 1})
    with cache.latch:
        view = cache.view()
    step(cache, 2, "apply", {"/a": 2})
    assert view.get("/a") == 1
    del view
    step(cache, 3, "apply", {"/a": 3})
    assert cache._views == []


@given(st.lists(st.text("/ab-", max_size=5).map(lambda text: "/x" + text)), st.text("/ab-", max_size=3))
def test_order_is_path_order(names: list[str], tail: str) -> None:
    order = SortedPaths(())
    for name in set(names):
        order.add(name)
    prefix = "/x" + tail
    expected = sorted({name for name in names if name.startswith(prefix)}, key=paths.sort_key)
    assert order.starting(prefix) == expected
    for name in set(names):
        order.discard(name)
        order.discard(name)
    assert order.starting("/") == []


@given(st.integers(0, 2 * MOST + 1))
def test_a_backlog_has_bounded_pieces_and_exactly_one_end(count: int) -> None:
    deltas = [difference(f"/{number}", None, number) for number in range(count)]
    pieces = list(cut(backlog(7, deltas), lambda entry: 1))
    assert [piece.backlog_end for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(len(piece) <= MOST for piece in pieces)
    assert [delta for piece in pieces for delta in piece] == deltas
    assert [piece.rev for piece in pieces] == [0] * (len(pieces) - 1) + [7]


def test_a_piece_is_bounded_in_bytes_too_and_a_giant_travels_alone() -> None:
    deltas = [difference(f"/{number}", None, size) for number, size in enumerate((10, 9 << 20, 10, 10))]
    pieces = list(cut(backlog(7, deltas), lambda size: size))
    assert [len(piece) for piece in pieces] == [1, 1, 2]


def test_nothing_at_all_is_one_piece_with_the_end_mark() -> None:
    (piece,) = cut(backlog(3, []), lambda entry: 1)
    assert (piece.rev, len(piece), piece.backlog_end, piece.origin) == (3, 0, True, Origin.BACKLOG)
