"""What writes cost: told before they are proposed, never below what applying them spends, refused without a trace."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.state.driving import Driven
from visor.protocol.limits import Limits
from visord.state import command, cost, estimate, txn, writes
from visord.state.digest import state_hash
from visord.state.listing import Deferred, Listing
from visord.state.overlay import Overlay
from visord.state.plan import Plan
from visord.state.refusal import Refusal
from visord.state.trim import trim
from visord.state.txn import _Run

NAMES = ("a", "b", "c")
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
OPERATIONS = st.lists(
    st.one_of(
        PATHS.map(lambda path: [0, path, b"v"]),
        PATHS.map(lambda path: [1, path, True]),
        PATHS.map(lambda path: [1, path]),
        PATHS.map(lambda path: [2, path]),
        st.one_of(PATHS, st.just("/")).map(lambda path: [3, path]),
    ),
    max_size=8,
)


def filled(count, where="/d", **kwargs):
    driven = Driven(limits=Limits(operations=100_000, transaction=64 << 20, **kwargs))
    for start in range(0, count, 10_000):
        some = range(start, min(count, start + 10_000))
        assert driven.txn([[0, f"{where}/{i:06d}", b""] for i in some])[1] is True
    return driven


def state(driven):
    return state_hash(driven.store), driven.store.rev, msgpack.packb(driven.machine.sessions.export())


COUNTED = [0]
"""Entries of directories that anybody looked at."""


def refused(driven, verb, *fields):
    """Send a write that must be refused as too large, and leave no trace; return the refusal.

    COUNTED is how many entries it looked at.
    """
    before = state(driven)
    COUNTED[0] = 0
    outcome = driven.write(verb, *fields)
    looked = COUNTED[0]
    assert isinstance(outcome, Refusal), outcome
    assert outcome.code == "too_large"
    assert state(driven) == before
    COUNTED[0] = looked
    return outcome


@pytest.fixture
def entries(monkeypatch):
    from visord.state.sorted_names import SortedNames

    COUNTED[0] = 0
    walk = SortedNames.walk

    def counting(self, *args, **kwargs):
        for path in walk(self, *args, **kwargs):
            COUNTED[0] += 1
            yield path

    monkeypatch.setattr(SortedNames, "walk", counting)
    return COUNTED


# -- refused, without a trace and without much work ------------------------------------------------------


def test_a_transaction_that_lists_too_much_is_refused_before_it_looks(entries):
    driven = filled(9_000)
    outcome = refused(driven, 32, [], [[0, "/x", b""], *[[3, "/d"]] * 3])
    assert outcome.details == {"what": "cost", "limit": cost.WRITE, "actual": 27_008, "operation": 3}
    assert "operation 3" in outcome.text
    assert entries[0] == 0, "nothing was enumerated, not even what would have fitted"


def test_a_recursive_deletion_of_too_many_files_is_refused_at_once(entries):
    driven = filled(cost.MAX_CHANGES + 1)
    outcome = refused(driven, 31, "/d", True)
    assert outcome.details == {"what": "changes", "limit": cost.MAX_CHANGES, "actual": cost.MAX_CHANGES + 1}
    assert entries[0] == 0
    refused(driven, 32, [], [[1, "/d", True]])
    assert driven.delete("/d/000000") == driven.store.rev
    assert driven.delete("/d", True) == driven.store.rev, "as many as may be"


def test_a_deletion_of_a_tree_ends_within_its_budget(entries, monkeypatch):
    driven = filled(300, where="/t/a")
    driven.txn([[0, f"/t/b{'/x' * 50}/{i}", b""] for i in range(300)])
    driven.txn([[0, f"/t/c/{i}/f", b""] for i in range(300)])
    monkeypatch.setattr(cost, "TODAY", cost.TODAY._replace(write=500, compared=500))
    assert refused(driven, 31, "/t", True).details["what"] == "cost"
    assert entries[0] <= 502
    assert refused(driven, 32, [], [[1, "/t", True]]).details["operation"] == 0
    assert entries[0] <= 502


def test_a_revert_ends_within_its_budget(entries, monkeypatch):
    driven = filled(3_000)
    rev = driven.store.rev
    for i in range(3_000):
        driven.set(f"/d/{i:06d}", b"new")
    monkeypatch.setattr(cost, "TODAY", cost.TODAY._replace(write=3_000, compared=3_000))
    assert refused(driven, 33, "/d", rev).details["what"] == "cost of comparing"
    assert entries[0] <= 3_100


def test_a_revert_of_too_much_says_so(monkeypatch):
    driven = filled(30)
    monkeypatch.setattr(cost, "TODAY", cost.TODAY._replace(changes=10))
    assert refused(driven, 33, "/d", 0).details == {"what": "changes", "limit": 10, "actual": 11}


def test_directories_without_end_are_refused():
    driven = filled(1)
    deep = "/x" * 500
    outcome = refused(driven, 32, [], [[0, f"/{i}{deep}", b""] for i in range(100)])
    assert outcome.details["what"] == "new directories"
    assert outcome.details["operation"] == 32
    assert len(driven.store.directories) == 2


def test_a_deep_path_costs_a_memory_that_is_linear_in_its_depth():
    driven = filled(1)
    driven.set("/x" * 500, b"")
    assert sum(len(directory.lineage) for directory in driven.store.directories.values()) == 499 + 1
    driven.set("/x" * 300 + "/y", b"")
    assert list(driven.store.directories["/x" * 300].changes) == [2, 3]
    assert list(driven.store.directories["/x" * 301].changes) == [2]


# -- listings: noted at apply, told where they are answered ----------------------------------------------


def lists(driven, *operations):
    """Apply a transaction that reads; return its outcome as it is."""
    frame = [32, 1, 0, [], list(operations)]
    data = bytes(command.encode(1, [[None, "me", [frame], ""]]))
    return driven.machine.apply(driven.machine.index + 1, 1, data)[0][0]


def test_a_large_listing_is_only_noted_when_it_is_applied(entries):
    driven = filled(5_000)
    entries[0] = 0
    outcome = lists(driven, [3, "/d"], [2, "/d/000007"])
    assert entries[0] == 0
    assert isinstance(outcome, Deferred)
    rev, succeeded, (rows, version) = outcome.told(driven.store)
    assert (rev, succeeded) == (1, True)
    assert rows == [[f"{i:06d}", 1] for i in range(5_000)]
    assert version == (1, b"", 1, 1, 0)


def test_what_a_listing_tells_is_what_was_there_when_it_was_applied():
    driven = filled(1_000)
    driven.set("/d/sub/file")
    outcome = lists(
        driven, [0, "/d/new", b""], [1, "/d/000001"], [1, "/d/sub", True], [3, "/d"], [1, "/d/new"]
    )
    for i in range(0, 1_000, 2):
        driven.delete(f"/d/{i:06d}")
    driven.set("/d/000001/inside"), driven.set("/d/sub", b"a file now"), driven.set("/d/later")
    _, _, results = outcome.told(driven.store)
    assert results[3] == [[f"{i:06d}", 1] for i in range(1_000) if i != 1] + [["new", 1]]


def test_a_listing_that_is_asked_for_too_late_is_lost_and_says_what_was_committed():
    driven = filled(1_000)
    outcome = lists(driven, [0, "/d/new", b""], [3, "/d"])
    driven.set("/a"), driven.set("/b")
    driven.write(35, None, None, driven.store.rev)
    assert outcome.told(driven.store)[0] == 2, "not trimmed yet"
    while trim(driven.store, 1000):
        pass
    lost = outcome.told(driven.store)
    assert (lost.code, lost.details) == ("session_lost", {"rev": 2})


def test_a_listing_long_ago_is_not_looked_for_without_end(monkeypatch):
    driven = filled(1_000)
    outcome = lists(driven, [3, "/d"])
    for i in range(50):
        driven.set(f"/d/{i:06d}", b"again")
    assert len(outcome.told(driven.store)[2][0]) == 1_000
    monkeypatch.setattr(cost, "WRITE", 60)
    assert outcome.told(driven.store).code == "session_lost"


def test_what_is_kept_for_a_retry_is_the_same_however_it_is_told():
    """Small: rows, kept. Large: a retry does it again, or learns at which rev it was committed."""
    driven = filled(2_000)
    driven.set("/s/a"), driven.set("/s/b/c")
    frames = [
        [32, 1, 0, [], [[3, "/s"]]],
        [32, 2, 0, [], [[3, "/d"]]],
        [32, 3, 0, [], [[3, "/d"], [0, "/x", b""]]],
    ]
    first = driven.send(*frames, session=b"s" * 16)
    assert first[0] == [3, True, [[["a", 1], ["b", 2]]]]
    driven.set("/d/more")
    again = driven.send(*[[39, frame[1], frame] for frame in frames], session=b"s" * 16)
    assert again[0] == first[0]
    assert [len(rows[2][0]) for rows in (first[1], again[1])] == [2_000, 2_001]
    assert (again[2].code, again[2].details) == ("session_lost", {"rev": 4})


@settings(max_examples=200, deadline=None)
@given(st.lists(PATHS, max_size=8), OPERATIONS, st.lists(st.tuples(st.booleans(), PATHS), max_size=8))
def test_listings_are_what_looking_at_once_would_have_told(before, operations, after):
    driven = Driven()
    for path in before:
        driven.set(path, b"old")
    store = driven.store
    run = _Run(store, 0)
    overlay: Overlay = run.overlay
    noted: list[tuple[Listing, list]] = []
    for operation in operations:
        if isinstance(run.step(operation), Refusal):
            break
        for path in ("/", "/a", "/a/b"):
            if overlay.file(path) is None:
                listing = overlay.listing(path)
                noted.append((listing, listing.rows(store)))
                assert noted[-1][1] == _looked_up(overlay, path)
    for deletes, path in after:
        driven.delete(path, True) if deletes else driven.set(path, b"new")
    for listing, rows in noted:
        assert listing.rows(store) == rows


def _looked_up(overlay, path):
    """List a directory by asking about every path there could be."""
    rows = []
    for name in NAMES:
        entry = f"{path.rstrip('/')}/{name}"
        if overlay.file(entry) is not None:
            rows.append([name, 1])
        elif overlay.is_directory(entry):
            rows.append([name, 2])
    return rows


# -- estimates -------------------------------------------------------------------------------------------


@pytest.fixture
def spent(monkeypatch):
    """What the last plan spent."""
    runs = []
    init = _Run.__init__

    def remembering(self, store, units):
        init(self, store, units)
        runs.append(self)

    monkeypatch.setattr(_Run, "__init__", remembering)
    return runs


@pytest.mark.parametrize("size", [1, 40, 200])
def test_an_estimate_is_not_below_what_is_spent(spent, size):
    @settings(max_examples=100, deadline=None)
    @given(OPERATIONS, OPERATIONS, st.lists(PATHS, max_size=4))
    def check(then, otherwise, guarded):
        driven = Driven()
        for name in NAMES:
            for i in range(size):
                driven.set(f"/{name}/{name}/{i}")
                driven.set(f"/{name}/{i}")
        frame = [32, 1, 0, [[4, path, 0] for path in guarded], then, otherwise]
        told = estimate.of_frame(driven.store, frame)
        spent.clear()
        plan = txn.plan_txn(driven.store, frame)
        used = spent[-1].spent if spent else 0
        if isinstance(plan, Plan):
            used += len(plan.writes) * cost.CHANGE
        assert told >= used

    check()


@pytest.mark.parametrize(
    ("frame", "least"),
    [
        ([31, 1, 0, "/d", True], 500 * (cost.VISIT + cost.CHANGE)),
        ([31, 1, 0, "/", True], 500 * (cost.VISIT + cost.CHANGE)),
        ([31, 1, 0, "/d"], 1),
        ([33, 1, 0, "/d", 0], 500 * (cost.VISIT + cost.CHANGE)),
        ([32, 1, 0, [], [[3, "/d"]]], 500),
        ([39, [32, 1, 0, [], [[3, "/d"]]]], 2),
        ([39, 1, [32, 1, 0, [], [[3, "/d"]]]], 500),
        ([30, 1, 0, "/x" * 500, b""], 499 * cost.DIRECTORY),
        ([30, 1, 0, "/d/000001", b""], cost.SET),
    ],
)
def test_what_single_writes_are_estimated_at(frame, least):
    driven = filled(500)
    assert least <= estimate.of_frame(driven.store, frame) <= estimate.MOST
    assert estimate.fitting(driven.store, [frame], 1)[0] == 1


JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 50),
        st.text(max_size=3),
        st.binary(max_size=3),
        st.just("/d"),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6), st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(JUNK, min_size=1, max_size=5), st.sampled_from([30, 31, 32, 33, 37, 39]))
def test_anything_can_be_estimated(junk, verb):
    store = Driven().store
    for frame in (junk, [verb, *junk], [verb, 1, 0, *junk], [39, 1, [verb, 1, 0, *junk]]):
        assert 0 < estimate.of_frame(store, frame) <= estimate.MOST
        assert estimate.hopeless(store, frame) is None
        assert estimate.fitting(store, [frame, frame], 10)[0] in (1, 2)


def test_a_command_takes_what_fits():
    driven = filled(4_000)
    listing = [32, 1, 0, [], [[3, "/d"]]]
    count, units = estimate.fitting(driven.store, [listing] * 1_000, cost.COMMAND)
    assert count == 2
    assert units <= cost.COMMAND
    count, units = estimate.fitting(driven.store, [[30, 1, 0, "/d/000001", b""]] * 4_096, cost.COMMAND)
    assert count == 4_096, "values for files that are there are no matter"


def test_what_is_hopeless_is_what_apply_refuses():
    driven = filled(cost.MAX_CHANGES + 1)
    for frame in ([31, 1, 0, "/d", True], [32, 1, 0, [], [[3, "/d"], [3, "/d"]]]):
        told = estimate.hopeless(driven.store, frame)
        assert told is not None
        found = writes.plan(driven.store, frame)
        assert isinstance(found, Refusal)
        assert told.code == found.code
        assert told.details["what"] == found.details["what"]
        assert estimate.hopeless(driven.store, [39, 1, frame]) is None, "it may have been done"
    assert estimate.hopeless(driven.store, [32, 1, 0, [], [[3, "/d"]]]) is None
    assert estimate.hopeless(driven.store, [32, 1, 0, [[4, "/no", 0]], [[3, "/d"], [3, "/d"]]]) is None


def test_a_revert_costs_the_same_whatever_a_node_has_forgotten():
    """Names that are gone at both revs were counted, and each node forgets them at its own pace: replicas parted."""
    one, two = Driven(), Driven()
    for driven in (one, two):
        for start in (0, 1000, 2000):
            driven.txn([[0, f"/d/gone{number:05}", b"1"] for number in range(start, start + 1000)])
        driven.txn([[0, f"/d/live{number:05}", b"1"] for number in range(3000)])
        driven.delete("/d/none")
        for number in range(3000):
            driven.delete(f"/d/gone{number:05}")
        driven.floor = driven.store.rev
        driven.machine.retention.set(driven.store, 10**6, [35, 1, 0, None, None, driven.floor])
    while trim(two.store, 1 << 20):
        pass
    answers = []
    for driven in (one, two):
        for start in (0, 1100):
            driven.txn([[0, f"/d/live{number:05}", b"2"] for number in range(start, start + 1100)])
        answers.append(driven.write(33, "/d", driven.floor))
    assert answers[0] == answers[1]
    assert one.store.rev == two.store.rev
