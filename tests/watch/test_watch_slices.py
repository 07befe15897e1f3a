"""Nothing is done for all watches at once, and nobody can tell: what is cut into slices is what it was in one piece."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.watch.test_watch_rules import SOAK, WatchRules
from tests.watch.watch_world import Reader, World
from visor.protocol import verbs
from visord.watch import history, hub, index, large, live, messages, sizes

TREE, RANGE, GLOB = verbs.SEL_TREE, verbs.SEL_RANGE, verbs.SEL_GLOB


class SlicedRules(WatchRules):
    """The rules, with portions so small that everything stops everywhere, also within a commit and a group."""

    def __init__(self) -> None:
        self.patch = pytest.MonkeyPatch()
        for module, name, value in (
            (live, "PORTION", 2),
            (live, "RANGES", 1),
            (index, "FIRST", 1),
            (hub, "AT_ONCE", 1),
            (history, "WITHIN", 2),
            (history, "SEARCH", 3),
            # Commits of several changes are large ones, and their values pieces of their own.
            (sizes, "SMALL_BYTES", 300),
            (live, "CHANGES", 1),
            (live, "PAIRS", 12),
            (large, "KEPT_BYTES", 400),
            (large, "VALUE_BYTES", 300),
            (messages, "SPLIT_BYTES", 1),
            (history, "FEW", 2),
            (history, "TOGETHER", 1),
        ):
            self.patch.setattr(module, name, value)
        super().__init__()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.patch.undo()


SlicedRules.TestCase.settings = settings(max_examples=int(60 * SOAK), stateful_step_count=50)
TestSlicedRules = SlicedRules.TestCase
del WatchRules


def crowd(world: World, count: int, watches: int = 1) -> list[Reader]:
    """Return readers that all watch everything."""
    readers = [Reader() for _ in range(count)]
    for reader in readers:
        for watch in range(1, watches + 1):
            world.watch(reader, [TREE, "/"], watch=watch)
    return readers


def test_one_commit_to_many_members_goes_out_in_portions() -> None:
    world = World()
    readers = crowd(world, 3 * live.PORTION)
    rev = world.set("/a")
    sent = []
    more = True
    while more:
        before = sum(len(reader.messages) for reader in readers)
        more = world.hub.pump()
        sent.append(sum(len(reader.messages) for reader in readers) - before)
    assert max(sent) <= live.PORTION
    assert all(reader.revs(1) == [rev] for reader in readers)


def test_who_leaves_in_between_knows_how_far_it_got() -> None:
    world = World()
    readers = crowd(world, 2 * live.PORTION)
    rev = world.set("/a")
    assert world.hub.pump()
    served = [reader for reader in readers if reader.messages]
    waiting = [reader for reader in readers if not reader.messages]
    assert served
    assert waiting
    assert world.hub.unsubscribe(served[0], 1) == rev
    assert world.hub.unsubscribe(waiting[0], 1) == rev - 1
    world.hub.progress(served[1], 1)
    world.hub.progress(waiting[1], 1)
    world.pump()
    for reader in (served[1], waiting[1]):
        assert [message[0] for message in reader.messages] == [verbs.COMMITS, verbs.MARK]
    assert waiting[0].messages == []


def test_who_comes_in_between_gets_the_commit_once() -> None:
    world = World()
    readers = crowd(world, 2 * live.PORTION)
    rev = world.set("/a")
    assert world.hub.pump()
    late, next_one = Reader(), Reader()
    world.watch(late, [TREE, "/"], rev)
    world.watch(next_one, [TREE, "/"])
    world.pump()
    assert late.revs(1) == [rev]
    assert next_one.messages == []
    assert all(reader.revs(1) == [rev] for reader in readers)
    world.set("/a")
    world.pump()
    assert (late.revs(1), next_one.revs(1)) == ([rev, rev + 1], [rev + 1])


def test_a_large_commit_is_matched_in_portions() -> None:
    """4096 changes: no pump looks at more than a portion of them."""
    world = World()
    reader = Reader()
    world.watch(reader, [GLOB, "/**/x*y"])
    rev = world.commit({f"/d/{number}": b"" for number in range(4 * live.PORTION)} | {"/d/xy": b""})
    pumps = 1
    while world.hub.pump():
        pumps += 1
    assert pumps >= 4
    [commit] = reader.commits(1)
    assert (commit[0], [change[1] for change in commit[4]]) == (rev, ["/d/xy"])


def test_a_path_in_many_ranges_is_looked_up_in_portions() -> None:
    world = World()
    reader = Reader()
    count = 2 * live.PORTION
    for watch in range(1, count + 1):
        world.watch(reader, [RANGE, f"/a{watch:05}", None], watch=watch)
    rev = world.set("/b")
    pumps = 1
    while world.hub.pump():
        pumps += 1
    assert pumps > 2
    assert all(reader.revs(watch) == [rev] for watch in range(1, count + 1))


def test_a_closed_connection_is_worked_off_in_portions() -> None:
    world = World()
    [reader] = crowd(world, 1, 3 * hub.AT_ONCE)
    [other] = crowd(world, 1)
    world.hub.drop(reader)
    assert world.hub.watches == 2 * hub.AT_ONCE + 1
    assert world.hub.stats()["watches"] == 1
    assert world.hub.busy
    rev = world.set("/a")
    world.pump()
    assert world.hub.watches == 1
    assert reader.messages == []
    assert other.revs(1) == [rev]


def test_marks_go_out_in_portions() -> None:
    world = World()
    readers = [Reader() for _ in range(2 * live.PORTION)]
    for number, reader in enumerate(readers):
        world.watch(reader, [verbs.SEL_PATH, f"/quiet/{number % 7}"])
    rev = world.set("/a")
    world.pump()
    world.pass_time(live.QUIET_SECONDS)
    assert sum(len(reader.messages) for reader in readers) <= live.PORTION
    world.pump()
    assert all(reader.marks(1) == [rev] for reader in readers)


def test_history_stops_within_a_commit_that_costs_much() -> None:
    world = World()
    paths = {f"/{'a' * 200}/{'a' * 200}/{number:05}": b"" for number in range(2000)}
    rev = world.commit(paths)
    reader = Reader()
    world.watch(reader, [GLOB, "/**a*a/*9"], 1)
    slices = 0
    while world.hub.pump(1):
        slices += 1
    assert slices > 5
    [commit] = reader.commits(1)
    assert commit[0] == rev
    assert len(commit[4]) == 200


def test_a_page_of_files_ends_by_what_it_cost() -> None:
    world = World()
    world.commit({f"/{'a' * 200}/{'a' * 200}/{number:05}": b"" for number in range(1000)})
    reader = Reader()
    world.watch(reader, [GLOB, "/**a*a/*9"], flags=verbs.W_STATE)
    world.pump()
    pages = reader.of(1, verbs.STATE)
    assert len(pages) > 10
    assert sum(len(page[3]) for page in pages) == 100
