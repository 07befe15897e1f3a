"""The index finds exactly who selects a path; ranges and waiting tables agree with plain lists."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.watch.watch_promises import selected
from visor.protocol.limits import DEFAULT
from visord.state.selector import Selector, parse
from visord.waiting import SLACK, Waiting
from visord.watch.index import REMEMBERED, Index
from visord.watch.stabbing import RangeMap
from visord.watch.subscription import Group

names = st.sampled_from(["a", "b", "a-b", "ab", "é", "x"])
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
places = st.just("/") | paths
globs = st.lists(
    st.sampled_from(["a", "b", "*", "**", "?", "a*", "*b", "a**b", "x"]), min_size=1, max_size=4
).map(lambda parts: "/" + "/".join(parts))
one_selector = st.one_of(
    st.tuples(st.integers(0, 2), places),
    st.tuples(st.just(3), globs),
    st.tuples(st.just(4), places, st.none() | places),
).map(list)
selectors = st.one_of(
    one_selector, one_selector, st.lists(one_selector, min_size=1, max_size=4).map(lambda some: [5, some])
)


def group(raw: list[Any], kinds: int) -> Group:
    parsed = parse(raw, DEFAULT)
    assert isinstance(parsed, Selector), parsed
    return Group((parsed.form, 0, kinds), parsed, 0.0)


@given(
    st.lists(st.tuples(selectors, st.booleans()), max_size=30),
    st.lists(paths, min_size=1, max_size=20, unique=True),
)
def test_the_index_finds_who_selects_a_path(
    entries: list[tuple[list[Any], bool]], changed: list[str]
) -> None:
    index = Index()
    groups = [(raw, stays, group(raw, number)) for number, (raw, stays) in enumerate(entries)]
    for _, _, member in groups:
        index.add(member)
    for path in changed[:5]:
        index.interested(path)  # so that directories are remembered
    for _, stays, member in groups:
        if not stays:
            index.remove(member)
    for path in changed:
        found = index.interested(path)
        several = [member for member in found if member.selector.several is not None]
        assert len(found) - len(several) == len(set(found) - set(several)), "each once"
        assert set(found) == {g for raw, stays, g in groups if stays and selected(raw, path)}


def test_many_uninterested_groups_are_not_tried() -> None:
    """Two thousand watches elsewhere: a change looks at none of them."""
    index = Index()
    tried: list[str] = []
    for number in range(2_000):
        for kind in (0, 1, 2):
            index.add(group([kind, f"/other/{number}"], number))
        glob = group([3, f"/other/{number}/*"], number)
        (compiled,) = glob.selector.globs
        compiled.rest = compiled.short = tried.append
        index.add(glob)
        index.add(group([4, f"/other/{number:05d}", f"/other/{number:05d}~"], number))
    mine = group([1, "/mine"], 0)
    index.add(mine)
    assert index.interested("/mine/a") == [mine]
    assert tried == []


def test_a_group_of_several_selectors_leaves_nothing_behind() -> None:
    index = Index()
    member = group([5, [[2, "/a"], [1, "/a/b"], [3, "/*/*b*"], [4, "/a", "/b"], [4, "/a/b", None]]], 0)
    index.add(member)
    assert len(index.interested("/a/b")) == 5
    index.remove(member)
    assert index.interested("/a/b") == []
    assert not index._anchors
    assert not len(index._ranges)


def test_what_is_remembered_of_directories_is_bounded() -> None:
    index = Index()
    index.add(group([1, "/"], 0))
    for number in range(3 * REMEMBERED):
        assert len(index.interested(f"/{number}/a")) == 1
    assert len(index._above) <= REMEMBERED


@given(
    st.lists(st.tuples(st.integers(0, 20), st.none() | st.integers(0, 25)), max_size=40),
    st.sets(st.integers(0, 39)),
    st.lists(st.integers(-1, 26), min_size=1),
)
def test_ranges(ranges: list[tuple[int, int | None]], removed: set[int], points: list[int]) -> None:
    table: RangeMap[int] = RangeMap()
    for value, (start, end) in enumerate(ranges):
        table.add(value, start, end)
    list(table.at(3))
    gone = {value for value in removed if value < len(ranges)}
    for value in gone:
        table.remove(value)
    assert len(table) == len(ranges) - len(gone)
    for point in points:
        found = list(table.at(point))
        assert sorted(found) == [
            value
            for value, (start, end) in enumerate(ranges)
            if value not in gone and start <= point and (end is None or point < end)
        ]


@given(st.lists(st.tuples(st.sampled_from(["add", "discard", "pop"]), st.integers(0, 9), st.integers(0, 20))))
def test_waiting(steps: list[tuple[str, int, int]]) -> None:
    waiting: Waiting[int] = Waiting()
    model: dict[int, int] = {}
    for step, value, rev in steps:
        if step == "add" and value not in model:
            waiting.add(value, rev)
            model[value] = rev
        elif step == "discard":
            waiting.discard(value)
            model.pop(value, None)
        elif step == "pop":
            popped = waiting.pop_through(rev)
            assert [model[value] for value in popped] == sorted(model[value] for value in popped)
            assert set(popped) == {value for value, waited in model.items() if waited <= rev}
            for value in popped:
                del model[value]
        assert len(waiting) == len(model)
        assert len(waiting._heap) <= 2 * len(model) + SLACK + 1


def test_waiting_again_for_another_rev_forgets_the_first() -> None:
    waiting: Waiting[str] = Waiting()
    waiting.add("a", 5)
    waiting.discard("a")
    waiting.add("a", 9)
    assert waiting.pop_through(5) == []
    assert waiting.pop_through(9) == ["a"]
    assert waiting.pop_through(9) == []
