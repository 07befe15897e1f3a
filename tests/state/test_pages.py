"""Reads are cut by cost: whatever the budget, the pages together are the answer, and no page costs much more."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.state.driving import Driven
from visor.protocol.limits import Limits
from visord.state import cost
from visord.state.reads import diff as diff_module
from visord.state.reads import page
from visord.state.refusal import Refusal
from visord.state.selector import Selector, parse

NAMES = ("a", "b", "a-b", "aa")
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
ONE_SELECTOR = st.one_of(
    PATHS.map(lambda path: [0, path]),
    st.one_of(PATHS, st.just("/")).map(lambda path: [1, path]),
    st.one_of(PATHS, st.just("/")).map(lambda path: [2, path]),
    st.sampled_from(["/**", "/a/*", "/*/*", "/**a", "/a**b*", "/*/a/**", "/?/b"]).map(lambda text: [3, text]),
    st.tuples(PATHS, st.one_of(PATHS, st.none())).map(lambda pair: [4, *pair]),
)
SELECTORS = st.one_of(
    ONE_SELECTOR, ONE_SELECTOR, st.lists(ONE_SELECTOR, min_size=1, max_size=4).map(lambda some: [5, some])
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), PATHS),
        st.tuples(st.just("delete"), PATHS),
        st.tuples(st.just("txn"), st.lists(PATHS, min_size=1, max_size=3, unique=True)),
    ),
    min_size=1,
    max_size=25,
)


def built(steps):
    driven = Driven()
    for kind, what in steps:
        step(driven, kind, what)
    return driven


def step(driven, kind, what):
    if kind == "set":
        driven.set(what, b"v%d" % driven.store.rev)
    elif kind == "delete":
        driven.delete(what, True)
    else:
        driven.txn([[0, path, b""] for path in what])


def paged(ask, between=lambda: None):
    """Return all rows, the sum of the counts, and how many pages there were."""
    rows, total, count, cursor = [], 0, 0, None
    while True:
        answer = ask(cursor)
        assert not isinstance(answer, Refusal), answer
        rows += answer[1]
        total += (answer[3] or 0) if len(answer) > 3 else 0
        count += 1
        assert answer[2] is None or answer[2] != cursor, "a page goes on"
        cursor = answer[2]
        if cursor is None:
            return rows, total, count
        assert count < 5_000, f"it goes on for ever, at {cursor}"
        between()


class Budget:
    """Sets the sizes that cut a read, and puts them back."""

    def __init__(self, units, few):
        self.sizes = ((page, "BUDGET", units), (diff_module, "FEW", few))

    def __enter__(self):
        self.before = [getattr(module, name) for module, name, _ in self.sizes]
        for module, name, value in self.sizes:
            setattr(module, name, value)

    def __exit__(self, *_):
        for (module, name, _), value in zip(self.sizes, self.before, strict=True):
            setattr(module, name, value)


def reads(driven, selector, at, other, path):
    """Yield (name, whether later commits may come between its pages, cursor -> answer) of every read that has pages."""
    ask = driven.ask
    for reverse in (False, True):
        yield "scan", True, lambda c, r=reverse: ask(13, selector, at, 0, c, 0, {"reverse": r})
        yield "log", False, log(ask, selector, 1, at, reverse)
    yield "count", True, lambda c: ask(13, selector, at, 0, c, 0, {"count": True})
    yield "diff", True, lambda c: ask(16, selector, at, other, c)
    if not isinstance(ask(12, path, at), Refusal):
        yield "list", True, lambda c: ask(12, path, at, 0, c, 0, {"values": True})


def log(ask, selector, first, last, reverse):
    def one(cursor):
        low, high = (first, cursor or last) if reverse else (cursor or first, last)
        return ask(15, selector, low, high, 0, {"previous": True, "reverse": reverse})

    return one


@settings(max_examples=150, deadline=None)
@given(st.data(), STEPS, STEPS, SELECTORS, PATHS, st.integers(1, 12), st.sampled_from([0, 3, 1000]))
def test_pages_of_any_budget_are_the_whole_answer(data, steps, later, selector, path, units, few):
    driven = built(steps)
    at = data.draw(st.integers(0, driven.store.rev))
    other = data.draw(st.integers(0, driven.store.rev))
    whole = [(name, *paged(ask)[:2]) for name, _, ask in reads(driven, selector, at, other, path)]
    assert all(more == len(whole[0][1]) for name, _, more in whole if name == "count")
    waiting = list(later)

    def between():
        if waiting:
            step(driven, *waiting.pop())

    with Budget(units, few):
        for (name, rows, total), (_, fixed, ask) in zip(
            whole, reads(driven, selector, at, other, path), strict=True
        ):
            assert paged(ask, between if fixed else lambda: None)[:2] == (rows, total), name


# -- what a page costs ---------------------------------------------------------------------------------


class Counted:
    """Counts what `Selector.matches` is asked, whoever asks it."""

    def __init__(self, selector):
        self.calls = 0
        self.inner = selector.matches
        selector.matches = self

    def __call__(self, path):
        self.calls += 1
        return self.inner(path)


@pytest.fixture
def wide():
    """20 000 files, 19 of them deep, at rev 3."""
    driven = Driven(limits=Limits(operations=20_000))
    for some in (range(10_000), range(10_000, 20_000 - 19)):
        assert driven.txn([[0, f"/d/{i:05d}", b""] for i in some])[1] is True
    assert driven.txn([[0, f"/deep{i}" + "/x" * 200, b""] for i in range(19)])[0] == 3
    return driven


def parsed(driven, raw):
    selector = parse(raw, driven.store.limits)
    assert isinstance(selector, Selector)
    return selector


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_that_finds_nothing_looks_at_one_budget(wide, reverse):
    from visord.state.reads.scan import scan

    selector = parsed(wide, [3, "/**zzz"])
    counted = Counted(selector)
    _, rows, cursor, _ = scan(wide.store, selector, wide.store.rev, reverse=reverse)
    assert (rows, counted.calls <= cost.PAGE) == ([], True)
    assert cursor is not None


def test_directories_on_the_way_are_looked_at_as_well(wide):
    """19 files below 200 directories each: what is entered counts, not only what is found there."""
    rows, _, _ = paged(lambda c: wide.ask(13, [3, "/deep*/**x"], None, 0, c, 0, {"keys": True}))
    assert len(rows) == 19
    with Budget(1000, 0):
        assert paged(lambda c: wide.ask(13, [3, "/deep*/**x"], None, 0, c))[2] >= 3
        assert paged(lambda c: wide.ask(13, [3, "/deep*/**x"], None, 0, c, 0, {"reverse": True}))[2] >= 3


def test_what_a_match_may_cost_counts(wide):
    """A glob that may compare much gets through fewer files."""
    from visord.state.reads.scan import scan

    looked = []
    for text in ("/d/**zzz", "/**a*a*a*b**x**"):
        selector = parsed(wide, [3, text])
        counted = Counted(selector)
        scan(wide.store, selector, wide.store.rev)
        looked.append(counted.calls)
    assert cost.PAGE / 5 < looked[0] <= cost.PAGE
    assert looked[1] < looked[0] * 0.7


@pytest.mark.parametrize("options", [{}, {"keys": True}, {"count": True}, {"reverse": True}])
def test_no_page_is_larger_than_its_budget(wide, options):
    def ask(cursor):
        answer = wide.ask(13, [3, "/d/*"], None, 0, cursor, 0, options)
        assert len(answer[1]) <= cost.PAGE // (cost.VISIT + cost.ROW)
        return answer

    rows, total, turns = paged(ask)
    assert len(rows) + total == 20_000 - 19
    assert turns >= 4


def test_a_directory_knows_how_many_files_it_has(wide):
    assert wide.ask(13, [1, "/d"], None, 0, None, 0, {"count": True}) == [3, [], None, 19_981]
    assert wide.ask(13, [2, "/d"], 2, 0, None, 0, {"count": True}) == [2, [], None, 19_981]
    assert wide.ask(13, [1, "/"], None, 0, None, 0, {"count": True}) == [3, [], None, 20_000]


def test_a_diff_passes_by_what_did_not_change(wide):
    wide.txn([[0, f"/e/{i:05d}", b""] for i in range(3_000)])
    rows, _, turns = paged(lambda c: wide.ask(16, [1, "/"], 3, 4, c))
    assert len(rows) == 3_000
    assert turns < 10, "nobody looked at the 19 981 others"


def test_a_log_that_finds_nothing_goes_on_by_its_cursor():
    driven = Driven()
    driven.send(*[[30, i + 1, 0, "/a", b""] for i in range(4_000)], session=b"s")
    for reverse in (False, True):
        rows, _, turns = paged(log(driven.ask, [3, "/**zzz"], 1, 4_000, reverse))
        assert rows == []
        assert 2 <= turns <= 5


def test_a_commit_that_cannot_be_matched_within_bounds_is_named(wide):
    heavy = "/**a*a*a*b**x**"
    refused = wide.ask(15, [3, heavy])
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.details["limit"]) == ("too_large", cost.WRITE)
    assert "rev 1" in refused.text
    assert wide.ask(13, [3, heavy])[2] is not None, "files are cut one by one"


def test_leases_come_in_pages_by_id():
    driven = Driven()
    for _ in range(30):
        driven.write(36, 1000)
    for lease in range(1, 31, 3):
        driven.write(37, lease)
    with_gaps = [lease for lease in range(1, 31) if lease % 3 != 1]
    rows, _, turns = paged(lambda c: driven.ask(19, c, 7))
    assert [row[0] for row in rows] == with_gaps
    assert turns == 3


@settings(max_examples=150, deadline=None)
@given(st.data(), STEPS, st.sampled_from(["/", "/a"]), st.integers(1, 12))
def test_a_list_begins_at_any_place_of_any_rev(data, steps, path, units):
    driven = built(steps)
    at = data.draw(st.integers(0, driven.store.rev))
    whole = driven.ask(12, path, at)
    if isinstance(whole, Refusal):
        return
    names = [row[0] for row in whole[1]]
    seek = data.draw(st.one_of(st.integers(0, 5), st.sampled_from(NAMES)))
    place = min(seek, len(names)) if isinstance(seek, int) else sum(name < seek for name in names)
    with Budget(units, 1000):
        rows, cursor, passed = [], None, 0
        while True:
            left = seek if isinstance(seek, str) else max(0, seek - passed)
            _, page_rows, cursor, more, total = driven.ask(12, path, at, 0, cursor, 0, {"seek": left})
            passed, rows = passed + more, rows + page_rows
            assert total == len(names)
            if cursor is None or rows:
                break
    assert passed == place
    assert [row[0] for row in rows] == names[place : place + len(rows)]
    assert rows or place == len(names)


def test_a_place_that_is_none_is_refused():
    driven = built([("set", "/a/b")])
    for seek in (-1, "", "a/b", 1.5, None, True):
        refusal = driven.ask(12, "/a", None, 0, None, 0, {"seek": seek})
        assert isinstance(refusal, Refusal), seek
        assert refusal.code == "bad_request"
