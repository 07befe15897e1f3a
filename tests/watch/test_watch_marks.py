"""Progress marks: in order with the commits, never ahead of them, only when they say something."""

from __future__ import annotations

import pytest

from tests.watch.watch_world import Reader, World
from visor.protocol import verbs

TREE = verbs.SEL_TREE


@pytest.fixture
def world() -> World:
    return World()


def test_a_quiet_watch_that_fell_behind_is_told_after_ten_seconds(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/quiet"])
    world.set("/a")
    world.set("/a")
    world.pump()
    for _ in range(9):
        world.pass_time(1)
    assert reader.messages == []
    world.pass_time(1)
    assert reader.messages == [[verbs.MARK, 1, 2]]


def test_it_is_not_told_twice_the_same(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/quiet"])
    world.set("/a")
    world.pump()
    for _ in range(100):
        world.pass_time(1)
    assert reader.marks(1) == [1]
    world.set("/a")
    world.pump()
    for _ in range(100):
        world.pass_time(1)
    assert reader.marks(1) == [1, 2]


def test_nobody_is_marked_while_nothing_happens(world: World) -> None:
    world.set("/a")
    early, late = Reader(), Reader()
    world.watch(early, [TREE, "/quiet"])
    world.watch(late, [TREE, "/a"], 1)
    world.pump()
    world.pass_time(100)
    assert early.messages == []
    assert late.marks(1) == []


def test_what_was_just_delivered_needs_no_mark(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/a"])
    for _ in range(30):
        world.set("/a")
        world.set("/b")
        world.pump()
        world.pass_time(1)
    assert reader.marks(1) == []
    for _ in range(11):
        world.pass_time(1)
    assert reader.marks(1) == [60]


def test_who_has_the_last_commit_needs_no_mark(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/a"])
    world.set("/a")
    world.pump()
    world.pass_time(30)
    assert reader.marks(1) == []


def test_a_busy_watch_does_not_keep_marks_from_quiet_ones(world: World) -> None:
    busy, quiet = Reader(), Reader()
    world.watch(busy, [TREE, "/busy"])
    world.watch(quiet, [TREE, "/quiet"])
    for _ in range(15):
        world.set("/busy")
        world.pump()
        world.pass_time(1)
    assert busy.marks(1) == []
    assert quiet.marks(1) == [10]


def test_a_full_socket_gets_no_marks(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/quiet"])
    world.set("/a")
    world.pump()
    reader.blocked = True
    world.pass_time(30)
    assert reader.messages == []
    reader.blocked = False
    world.pass_time(30)
    assert reader.marks(1) == [1]


def test_an_owed_mark_waits_for_a_socket_that_the_commits_filled(world: World) -> None:
    for _ in range(3):
        world.set("/a")
    reader = Reader(high=1)
    world.watch(reader, [TREE, "/"], 1)
    world.hub.progress(reader, 1)
    world.pump()
    assert [message[0] for message in reader.messages] == [verbs.COMMITS]
    reader.unread, reader.blocked = 0, False
    world.hub.resume(reader)
    world.pump()
    assert [message[0] for message in reader.messages] == [verbs.COMMITS, verbs.MARK]


def test_members_of_one_group_are_each_told_what_they_do_not_know(world: World) -> None:
    old, new = Reader(), Reader()
    world.watch(old, [TREE, "/quiet"])
    world.set("/a")
    world.pump()
    world.watch(new, [TREE, "/quiet"])
    world.pass_time(10)
    assert old.marks(1) == [1]
    assert new.marks(1) == [], "it began behind rev 1"


def test_a_watch_that_was_stuck_and_is_live_again_is_not_told_what_it_has(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"], window=1)
    world.set("/a")
    world.pump()
    world.set("/a")
    world.pump()
    world.hub.credit(reader, 1, 1 << 20)
    world.pump()
    assert reader.revs(1) == [1, 2]
    world.pass_time(30)
    assert reader.marks(1) == []


def test_a_long_search_in_history_says_how_far_it_is(world: World) -> None:
    world.apply(*[[verbs.SET, "/a", b"v"] for _ in range(5000)])
    reader = Reader()
    world.watch(reader, [3, "/**/rare"], 1)
    world.hub.pump(1)
    assert reader.messages == []
    world.pass_time(11)
    world.hub.pump(1)
    [first] = reader.marks(1)
    assert 0 < first < 5000
    world.pump()
    assert reader.marks(1) == [first]
    world.hub.progress(reader, 1)
    assert reader.marks(1) == [first, 5000]


def test_progress_is_answered_at_once_when_nothing_is_left(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"])
    world.hub.progress(reader, 1)
    assert reader.messages == [[verbs.MARK, 1, 0]]
    world.set("/a")
    world.pump()
    world.hub.progress(reader, 1)
    assert [message[0] for message in reader.messages] == [verbs.MARK, verbs.COMMITS, verbs.MARK]
    assert reader.marks(1) == [0, 1]


def test_progress_covers_what_the_store_had_when_it_was_asked(world: World) -> None:
    """Applied but not yet published: the commit comes first, then the MARK that includes it."""
    reader = Reader()
    world.watch(reader, [TREE, "/a"])
    world.set("/a")
    world.set("/b")
    world.hub.progress(reader, 1)
    assert reader.messages == []
    world.pump()
    assert [message[0] for message in reader.messages] == [verbs.COMMITS, verbs.MARK]
    assert reader.marks(1) == [2]


def test_progress_comes_behind_what_is_read_from_history(world: World) -> None:
    for _ in range(2000):
        world.set("/a")
    reader = Reader()
    world.watch(reader, [TREE, "/"], 1)
    world.hub.pump(1)
    world.hub.progress(reader, 1)
    assert reader.marks(1) == []
    world.pump()
    assert reader.messages[-1][0] == verbs.MARK
    assert reader.marks(1) == [2000]
    assert reader.revs(1) == list(range(1, 2001))


def test_progress_of_a_lagging_watch_waits_for_its_reader(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"], window=1)
    for _ in range(3):
        world.set("/a")
        world.pump()
    world.hub.progress(reader, 1)
    world.pump()
    assert reader.marks(1) == []
    while reader.revs(1) != [1, 2, 3]:
        world.hub.credit(reader, 1, 100)
        world.pump()
    assert reader.messages[-1] == [verbs.MARK, 1, 3]


def test_progress_of_a_watch_from_the_future_waits_for_its_start(world: World) -> None:
    """A MARK below the start would make a reader resume below it."""
    reader = Reader()
    world.watch(reader, [TREE, "/"], 4)
    world.hub.progress(reader, 1)
    for _ in range(2):
        world.set("/a")
        world.pump()
        world.pass_time(11)
    assert reader.messages == []
    world.set("/a")
    world.pump()
    assert reader.messages == [[verbs.MARK, 1, 3]]


def test_several_progress_requests_may_share_a_mark(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"])
    world.set("/a")
    for _ in range(5):
        world.hub.progress(reader, 1)
    world.pump()
    assert reader.marks(1) == [1]
    assert reader.revs(1) == [1]
