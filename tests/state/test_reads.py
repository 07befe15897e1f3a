"""Reads: paging of large answers, what wrong messages get, and that old revs cost what new ones do."""

from __future__ import annotations

import pytest

from tests.state.driving import Driven
from visor.paths import sort_key
from visor.protocol.limits import Limits
from visord.state.reads import diff as diff_module
from visord.state.reads import page
from visord.state.refusal import Refusal


@pytest.fixture
def driven():
    return Driven()


@pytest.fixture
def crowded():
    """1500 files in one directory, of which every third was deleted, and a few elsewhere."""
    driven = Driven()
    driven.send(*[[30, i + 1, 0, f"/big/{i:04d}", b"%d" % i] for i in range(1500)], session=b"s")
    driven.send(*[[31, 2000 + i, 0, f"/big/{i:04d}"] for i in range(0, 1500, 3)], session=b"s")
    driven.set("/apps/a/procs/web/port", b"80"), driven.set("/apps/b/procs/web/port", b"81")
    driven.set("/apps/b/procs/db/port", b"82"), driven.set("/zoo")
    return driven


def pages(driven, verb, *fields, cursor_at):
    """Read page by page; return the rows and how many pages."""
    rows, count, fields = [], 0, list(fields)
    while True:
        answer = driven.ask(verb, *fields)
        rows += answer[1]
        count += 1
        if answer[2] is None:
            return rows, count
        fields[cursor_at] = answer[2]


def counted(driven, selector, at):
    """Count page by page; return the sum and how many pages."""
    total, count, cursor = 0, 0, None
    while True:
        rev, rows, cursor, more = driven.ask(13, selector, at, 0, cursor, 0, {"count": True})
        assert rows == []
        total, count, at = total + more, count + 1, rev
        if cursor is None:
            return total, count


def test_a_large_directory_now_and_in_the_past(crowded):
    now, turns = pages(crowded, 12, "/big", None, 0, None, 100, cursor_at=3)
    assert [row[0] for row in now] == [f"{i:04d}" for i in range(1500) if i % 3]
    assert turns == 10
    past, _ = pages(crowded, 12, "/big", 1500, 0, None, 400, cursor_at=3)
    assert [row[0] for row in past] == [f"{i:04d}" for i in range(1500)]
    assert crowded.ask(11, "/big")[2] == 1000
    assert crowded.ask(11, "/big", 1500)[2] == 1500


def test_pages_end_by_bytes(driven):
    driven = Driven(limits=Limits(page_bytes=1000))
    for i in range(10):
        driven.set(f"/f{i}", b"x" * 400)
    rows, turns = pages(driven, 13, [1, "/"], None, 0, None, 0, {}, cursor_at=3)
    assert (len(rows), turns) == (10, 4)
    rows, turns = pages(driven, 13, [1, "/"], None, 0, None, 0, {"keys": True}, cursor_at=3)
    assert (len(rows), turns) == (10, 1)
    rows, turns = pages(driven, 15, [1, "/"], None, None, 0, {}, cursor_at=1)
    assert (len(rows), turns) == (10, 4)
    rows, turns = pages(driven, 12, "/", None, 0, None, 0, {"values": True}, cursor_at=3)
    assert (len(rows), turns) == (10, 4)
    rows, turns = pages(driven, 16, [1, "/"], 0, 10, None, 0, cursor_at=3)
    assert (len(rows), turns) == (10, 4)


def test_an_answer_looks_at_a_bounded_part_of_the_tree(crowded, monkeypatch):
    monkeypatch.setattr(page, "BUDGET", 64)
    for selector in ([3, "/big/*7"], [3, "/**7"], [1, "/"], [4, "/big/0100", "/zoo"]):
        for reverse in (False, True):
            expected, _ = counted(crowded, selector, 1700)
            rows, turns = pages(crowded, 13, selector, 1700, 0, None, 0, {"reverse": reverse}, cursor_at=3)
            paths = [path for path, _ in rows]
            assert len(paths) == expected
            assert paths == sorted(paths, reverse=reverse)
            assert turns > 10
    rows, turns = pages(crowded, 15, [3, "/big/*77"], None, None, 0, {}, cursor_at=1)
    assert turns > 10
    assert len(rows) == 15 + 5
    rows, turns = pages(crowded, 12, "/big", 1600, 0, None, 0, {}, cursor_at=3)
    assert (len(rows), turns > 10) == (1400, True)


def test_diffs_of_many_and_of_few_changes_agree(crowded, monkeypatch):
    cases = [
        ([1, "/"], 100, 1800),
        ([3, "/**7"], 1600, 3),
        ([2, "/big"], 1499, 1501),
        ([1, "/apps"], 2001, 2003),
    ]
    few = [pages(crowded, 16, *case, None, 50, cursor_at=3)[0] for case in cases]
    monkeypatch.setattr(diff_module, "FEW", 0)
    monkeypatch.setattr(page, "BUDGET", 64)
    many = [pages(crowded, 16, *case, None, 50, cursor_at=3)[0] for case in cases]
    assert few == many
    assert [len(rows) for rows in few][2:] == [2, 2]


@pytest.mark.parametrize("reverse", [False, True])
def test_what_several_selectors_mean_comes_once_and_in_order(driven, reverse):
    for path in ("/a/x", "/a-b", "/b/x", "/c"):
        driven.set(path)
    several = [5, [[1, "/b"], [3, "/*/x"], [4, "/b", "/d"], [0, "/a-b"], [2, "/b"]]]
    rows = [row[0] for row in driven.ask(13, several, None, 0, None, 0, {"reverse": reverse})[1]]
    assert rows == sorted(["/a/x", "/a-b", "/b/x", "/c"], key=sort_key, reverse=reverse)
    assert counted(driven, several, None)[0] == 4
    assert [commit[0] for commit in driven.ask(15, several, 1, None, 0, {"reverse": reverse})[1]] == (
        [4, 3, 2, 1] if reverse else [1, 2, 3, 4]
    )


def test_globs_walk_only_where_matches_can_be(crowded, monkeypatch):
    monkeypatch.setattr(page, "BUDGET", 60)
    answer = crowded.ask(13, [3, "/apps/*/procs/web/port"], None, 0, None, 0)
    assert [path for path, _ in answer[1]] == ["/apps/a/procs/web/port", "/apps/b/procs/web/port"]
    assert answer[2] is None


def test_log_of_one_file_and_of_a_directory(driven):
    driven.set("/a/x"), driven.set("/b"), driven.set("/a/y"), driven.delete("/a/x"), driven.set("/a/x", b"2")
    assert [row[0] for row in driven.ask(15, [0, "/a/x"])[1]] == [1, 4, 5]
    assert [row[0] for row in driven.ask(15, [1, "/a"], 2, 4)[1]] == [3, 4]
    newest = driven.ask(15, [1, "/a"], None, None, 1, {"reverse": True, "previous": True, "keys": True})
    assert newest == [5, [[5, 1000, "tester", None, [[1, "/a/x", (5, None, 5, 1, 0), None]]]], 4]


def test_log_below_the_floor(driven):
    for _ in range(5):
        driven.set("/a")
    driven.write(35, None, None, 3)
    assert [row[0] for row in driven.ask(15, [0, "/a"])[1]] == [4, 5]
    refused = driven.ask(15, [0, "/a"], 3)
    assert (refused.code, refused.details) == ("compacted", {"floor": 3, "rev": 3})
    assert driven.ask(15, [0, "/a"], 4, 9).details == {"rev": 5, "asked": 9}
    assert driven.ask(15, [0, "/a"], 9)[1] == []


def test_time_to_rev(driven):
    for time in (1000, 2000, 2000, 3000):
        driven.time = time
        driven.set("/a")
    assert [driven.ask(17, time) for time in (0, 999, 1000, 1999, 2000, 9999)] == [0, 0, 1, 1, 3, 4]
    driven.write(35, None, None, 2)
    assert driven.ask(17, 2000) == 3
    assert driven.ask(17, 1999).code == "compacted"


def test_the_empty_tree(driven):
    assert driven.ask(12, "/") == [0, [], None]
    assert driven.ask(11, "/") == [0, 2, 0, 0, 0, 0, 0]
    assert driven.ask(13, [1, "/"]) == [0, [], None, None]
    assert driven.ask(10, "/a") == [0, None]
    driven.set("/a")
    assert driven.ask(10, "/a", 0) == [0, None]
    assert driven.ask(16, [1, "/"], 0, 1) == [1, [("/a", None, (1, b"", 1, 1, 0))], None]


def test_stat_of_what_was_deleted(driven):
    driven.set("/d/a"), driven.delete("/d/a"), driven.set("/b")
    assert driven.ask(11, "/d/a") == [3, 0, 0, 2, 0, 0, 0]
    assert driven.ask(11, "/d") == [3, 0, 0, 2, 0, 0, 0]
    assert driven.ask(11, "/never") == [3, 0, 0, 0, 0, 0, 0]


def test_old_revs_are_read_as_fast_as_new_ones(driven):
    for i in range(3000):
        driven.send([30, i + 1, 0, "/hot", b"%d" % i])
    assert driven.get("/hot", 1) == (1, b"0", 1, 1, 0)
    assert driven.get("/hot", 1500) == (1500, b"1499", 1, 1500, 0)


@pytest.mark.parametrize(
    ("message", "code", "field"),
    [
        ([10, 1], "bad_request", "message"),
        ([10, 1, "/a", None, 0, 0], "bad_request", "message"),
        ([10, 1, 5], "bad_request", "path"),
        ([10, 1, ["/a"]], "bad_request", "path"),
        ([10, 1, "/a", -1], "bad_request", "at"),
        ([10, 1, "/a", "now"], "bad_request", "at"),
        ([10, 1, "/a", True], "bad_request", "at"),
        ([10, 1, "/a", None, 2], "bad_request", "mode"),
        ([10, 1, "/a", 9], "future_rev", None),
        ([11, 1, None], "bad_request", "path"),
        ([12, 1, "/", None, 0, 5], "bad_request", "cursor"),
        ([12, 1, "/", None, 0, None, -1], "bad_request", "limit"),
        ([12, 1, "/", None, 0, None, 0, []], "bad_request", "options"),
        ([12, 1, "/", None, 0, None, 0, {"values": 1}], "bad_request", "options.values"),
        ([12, 1, "/missing"], "not_found", None),
        ([12, 1, "/a"], "not_directory", None),
        ([12, 1, "//"], "bad_path", None),
        ([13, 1, "/"], "bad_request", "selector"),
        ([13, 1, []], "bad_request", "selector"),
        ([13, 1, [7, "/"]], "bad_request", "selector"),
        ([13, 1, [5, "/"]], "bad_request", "selector"),
        ([13, 1, [5, []]], "bad_request", "selector"),
        ([13, 1, [5, [[1, "/"], [5, [[1, "/"]]]]]], "bad_request", "selector"),
        ([13, 1, [5, [[0, "/a"]] * 33]], "bad_request", "selector"),
        ([13, 1, [5, [[0, "/a"], [3, "/["]]]], "bad_glob", None),
        ([13, 1, [1]], "bad_request", "selector"),
        ([13, 1, [1, 5]], "bad_request", "selector"),
        ([13, 1, [3, 5]], "bad_request", "selector"),
        ([13, 1, [3, "/["]], "bad_glob", None),
        ([13, 1, [4, "/"]], "bad_request", "selector"),
        ([13, 1, [4, "/", "b"]], "bad_path", None),
        ([15, 1, [1, "/"], "x"], "bad_request", "from"),
        ([15, 1, [1, "/"], 1, "x"], "bad_request", "to"),
        ([16, 1, [1, "/"], 0], "bad_request", "message"),
        ([16, 1, [1, "/"], 0, 7], "future_rev", None),
        ([16, 1, [1, "/"], None, 0], "bad_request", "a"),
        ([17, 1, -1], "bad_request", "time"),
        ([99, 1], "bad_request", "verb"),
    ],
)
def test_wrong_reads_are_refused_clearly(driven, message, code, field):
    from visord.state.query import answer

    driven.set("/a")
    refused = answer(driven.store, message)
    assert isinstance(refused, Refusal)
    assert refused.code == code
    if field:
        assert refused.details["field"] == field


def test_unknown_options_are_ignored(driven):
    assert driven.ask(13, [1, "/"], None, 0, None, 0, {"later": 1}) == [0, [], None, None]
