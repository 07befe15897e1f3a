"""What a live watch gets: the right changes, in the asked shape, in few messages, encoded once."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.watch.watch_world import Reader, World
from visor.protocol import verbs
from visor.protocol.limits import DEFAULT
from visord.watch import index, live
from visord.watch.gathered import EACH

TREE, PATH, CHILDREN, GLOB, RANGE = 1, 0, 2, 3, 4


@pytest.fixture
def world() -> World:
    return World()


def test_the_answer_is_the_first_rev_and_nothing_is_sent_with_it(world: World) -> None:
    world.set("/a")
    world.set("/a")
    reader = Reader()
    assert world.watch(reader, [TREE, "/"], watch=1) == 3
    assert world.watch(reader, [TREE, "/"], 1, watch=2) == 1
    assert world.watch(reader, [TREE, "/"], 9, watch=3) == 9
    assert reader.messages == []


def test_a_watch_from_nil_gets_the_next_commit_and_what_follows(world: World) -> None:
    world.set("/a", b"old")
    reader = Reader()
    world.watch(reader, [TREE, "/"])
    world.pump()
    assert reader.messages == []
    world.set("/a", b"new", note="because")
    world.pump()
    assert reader.messages == [
        [verbs.COMMITS, 1, [[2, world.store.time, "tester", "because", [[2, "/a", [2, b"new", 1, 2, 0]]]]]]
    ]


def test_a_watch_that_began_before_the_pump_of_a_batch_starts_behind_it(world: World) -> None:
    """Subscribed between apply and pump: the batch is not the watch's future any more."""
    early, late = Reader(), Reader()
    world.watch(early, [TREE, "/"])
    world.set("/a")
    world.watch(late, [TREE, "/"])
    world.pump()
    world.set("/a")
    world.pump()
    assert early.revs(1) == [1, 2]
    assert late.revs(1) == [2]


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        ([PATH, "/a/b"], ["/a/b"]),
        ([TREE, "/a"], ["/a/b", "/a/c/d"]),
        ([TREE, "/a/b"], ["/a/b"]),
        ([TREE, "/"], ["/a/b", "/a/c/d", "/a-b", "/z"]),
        ([CHILDREN, "/a"], ["/a/b"]),
        ([CHILDREN, "/"], ["/a-b", "/z"]),
        ([GLOB, "/a*"], ["/a-b"]),
        ([GLOB, "/a**"], ["/a/b", "/a/c/d", "/a-b"]),
        ([GLOB, "/*/b"], ["/a/b"]),
        ([GLOB, "/a/b"], ["/a/b"]),
        ([RANGE, "/a/c", "/z"], ["/a/c/d", "/a-b"]),
        ([RANGE, "/a/c", None], ["/a/c/d", "/a-b", "/z"]),
        ([RANGE, "/z", "/a"], []),
    ],
)
def test_selectors(world: World, selector: list[Any], wanted: list[str]) -> None:
    """Live and from history alike."""
    live, late = Reader(), Reader()
    world.watch(live, selector)
    for path in ("/a/b", "/a/c/d", "/a-b", "/z"):
        world.set(path)
        world.pump()
    world.watch(late, selector, 1)
    world.pump()
    assert [change[1] for commit in live.commits(1) for change in commit[4]] == wanted
    assert late.commits(1) == live.commits(1)


def test_a_commit_comes_whole_and_only_with_what_matches(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/a"])
    world.commit({"/a/2": b"", "/b": b"", "/a/1": b"", "/a": None})
    world.commit({"/b": b"", "/c": b""})
    world.pump()
    [commit] = reader.commits(1)
    assert [change[1] for change in commit[4]] == ["/a/1", "/a/2"]


def test_kinds_choose_changes(world: World) -> None:
    reader = Reader()
    for number, kind in enumerate((verbs.CREATE, verbs.UPDATE, verbs.REMOVE, verbs.EXPIRE), 1):
        world.watch(reader, [TREE, "/"], kinds=1 << kind, watch=number)
    world.set("/a")
    world.set("/a")
    world.delete("/a")
    world.set("/a")
    world.commit({"/a": None}, expired=True)
    world.pump()
    assert [reader.revs(number) for number in (1, 2, 3, 4)] == [[1, 4], [2], [3], [5]]


def test_shapes(world: World) -> None:
    reader = Reader()
    for flags in (0, verbs.W_PREVIOUS, verbs.W_KEYS, verbs.W_PREVIOUS | verbs.W_KEYS):
        world.watch(reader, [TREE, "/"], flags=flags, watch=flags + 1)
    world.set("/a", b"one")
    world.set("/a", b"two")
    world.delete("/a")
    world.pump()

    def changes(flags: int) -> list[Any]:
        return [change for commit in reader.commits(flags + 1) for change in commit[4]]

    one, two, gone = [1, b"one", 1, 1, 0], [2, b"two", 1, 2, 0], [3, None, 0, 0, 0]
    assert changes(0) == [[1, "/a", one], [2, "/a", two], [3, "/a", gone]]
    assert changes(verbs.W_PREVIOUS) == [
        [1, "/a", one, None],
        [2, "/a", two, one],
        [3, "/a", gone, two],
    ]
    bare_one, bare_two = [1, None, 1, 1, 0], [2, None, 1, 2, 0]
    assert changes(verbs.W_KEYS) == [[1, "/a", bare_one], [2, "/a", bare_two], [3, "/a", gone]]
    assert changes(verbs.W_PREVIOUS | verbs.W_KEYS) == [
        [1, "/a", bare_one, None],
        [2, "/a", bare_two, bare_one],
        [3, "/a", gone, bare_two],
    ]


def test_history_has_the_same_shapes_as_live_delivery(world: World) -> None:
    live, late = Reader(), Reader()
    for flags in (0, 1, 4, 5):
        world.watch(live, [TREE, "/"], flags=flags, watch=flags + 1)
    world.set("/a", b"one", note="n")
    world.commit({"/a": b"two", "/b": b"x"})
    world.delete("/a")
    world.pump()
    for flags in (0, 1, 4, 5):
        world.watch(late, [TREE, "/"], 1, flags=flags, watch=flags + 1)
    world.pump()
    assert live.messages == late.messages


def test_the_commits_of_one_batch_come_in_one_message(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"])
    for _ in range(20):
        world.set("/a", b"v" * 100)
    world.pump()
    assert len(reader.messages) == 1
    assert reader.revs(1) == list(range(1, 21))


def test_messages_are_bounded_but_one_commit_is_never_cut(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"])
    for size in (10, 30_000, 30_000, 30_000, 10, 300_000, 10):
        world.set("/a", b"v" * size)
    world.pump()
    assert [[commit[0] for commit in message[2]] for message in reader.messages] == [
        [1, 2, 3],
        [4, 5],
        [6],
        [7],
    ]


def test_what_many_see_is_encoded_once(world: World) -> None:
    """Members of a group get the same object; a large payload is never copied behind a head."""

    class Raw(Reader):
        def send(self, data: bytes) -> None:
            self.last = data
            super().send(data)

    readers = [Raw() for _ in range(3)]
    for number, reader in enumerate(readers):
        world.watch(reader, [TREE, "/"], watch=number + 1)
    world.set("/a", b"v" * 20_000)
    world.pump()
    assert readers[0].last is readers[1].last is readers[2].last


def test_a_commit_over_the_frame_limit_ends_the_watches_that_want_it_whole() -> None:
    world = World(dataclasses.replace(DEFAULT, frame=300_000))
    live, keys, other = Reader(), Reader(), Reader()
    world.watch(live, [TREE, "/"])
    world.watch(keys, [TREE, "/"], flags=verbs.W_KEYS)
    world.watch(other, [TREE, "/b"])
    world.set("/b/1")
    world.set("/a", b"v" * 400_000)
    world.set("/b/2")
    world.pump()
    late = Reader()
    world.watch(late, [TREE, "/"], 1)
    world.pump()
    for reader in (live, late):
        assert reader.revs(1) == [1]
        ended = reader.ended(1)
        assert ended is not None
        assert ended[0] == "too_large"
        assert ended[2]["rev"] == 1
        assert ended[2]["commit"] == 2
    assert keys.revs(1) == [1, 2, 3]
    assert other.revs(1) == [1, 3]
    assert world.hub.watches == 2


def test_a_watch_from_the_future_waits_and_gets_nothing_below_its_start(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"], 4)
    for _ in range(6):
        world.set("/a")
        world.pump()
    assert reader.revs(1) == [4, 5, 6]


def test_a_start_inside_the_batch_that_reaches_it(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"], 4)
    for _ in range(6):
        world.set("/a")
    world.pump()
    assert reader.revs(1) == [4, 5, 6]
    assert world.hub.stats()["live"] == 1


def test_without_watches_commits_are_not_even_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = world.store
    world.set("/a")

    class Untouchable:
        rev, floor, cut = 1, 0, 0

    world.hub.store = Untouchable()  # type: ignore[assignment]
    assert world.hub.pump() is False
    world.hub.store = store
    reader = Reader()
    world.watch(reader, [TREE, "/"])
    world.set("/a")
    world.pump()
    assert reader.revs(1) == [2]


def test_a_huge_batch_is_published_in_portions(world: World) -> None:
    """The loop gets its turn between two portions; the reader notices nothing."""
    reader = Reader()
    world.watch(reader, [TREE, "/"], flags=verbs.W_KEYS, window=1 << 20)
    world.apply(*[[verbs.SET, "/a", b"v"] for _ in range(9000)])
    assert world.hub.pump() is True
    assert 0 < world.hub.rev < 9000
    delivered = len(reader.revs(1))
    assert 0 < delivered < 9000
    world.pump()
    assert reader.revs(1) == list(range(1, 9001))


def test_groups_are_gone_with_their_last_member(world: World) -> None:
    readers = [Reader() for _ in range(50)]
    for number, reader in enumerate(readers):
        world.watch(reader, [TREE, f"/t{number}"])
        world.watch(reader, [GLOB, f"/g{number}/*"], watch=2)
        world.watch(reader, [RANGE, f"/r{number}", None], watch=3)
    for reader in readers[:25]:
        world.hub.drop(reader)
    for reader in readers[25:]:
        for number in (1, 2, 3):
            world.hub.unsubscribe(reader, number)
    live = world.hub._live
    assert (world.hub.watches, len(live._groups), len(live._quiet)) == (0, 0, 0)
    assert (len(live._index._anchors), len(live._index._ranges)) == (0, 0)
    assert not world.hub._readers


@pytest.mark.parametrize("first", [1, 64])
def test_a_change_that_several_ranges_of_one_watch_contain_comes_once(
    world: World, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """Also when they are found one after the other, as there are more than are looked for at once."""
    monkeypatch.setattr(index, "FIRST", first)
    monkeypatch.setattr(live, "RANGES", first)
    reader = Reader()
    ranges = [[RANGE, f"/a/{number}", None] for number in range(4)]
    world.watch(reader, [verbs.SEL_ANY, [*ranges, [TREE, "/"]]])
    world.set("/a/9")
    for _ in range(20):
        world.pump()
    assert [[change[1] for change in commit[4]] for commit in reader.commits(1)] == [["/a/9"]]


def test_what_one_connection_gets_of_a_batch_leaves_together(world: World) -> None:
    reader, other = Reader(), Reader()
    for number, selector in enumerate(([TREE, "/"], [TREE, "/a"], [verbs.SEL_PATH, "/a/x"], [TREE, "/b"])):
        world.watch(reader, selector, watch=number + 1)
    world.watch(other, [TREE, "/b"])
    world.pump()
    world.set("/a/x", b"1")
    world.set("/b/y", b"2")
    world.pump()
    assert (reader.pieces, len(reader.messages)) == (1, 4)
    assert [reader.revs(number) for number in (1, 2, 3, 4)] == [[1, 2], [1], [1], [2]]
    assert (other.pieces, other.revs(1)) == (1, [2])
    world.set("/a/y", b"3")
    world.pump()
    assert (reader.pieces, reader.revs(1), reader.revs(2)) == (2, [1, 2, 3], [1, 3])


def test_gathered_messages_stay_in_order_with_large_ones_and_with_ends() -> None:
    world = World(dataclasses.replace(DEFAULT, frame=300_000))
    reader = Reader()
    world.watch(reader, [TREE, "/"], watch=1)
    world.watch(reader, [TREE, "/a"], watch=2)
    world.watch(reader, [TREE, "/"], flags=verbs.W_KEYS, watch=3)
    world.watch(reader, [TREE, "/b"], window=100, watch=4)
    world.pump()
    for size in (10, 20_000, 10, 400_000, 10):
        world.set("/a/x", b"v" * size)
        world.set("/b", b"v")
    world.pump()
    assert [len(reader.of(number, verbs.ENDED)) for number in (1, 2, 3, 4)] == [1, 1, 0, 0]
    assert reader.revs(1) == [1, 2, 3, 4, 5, 6]
    assert reader.revs(2) == [1, 3, 5]
    assert reader.revs(3) == list(range(1, 11))
    for _ in range(9):
        world.hub.credit(reader, 4, 100)
        world.pump()
    assert reader.revs(4) == [2, 4, 6, 8, 10]


def test_little_is_gathered(world: World) -> None:
    reader = Reader()
    for number in range(300):
        world.watch(
            reader,
            [TREE, "/" if number % 2 else "/a"],
            flags=0 if number % 3 else verbs.W_KEYS,
            watch=number + 1,
        )
    world.pump()
    world.set("/a/x", b"v" * 1000)
    world.pump()
    assert sum(reader.sizes) > 200_000
    assert reader.pieces >= sum(reader.sizes) // (EACH + 1100)
    assert all(reader.revs(number + 1) == [1] for number in range(300))
