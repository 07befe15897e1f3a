"""The floor, trimming below it, and the store as rows: nothing that can be asked changes."""

from __future__ import annotations

import msgpack
import pytest

from tests.state.driving import Driven
from visord.state import trim as trimming
from visord.state.digest import digest, state_hash
from visord.state.exporting import export_base, export_commits
from visord.state.importing import CorruptHistory, import_base, import_commits
from visord.state.machine import Machine
from visord.state.refusal import Refusal
from visord.state.store import Store
from visord.state.tables import export_tables, import_tables
from visord.state.trim import trim


@pytest.fixture
def driven():
    return Driven()


def drain(store, budget=7):
    turns = 1
    while trim(store, budget):
        turns += 1
    return turns


def test_everything_is_kept_by_default(driven):
    for _ in range(50):
        driven.set("/a")
    assert driven.store.floor == 0
    assert not trim(driven.store, 1000)
    assert driven.get("/a", 1)[0] == 1


def test_retention_by_count(driven):
    assert driven.write(35, 10) == 0
    for i in range(30):
        driven.set("/a", b"%d" % i)
    assert driven.store.floor == 20
    assert driven.get("/a", 20)[0] == 20
    assert driven.ask(10, "/a", 19).details == {"floor": 20, "rev": 19}
    assert driven.write(35, 0) == 20, "the floor never falls"
    driven.set("/a")
    assert driven.store.floor == 20


def test_retention_by_age_keeps_what_was_in_force(driven):
    driven.write(35, None, 1000)
    for time in (1000, 1500, 2000, 2400, 2600):
        driven.time = time
        driven.set("/a")
    assert driven.store.floor == 2, "at 1600, the oldest time that counts, rev 2 was in force"
    driven.time = 10_000
    driven.write(34)
    assert driven.store.floor == 5, "time passes without writes too"
    assert driven.get("/a", 5)[0] == 5


def test_compacting_by_hand(driven):
    driven.set("/a"), driven.set("/a")
    assert driven.write(35, None, None, 3).details == {"rev": 2, "asked": 3}
    assert driven.write(35, None, None, 2) == 2
    assert driven.write(35, None, None, 1) == 2


def test_trimming_gives_everything_back(driven):
    for i in range(20):
        driven.set(f"/d{i}/x/y", b"1"), driven.set("/keep", b"%d" % i)
    for i in range(20):
        driven.delete(f"/d{i}", True)
    store = driven.store
    driven.write(35, None, None, store.rev)
    assert drain(store) > 3
    assert store.files.keys() == {"/keep"}
    assert store.directories.keys() == {"/"}
    assert len(store.files["/keep"].versions) == 1
    assert store.root.gone is None
    assert len(store.history.touched) == len(store.history.times) == len(store.history.actors) == 0
    driven.set("/d1/x/y", b"again")
    assert driven.get("/d1/x/y") == (61, b"again", 61, 1, 0)


def test_a_directory_keeps_its_last_change_through_trimming(driven):
    for _ in range(9):
        driven.set("/d/a")
    driven.set("/d/gone"), driven.delete("/d/gone"), driven.set("/other"), driven.set("/other")
    driven.write(35, None, None, 13)
    drain(driven.store)
    assert driven.ask(11, "/d") == [13, 2, 1, 11, 0, 0, 0]
    assert driven.txn([], [[3, "/d", 10]])[1] is False
    assert driven.txn([], [[3, "/d", 11]])[1] is True
    assert len(driven.store.directories["/d"].changes) == 1


def test_a_huge_commit_is_trimmed_in_slices(driven):
    driven.txn([[0, f"/d/{i}", b""] for i in range(1000)])
    driven.delete("/d", True)
    driven.write(35, None, None, 2)
    assert drain(driven.store, 50) >= 40
    assert not driven.store.files


def test_a_hot_file_is_cut_without_moving_all_of_it_each_time(driven):
    driven.write(35, 100)
    for i in range(1000):
        driven.send([30, i + 1, 0, "/hot", b"x"])
        trim(driven.store, 4)
    store = driven.store
    assert 101 <= len(store.files["/hot"].versions) <= 120
    assert 100 <= len(store.history.times) <= 120
    assert [commit[0] for commit in store.commits(901, 903)] == [901, 902, 903]


def test_long_lists_go_in_parts(driven, monkeypatch):
    monkeypatch.setattr(trimming, "_MOST", 10)
    monkeypatch.setattr(trimming, "_CHEAP", 1)
    for i in range(300):
        driven.send([30, i + 1, 0, "/d/hot", b"x"])
    driven.delete("/d/hot"), driven.set("/other")
    driven.write(35, None, None, 302)
    store = driven.store
    assert drain(store, 20) >= 30
    assert store.files.keys() == {"/other"}
    assert store.directories.keys() == {"/"}


def test_commits_above_the_floor_stay_whole(driven):
    driven.set("/a", b"1"), driven.delete("/a"), driven.set("/a", b"3"), driven.set("/b"), driven.delete("/a")
    before = list(driven.store.commits(3, 5))
    driven.write(35, None, None, 2)
    drain(driven.store)
    assert list(driven.store.commits(3, 5)) == before


def test_notes_go_with_their_revs(driven):
    for i in range(20):
        driven.set("/a", b"", 0, 0, 0, f"note {i}")
    driven.write(35, None, None, 15)
    drain(driven.store)
    assert list(driven.store.history.notes) == [16, 17, 18, 19, 20]


# -- rows ----------------------------------------------------------------------------------------------


def filled():
    driven = Driven()
    driven.txn([[0, f"/d/{i:03d}", b"%d" % i] for i in range(50)], note="first")
    (
        driven.delete("/d/007"),
        driven.set("/e/f/g", b"x"),
        driven.set("/d/007", b"again"),
        driven.delete("/e", True),
    )
    driven.set("/e", b"a file now")
    return driven


def test_commit_rows_are_compact(driven):
    driven.set("/a", b"1"), driven.delete("/a", False, 0, 0, "bye")
    assert export_commits(driven.store, 1, 2) == [
        [1, 1000, "tester", None, [[1, "/a", b"1", 0]]],
        [2, 1000, "tester", "bye", [[3, "/a", None, 0]]],
    ]


def test_expiry_is_told_from_deletion_and_survives(driven):
    driven.set("/a"), driven.set("/b")
    driven.store.commit(1005, "lease", None, [("/a", None, 0), ("/b", None, 0)], expired=True)
    rows = export_commits(driven.store, 1, 3)
    assert [change[0] for change in rows[2][4]] == [4, 4]
    fresh = Store()
    import_commits(fresh, rows)
    assert list(fresh.commits(1, 3)) == list(driven.store.commits(1, 3))


def test_trimmed_commits_cannot_be_exported():
    driven = filled()
    driven.write(35, None, None, 3)
    assert len(export_commits(driven.store, 1, 6)) == 6, "below the floor, as long as nothing was cut"
    trim(driven.store, 1)
    with pytest.raises(ValueError, match="only 4 to 6"):
        export_commits(driven.store, 3, 6)
    assert len(export_commits(driven.store, 4, 6)) == 3


def test_a_base_of_a_past_rev_in_slices():
    driven = filled()
    for limit in (1, 3, 1000):
        fresh, cursor = Store(), None
        while True:
            rows, cursor = export_base(driven.store, cursor, limit, 3)
            import_base(fresh, 3, 1000, rows)
            if cursor is None:
                break
        assert state_hash(fresh, 3) == state_hash(driven.store, 3)
        import_commits(fresh, export_commits(driven.store, 4, 6))
        for rev in (3, 4, 5, 6):
            assert state_hash(fresh, rev) == state_hash(driven.store, rev)
        assert list(fresh.commits(4, 6)) == list(driven.store.commits(4, 6))


def test_a_base_below_the_floor_is_refused_once_it_was_trimmed():
    driven = filled()
    driven.write(35, None, None, 3)
    assert export_base(driven.store, None, 1 << 30, 2)[0]
    trim(driven.store, 1)
    with pytest.raises(ValueError, match="rev 2"):
        export_base(driven.store, None, 10, 2)


GOOD = [[1, 5, "me", None, [[1, "/a/b", b"x", 0]]]]


@pytest.mark.parametrize(
    "bad",
    [
        [3, 5, "me", None, [[2, "/a/b", b"x", 0]]],
        [1, 5, "me", None, [[2, "/a/b", b"x", 0]]],
        [2.0, 5, "me", None, [[2, "/a/b", b"x", 0]]],
        [2, 5, "me", None, []],
        [2, 5, "me", None, [[1, "/a/b", b"x", 0]]],
        [2, 5, "me", None, [[2, "/a/c", b"x", 0]]],
        [2, 5, "me", None, [[3, "/a/c", None, 0]]],
        [2, 5, "me", None, [[4, "/a/c", None, 0]]],
        [2, 5, "me", None, [[1, "/a", b"x", 0]]],
        [2, 5, "me", None, [[1, "/a/b/c", b"x", 0]]],
        [2, 5, "me", None, [[1, "/x/", b"x", 0]]],
        [2, 5, "me", None, [[1, "/", b"x", 0]]],
        [2, 5, "me", None, [[1, "/x", None, 0]]],
        [2, 5, "me", None, [[7, "/a/b", b"x", 0]]],
        [2, 5, "me", "note", [[2, "/a/b", None, 0]]],
        [2, 5, "me", "note", [[2, "/a/b", b"", 0], [2, "/a/b", b"", 0]]],
        [2, "late", "me", None, [[2, "/a/b", b"x", 0]]],
        [2, 5, "me", None, None],
        [2, 5],
        None,
    ],
)
def test_nonsense_is_refused_with_its_rev(bad):
    store = Store()
    import_commits(store, GOOD)
    with pytest.raises(CorruptHistory) as caught:
        import_commits(store, [bad])
    assert caught.value.rev == 2


def test_commits_that_go_back_in_time_are_refused(driven):
    """The state machine never makes one, and the times of a long history are kept by how far each is behind others."""
    driven.set("/a"), driven.set("/b"), driven.set("/c")
    rows = export_commits(driven.store, 1, 3)
    rows[1][1] = rows[0][1] - 1
    for bad in (rows, [rows[0], [*rows[1][:4], rows[1][4] + rows[2][4]]]):
        with pytest.raises(CorruptHistory, match="rev 2: was made at"):
            import_commits(Store(), bad)


@pytest.mark.parametrize(
    "rows",
    [
        [["/a", 9, b"", 9, 1, 0]],
        [["/a", 2, b"", 3, 1, 0]],
        [["/a", 2, None, 2, 1, 0]],
        [["/a", 2, b"", 2, 1, 0]] * 2,
        [["/a", 2, b"", 2, 1, 0], ["/a/b", 2, b"", 2, 1, 0]],
        [["/a/b", 2, b"", 2, 1, 0], ["/a", 2, b"", 2, 1, 0]],
        [["/d", 9]],
        [["d", 1]],
        [["/d"]],
        [5],
    ],
)
def test_a_bad_base_is_refused(rows):
    with pytest.raises(CorruptHistory):
        import_base(Store(), 5, 1000, rows)


def test_a_base_does_not_go_over_a_history(driven):
    driven.set("/a")
    with pytest.raises(CorruptHistory):
        import_base(driven.store, 5, 1000, [])


def test_tables_must_fit_the_store(driven):
    driven.set("/a")
    tables = export_tables(driven.machine)
    with pytest.raises(CorruptHistory):
        import_tables(Machine(), tables)
    with pytest.raises(Exception, match="format 9"):
        import_tables(Machine(), {**tables, "format": 9})


def test_settings_survive_a_restart(driven):
    driven.write(35, 5, 7000)
    for _ in range(9):
        driven.set("/a")
    fresh = Machine()
    import_commits(fresh.store, export_commits(driven.store, 1, 9))
    import_tables(fresh, msgpack.unpackb(msgpack.packb(export_tables(driven.machine))))
    assert fresh.store.floor == 4
    assert (fresh.retention.keep_revs, fresh.retention.keep_ms) == (5, 7000)
    assert export_tables(fresh) == export_tables(driven.machine)


# -- digest --------------------------------------------------------------------------------------------


def test_digests_tell_states_apart_and_not_histories():
    one, two = Driven(), Driven()
    one.txn([[0, "/a", b"x"], [0, "/b", b"y"]])
    two.txn([[0, "/b", b"y"], [0, "/c", b""], [1, "/c"], [0, "/a", b"x"]])
    assert state_hash(one.store) == state_hash(two.store)
    two.set("/a", b"x")
    assert state_hash(one.store) != state_hash(two.store)
    assert state_hash(one.store) == state_hash(two.store, 1)


def test_a_digest_goes_on_while_the_store_changes(driven):
    driven.txn([[0, f"/{i:03d}", b""] for i in range(100)])
    expected = state_hash(driven.store, 1)
    slices, turns = digest(driven.store, 1, slice_size=7), 0
    while True:
        try:
            next(slices)
        except StopIteration as done:
            assert done.value == expected
            break
        turns += 1
        driven.delete(f"/{turns:03d}"), driven.set(f"/{turns}new")
    assert turns > 10
    slices = digest(driven.store, 1, slice_size=7)
    next(slices)
    driven.write(35, None, None, 2)
    with pytest.raises(StopIteration) as stopped:
        next(slices)
    assert isinstance(stopped.value.value, Refusal)


def test_memory_is_given_back_by_so_many_bytes_at_a_time(driven):
    """Values of a megabyte: the system takes a while for each."""
    value, most = b"v" * 500_000, 12
    for number in range(30):
        driven.set(f"/large/{number}", value)
    for _ in range(60):
        driven.set("/one", value)
    driven.write(31, "/large", True)
    driven.set("/two")
    driven.set("/two")
    driven.write(35, 1)
    held, slices = driven.store.held, 0
    while trim(driven.store, 500):
        assert held - driven.store.held < most * len(value)
        held, slices = driven.store.held, slices + 1
    assert slices > 5
    assert driven.store.held < 2 * len(value)  # the latest of /one
    history, forgotten = driven.store.history, 0
    while history.drop_recent(driven.store.rev):
        forgotten += 1
    assert forgotten > 8
    assert (history.recent, driven.get("/one")[1]) == ([], value)
