"""What each write does, refuses and leaves behind: the ancestors' defects by name, guards, transactions, revert."""

from __future__ import annotations

import pytest

from tests.state.driving import Driven
from visor.protocol.limits import Limits
from visord.state import cost
from visord.state.reads import diff
from visord.state.refusal import Refusal


@pytest.fixture
def driven():
    return Driven()


def code(outcome):
    assert isinstance(outcome, Refusal), outcome
    return outcome.code


def test_revs_count_from_one(driven):
    assert [driven.set("/a"), driven.set("/b"), driven.set("/a")] == [1, 2, 3]
    assert driven.get("/a") == (3, b"", 1, 2, 0)


# -- defects of the ancestors --------------------------------------------------------------------------


def test_delete_below_a_file_is_refused_and_keeps_the_file(driven):
    driven.set("/a", b"x")
    for recursive in (False, True):
        refused = driven.delete("/a/b", recursive)
        assert (refused.code, refused.details) == ("not_directory", {"path": "/a"})
    assert driven.get("/a") == (1, b"x", 1, 1, 0)


def test_a_refused_write_takes_no_rev_and_leaves_no_trace(driven):
    driven.set("/a", b"x")
    before = driven.paths()
    for frame in (
        [30, 9, 0, "/a", b"y", 1, 7],
        [30, 9, 0, "/a/b", b"y"],
        [30, 9, 0, "/bad path", b"y"],
        [31, 9, 0, "/b"],
        [32, 9, 0, [], [[0, "/c", b""], [1, "/nothing"]]],
        [33, 9, 0, "/", 99],
    ):
        assert code(driven.send(frame)[0])
    assert driven.store.rev == 1
    assert driven.paths() == before
    assert list(driven.store.directories) == ["/"]


def test_deleting_what_is_not_there_is_refused(driven):
    assert driven.delete("/a").details == {"path": "/a"}
    assert code(driven.delete("/a")) == "not_found"
    assert driven.store.rev == 0


def test_a_deletion_is_seen_by_guards(driven):
    driven.set("/a")
    driven.delete("/a")
    refused = driven.set("/a", b"", 3, 1)
    assert (refused.code, refused.details) == ("rev_mismatch", {"path": "/a", "expected": 1, "actual": 2})
    assert driven.set("/a", b"", 3, 2) == 3


def test_not_changed_since_passes_for_any_later_rev(driven):
    driven.set("/a")
    assert driven.set("/a", b"", 3, 999) == 2
    assert code(driven.set("/a", b"", 3, 1)) == "rev_mismatch"
    assert driven.set("/new", b"", 3, 0) == 3
    assert code(driven.set("/new", b"", 3, 0)) == "rev_mismatch"


def test_recursive_delete_is_one_rev(driven):
    for path in ("/a/b", "/a/c/d", "/a/c/e", "/x"):
        driven.set(path)
    assert code(driven.delete("/a")) == "is_directory"
    assert driven.delete("/a", True) == 5
    assert driven.paths() == ["/x"]
    (commit,) = driven.store.commits(5, 5)
    assert [(kind, path) for kind, path, _, _ in commit[4]] == [(3, "/a/b"), (3, "/a/c/d"), (3, "/a/c/e")]
    assert code(driven.delete("/")) == "is_directory"
    assert driven.delete("/", True) == 6
    assert driven.delete("/", True) == 6
    assert driven.ask(12, "/")[1] == []


def test_a_path_is_a_file_or_a_directory(driven):
    driven.set("/a/b")
    assert driven.set("/a").details == {"path": "/a"}
    assert code(driven.set("/a")) == "is_directory"
    assert driven.set("/a/b/c/d").details == {"path": "/a/b"}
    assert code(driven.set("/")) == "is_directory"
    driven.delete("/a/b")
    assert driven.set("/a") == 3
    assert driven.ask(11, "/a")[1] == 1
    assert driven.ask(11, "/a", 1)[1] == 2


def test_an_empty_value_is_a_file(driven):
    assert driven.set("/a", b"") == 1
    assert driven.get("/a") == (1, b"", 1, 1, 0)


def test_a_missing_file_is_told_from_a_bad_path_and_a_directory(driven):
    driven.set("/a/b")
    assert driven.get("/c") is None
    assert code(driven.ask(10, "/a")) == "is_directory"
    assert code(driven.ask(10, "/c/")) == "bad_path"


# -- guards --------------------------------------------------------------------------------------------

MISSING, PRESENT = "/none", "/file"
GUARDS = [
    # kind, path, arg, code (None: holds); the file /file is at rev 2 with value b"v"
    (0, MISSING, 0, None),
    (1, PRESENT, 2, None),
    (1, PRESENT, 1, "rev_mismatch"),
    (1, PRESENT, 3, "rev_mismatch"),
    (1, MISSING, 0, None),
    (1, MISSING, 1, "rev_mismatch"),
    (2, MISSING, 0, None),
    (2, PRESENT, 0, "exists"),
    (3, PRESENT, 2, None),
    (3, PRESENT, 1, "rev_mismatch"),
    (4, PRESENT, 0, None),
    (4, MISSING, 0, "not_found"),
]


@pytest.mark.parametrize(("kind", "path", "arg", "expected"), GUARDS)
def test_guards_of_set(driven, kind, path, arg, expected):
    driven.set("/file"), driven.set("/file", b"v")
    outcome = driven.set(path, b"new", kind, arg)
    assert outcome == 3 if expected is None else code(outcome) == expected


@pytest.mark.parametrize(
    ("kind", "path", "arg", "expected"),
    [
        *GUARDS,
        (5, PRESENT, b"v", None),
        (5, PRESENT, b"w", "no"),
        (5, MISSING, b"v", "no"),
        (6, PRESENT, 3, None),
        (6, PRESENT, 2, "no"),
        (7, PRESENT, 1, None),
        (7, PRESENT, 2, "no"),
        (7, MISSING, 0, "no"),
        (3, "/", 2, None),
        (3, "/", 1, "no"),
    ],
)
def test_guards_of_transactions_choose_the_branch(driven, kind, path, arg, expected):
    driven.set("/file"), driven.set("/file", b"v")
    outcome = driven.txn([[0, "/then", b""]], [[kind, path, arg]], [[0, "/else", b""]])
    assert outcome == [3, expected is None, [None]]
    assert driven.get("/then" if expected is None else "/else")[0] == 3


def test_a_directory_guard_covers_all_below(driven):
    driven.set("/d/x/y"), driven.set("/other")
    assert driven.txn([[0, "/n", b""]], [[3, "/d", 1]])[1] is True
    driven.delete("/d/x/y")
    assert driven.txn([[0, "/n", b""]], [[3, "/d", 1]])[1] is False
    driven.set("/d/z")
    assert driven.txn([[0, "/n", b""]], [[3, "/d", 4]])[1] is False
    assert driven.txn([[0, "/n", b""]], [[3, "/d", 5]])[1] is True


def test_not_changed_since_below_the_floor_cannot_be_told(driven):
    driven.set("/a"), driven.set("/b"), driven.delete("/a"), driven.set("/c")
    assert driven.write(35, None, None, 4) == 4
    refused = driven.set("/a", b"", 3, 1)
    assert (refused.code, refused.details) == ("compacted", {"floor": 4, "rev": 1})
    assert driven.set("/b", b"", 3, 2) == 5, "a file that is there tells for itself"
    assert driven.set("/a", b"", 3, 4) == 6
    assert driven.txn([], [[3, "/zz", 1]]).details == {"floor": 4, "rev": 1, "guard": 0}


def test_a_deletion_counts_where_a_directory_had_been_before(driven):
    driven.set("/a/b"), driven.delete("/a/b"), driven.set("/a"), driven.delete("/a")
    assert driven.set("/a", b"", 3, 2).details == {"path": "/a", "expected": 2, "actual": 4}
    assert driven.set("/a", b"", 3, 4) == 5


# -- transactions --------------------------------------------------------------------------------------


def test_operations_see_the_earlier_ones(driven):
    driven.set("/a/b", b"old")
    outcome = driven.txn(
        [
            [0, "/a/b", b"1"],
            [2, "/a/b"],
            [3, "/a"],
            [1, "/a/b"],
            [2, "/a/b"],
            [3, "/a"],
            [0, "/a", b"now a file"],
            [0, "/new/x/y", b""],
            [3, "/new"],
            [3, "/"],
        ]
    )
    got = (2, b"1", 1, 2, 0)
    assert outcome == [
        2,
        True,
        [None, got, [["b", 1]], None, None, [], None, None, [["x", 2]], [["a", 1], ["new", 2]]],
    ]
    (commit,) = driven.store.commits(2, 2)
    assert [(kind, path) for kind, path, _, _ in commit[4]] == [(1, "/a"), (3, "/a/b"), (1, "/new/x/y")]


def test_one_change_a_path_and_none_for_what_came_and_went(driven):
    driven.set("/keep", b"0")
    assert (
        driven.txn([[0, "/keep", b"1"], [1, "/keep"], [0, "/keep", b"2"], [0, "/t", b""], [1, "/t"]])[0] == 2
    )
    (commit,) = driven.store.commits(2, 2)
    assert commit[4] == [(2, "/keep", (2, b"2", 1, 2, 0), (1, b"0", 1, 1, 0))]
    assert driven.txn([[0, "/t/u", b""], [1, "/t", True]]) == [2, True, [None, None]]
    assert driven.store.directories.keys() == {"/"}


def test_an_empty_transaction_takes_no_rev(driven):
    driven.set("/a", b"x")
    assert driven.txn([]) == [1, True, []]
    assert driven.txn([[2, "/a"], [3, "/nowhere"]]) == [1, True, [(1, b"x", 1, 1, 0), []]]


@pytest.mark.parametrize(
    ("operations", "expected", "position"),
    [
        ([[0, "/n", b""], [1, "/missing"]], "not_found", 1),
        ([[0, "/n", b""], [0, "/n/m", b""]], "not_directory", 1),
        ([[0, "/n/m", b""], [0, "/n", b""]], "is_directory", 1),
        ([[0, "/n/m", b""], [1, "/n"]], "is_directory", 1),
        ([[1, "/f/x"]], "not_directory", 0),
        ([[2, "/d"]], "is_directory", 0),
        ([[3, "/f"]], "not_directory", 0),
        ([[0, "/bad/", b""]], "bad_path", 0),
        ([[0, "/n", "text"]], "bad_request", 0),
        ([[9, "/n"]], "bad_request", 0),
        ([[0, "/n"]], "bad_request", 0),
        ([[0, "/n", b"", 5]], "lease_not_found", 0),
        ([[True, "/n", b""]], "bad_request", 0),
        ([[1, "/f", 1]], "bad_request", 0),
        (["set"], "bad_request", 0),
    ],
)
def test_one_failing_operation_refuses_all(driven, operations, expected, position):
    driven.txn([[0, "/f", b""], [0, "/d/x", b""]])
    refused = driven.txn(operations)
    assert code(refused) == expected
    assert refused.details["operation"] == position
    assert driven.paths() == ["/d/x", "/f"]


def test_the_branch_not_taken_must_be_well_formed_too(driven):
    assert code(driven.txn([], [], [[0, "/x", 5]])) == "bad_request"


def test_thousands_of_operations(driven):
    operations = [[0, f"/d{i % 7}/f{i:05d}", b"%d" % i] for i in range(4096)]
    assert driven.txn(operations)[0] == 1
    assert driven.ask(13, [1, "/"], None, 0, None, 0, {"count": True})[3] == 4096
    refused = driven.txn([*operations, [2, "/a"]])
    assert (refused.code, refused.details) == ("too_large", {"what": "then", "limit": 4096, "actual": 4097})


def test_the_size_of_a_transaction_is_bounded():
    driven = Driven(limits=Limits(value=100, transaction=250))
    assert code(driven.txn([[0, "/a", b"x" * 101]])) == "too_large"
    refused = driven.txn([[0, f"/{i}", b"x" * 100] for i in range(3)])
    assert refused.details == {"what": "transaction", "limit": 250, "actual": 306, "operation": 2}
    driven.set("/a", b"x" * 100)
    refused = driven.txn([[2, "/a"]] * 3)
    assert refused.details == {"what": "results", "limit": 250, "actual": 300, "operation": 2}


def test_deleting_the_same_directory_again_and_again_is_bounded(driven, monkeypatch):
    monkeypatch.setattr(cost, "TODAY", cost.TODAY._replace(write=300, compared=300))
    driven.txn([[0, f"/d/{i}", b""] for i in range(100)])
    refused = driven.txn(
        [[1, "/d", True], [0, "/d/x", b""], [1, "/d", True], [0, "/d/x", b""], [1, "/d", True]]
    )
    assert (refused.code, refused.details["what"], refused.details["operation"]) == ("too_large", "cost", 2)
    assert driven.txn([[3, "/d"]] * 2)[0] == 1
    assert driven.txn([[3, "/d"]] * 3).details["operation"] == 2


def test_the_changes_of_one_commit_are_bounded(driven, monkeypatch):
    monkeypatch.setattr(cost, "TODAY", cost.TODAY._replace(changes=10))
    for i in range(11):
        driven.set(f"/d/{i}")
    assert driven.delete("/d", True).details["what"] == "changes"
    assert driven.txn([[1, "/d", True]]).details["what"] == "changes and new directories"
    driven.delete("/d/0")
    assert driven.delete("/d", True) == 13


# -- revert --------------------------------------------------------------------------------------------


def test_revert_brings_a_subtree_back_as_one_commit(driven):
    driven.set("/d/same", b"s"), driven.set("/d/old", b"1"), driven.set("/d/dir/x", b"x")
    (
        driven.set("/d/old", b"2"),
        driven.delete("/d/dir", True),
        driven.set("/d/dir", b"file"),
        driven.set("/d/new"),
    )
    driven.set("/outside")
    assert driven.write(33, "/d", 3, None, "undo") == 9
    assert driven.paths() == ["/d/dir/x", "/d/old", "/d/same", "/outside"]
    (commit,) = driven.store.commits(9, 9)
    assert commit[3] == "undo"
    assert [(kind, path) for kind, path, _, _ in commit[4]] == [
        (3, "/d/dir"),
        (1, "/d/dir/x"),
        (3, "/d/new"),
        (2, "/d/old"),
    ]
    assert driven.write(33, "/d", 3) == 9, "nothing to do takes no rev"


def test_revert_refusals(driven):
    driven.set("/a/b"), driven.delete("/a/b"), driven.set("/a", b"file")
    assert driven.write(33, "/a/b", 1).details == {"path": "/a"}
    assert code(driven.write(33, "/a", 9)) == "future_rev"
    assert code(driven.write(33, "/a", 1, 2)) == "rev_mismatch"
    assert driven.write(33, "/a", 1, 3) == 4
    assert driven.paths() == ["/a/b"]
    assert driven.write(35, None, None, 3) == 3
    assert driven.write(33, "/a", 1).details == {"floor": 3, "rev": 1}


def test_a_revert_compares_a_bounded_number_of_files(driven, monkeypatch):
    monkeypatch.setattr(diff, "FEW", 5)
    monkeypatch.setattr(cost, "TODAY", cost.TODAY._replace(write=50, compared=50))
    driven.txn([[0, f"/d/{i}", b""] for i in range(30)])
    assert driven.write(33, "/d", 0).details == {"what": "cost of comparing", "limit": 50, "actual": 52}
    driven.set("/d/3", b"new")
    assert driven.write(33, "/d", 1) == 3, "one change is found by itself"


# -- fields --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ([30, 1, 0, "/a"], "message"),
        ([30, 1, 0, "/a", "text"], "value"),
        ([30, 1, 0, "/a", None], "value"),
        ([30, 1, 0, 5, b""], "path"),
        ([30, 1, 0, "/a", b"", True, 0], "guard"),
        ([30, 1, 0, "/a", b"", 1, True], "arg"),
        ([30, 1, 0, "/a", b"", 1, -1], "arg"),
        ([30, 1, 0, "/a", b"", 1, 2**63], "arg"),
        ([30, 1, 0, "/a", b"", 5, 0], "guard"),
        ([30, 1, 0, "/a", b"", 0, 0, -7], "lease"),
        ([30, 1, 0, "/a", b"", 0, 0, 0, 5], "note"),
        ([30, 1, 0, "/a", b"", 0, 0, 0, None, 1], "message"),
        ([30, 0, 0, "/a", b""], "id"),
        ([30, True, 0, "/a", b""], "id"),
        ([30, 2**63, 0, "/a", b""], "id"),
        ([30, "1", 0, "/a", b""], "id"),
        ([30, 1, 2, "/a", b""], "acked"),
        ([30, 1, -1, "/a", b""], "acked"),
        ([30, 1, None, "/a", b""], "acked"),
        ([31, 1, 0, "/a", 1], "recursive"),
        ([32, 1, 0, {}, []], "guards"),
        ([32, 1, 0, [[1, "/a"]], []], "guards"),
        ([32, 1, 0, [[8, "/a", 0]], []], "guard"),
        ([32, 1, 0, [[5, "/a", 0]], []], "arg"),
        ([33, 1, 0, "/a", None], "to_rev"),
        ([34, 1, 0, 1], "message"),
        ([35, 1, 0, -1], "keep_revs"),
        ([42, 1, 0], "verb"),
        ([36, 1, 0], "message"),
        ([36, 1, 0, 999], "ttl"),
        ([36, 1, 0, 1000, 5], "wanted"),
        ([37, 1, 0, 0], "lease"),
        ([37, 1, 0, 1, 5], "note"),
        ([38, 1, 0, 1, 2], "verb"),
        ([30.0, 1, 0, "/a", b""], "verb"),
        ([39, 1], "write"),
        ([39, 1, [39, 1, [34, 1, 0]]], "acked"),
        ([30], "write"),
        ("frame", "write"),
        (None, "write"),
    ],
)
def test_wrong_fields_are_named(driven, frame, field):
    driven.set("/a", b"here")
    driven.send([34, 50, 0], session=b"some")
    for session in (None, b"some"):
        (refused,) = driven.send(frame, session=session)
        assert refused.code == "bad_request", refused
        assert refused.details["field"] == field
        assert {"field", "expected", "actual"} <= refused.details.keys()
    assert driven.store.rev == 1


def test_limits_of_single_writes():
    driven = Driven(limits=Limits(value=10, note=5, component=4, path=12))
    assert driven.set("/a", b"x" * 11).details == {"what": "value", "limit": 10, "actual": 11}
    driven.set("/a")
    assert driven.set("/a", b"x" * 11).details == {"what": "value", "limit": 10, "actual": 11}
    assert code(driven.set("/abcde")) == "bad_path"
    assert code(driven.set("/a", b"", 0, 0, 0, "ééé")) == "too_large"
    assert driven.set("/a", b"x" * 10, 0, 0, 0, "éé") == 2
