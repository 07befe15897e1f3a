"""State and watch in one step: the files first, then every commit after them, nothing in between lost."""

from __future__ import annotations

import pytest

from tests.watch.watch_world import Reader, World
from visor.protocol import verbs
from visord.state.refusal import Refusal
from visord.state.trim import trim
from visord.watch.live import MESSAGE_BYTES

TREE, STATE = verbs.SEL_TREE, verbs.W_STATE


@pytest.fixture
def world() -> World:
    return World()


def paged(reader: Reader, watch: int = 1) -> list[bool]:
    return [message[4] for message in reader.of(watch, verbs.STATE)]


def test_the_files_come_first_then_the_commits_after_them(world: World) -> None:
    world.set("/a", b"1")
    world.set("/b", b"2")
    world.delete("/a")
    reader = Reader()
    assert world.watch(reader, [TREE, "/"], flags=STATE) == 4
    world.pump()
    world.set("/b", b"3")
    world.pump()
    assert reader.messages[0] == [verbs.STATE, 1, 3, [["/b", [2, b"2", 2, 1, 0]]], True]
    assert reader.revs(1) == [4]


def test_files_of_a_past_rev_then_everything_since(world: World) -> None:
    for value in (b"1", b"2", b"3", b"4"):
        world.set("/a", value)
    reader = Reader()
    world.watch(reader, [TREE, "/"], 3, flags=STATE)
    world.pump()
    assert reader.files(1) == [("/a", [2, b"2", 1, 2, 0])]
    assert reader.revs(1) == [3, 4]


@pytest.mark.parametrize("start", [None, 1])
def test_no_files_is_said_too(world: World, start: int | None) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/nowhere"], start, flags=STATE)
    world.pump()
    assert reader.messages == [[verbs.STATE, 1, 0, [], True]]


def test_only_selected_files_and_without_values_on_request(world: World) -> None:
    for path in ("/a/1", "/a/2", "/a/2x", "/b/1"):
        world.set(path, b"v")
    reader = Reader()
    world.watch(reader, [3, "/*/1"], flags=STATE | verbs.W_KEYS)
    world.watch(reader, [4, "/a/2", "/b"], flags=STATE, watch=2)
    world.watch(reader, [2, "/a"], flags=STATE, kinds=1 << verbs.REMOVE, watch=3)
    world.pump()
    assert reader.files(1) == [("/a/1", [1, None, 1, 1, 0]), ("/b/1", [4, None, 4, 1, 0])]
    assert [path for path, _ in reader.files(2)] == ["/a/2", "/a/2x"]
    assert [path for path, _ in reader.files(3)] == ["/a/1", "/a/2", "/a/2x"], "kinds are about changes"


def test_many_files_come_in_bounded_pages_while_the_store_moves_on(world: World) -> None:
    for number in range(400):
        world.set(f"/f/{number:03d}", b"v" * 1000)
    reader = Reader()
    world.watch(reader, [TREE, "/"], flags=STATE)
    for number in range(400):
        world.hub.pump(1)
        world.set(f"/f/{399 - number:03d}", b"new")
        if number % 2:
            world.delete(f"/f/{number:03d}")
    world.pump()
    assert [path for path, _ in reader.files(1)] == [f"/f/{number:03d}" for number in range(400)]
    assert {version[1] for _, version in reader.files(1)} == {b"v" * 1000}
    assert paged(reader) == [False] * (len(paged(reader)) - 1) + [True]
    assert len(paged(reader)) > 5
    assert max(reader.sizes) < MESSAGE_BYTES + 1100
    assert reader.revs(1) == list(range(401, world.store.rev + 1))


def test_the_last_file_comes_with_the_word_that_it_is_the_last(world: World) -> None:
    """Also when it uses up the window: an empty page behind it would wait for credit."""
    world.set("/a")
    reader = Reader()
    world.watch(reader, [TREE, "/"], flags=STATE, window=1)
    world.pump()
    assert paged(reader) == [True]


def test_a_search_for_few_files_among_many_is_done_in_slices(world: World) -> None:
    world.apply(*[[verbs.SET, f"/f/{number:04d}", b""] for number in range(3000)])
    world.set("/f/rare")
    reader = Reader()
    world.watch(reader, [3, "/**/rare"], flags=STATE)
    assert world.hub.pump(1)
    assert reader.files(1) == []
    world.pump()
    assert [path for path, _ in reader.files(1)] == ["/f/rare"]
    assert paged(reader)[-1]


def test_files_count_against_the_window(world: World) -> None:
    for number in range(100):
        world.set(f"/f/{number:03d}", b"v" * 100)
    reader = Reader()
    world.watch(reader, [TREE, "/"], flags=STATE, window=1000)
    world.pump()
    assert 1000 <= sum(reader.sizes) < 1600
    for _ in range(100):
        world.hub.credit(reader, 1, 500)
        world.pump()
    assert len(reader.files(1)) == 100
    assert paged(reader)[-1]


def test_the_floor_passing_the_files_ends_the_watch_without_claiming_any_rev(world: World) -> None:
    for number in range(100):
        world.set(f"/f/{number:03d}", b"v" * 100)
    reader = Reader()
    world.watch(reader, [TREE, "/"], flags=STATE, window=1000)
    world.pump()
    world.set("/a")
    world.compact(101)
    world.pump()
    ended = reader.ended(1)
    assert ended is not None
    assert ended[0] == "compacted"
    assert ended[2] == {"floor": 101, "rev": None}
    assert True not in paged(reader)


def test_the_rev_at_the_floor_is_still_a_state(world: World) -> None:
    for _ in range(3):
        world.set("/a")
    world.compact(3)
    trim(world.store, 100)
    reader = Reader()
    world.watch(reader, [TREE, "/"], 4, flags=STATE)
    world.pump()
    assert reader.files(1) == [("/a", [3, b"v", 1, 3, 0])]
    refused = world.ask(reader, [TREE, "/"], 3, flags=STATE, watch=2)
    assert isinstance(refused, Refusal)
    assert refused.code == "compacted"


def test_a_future_state_waits_for_its_rev(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"], 4, flags=STATE)
    for value in (b"1", b"2", b"3"):
        world.pump()
        assert reader.messages == []
        world.set("/a", value)
    world.set("/a", b"4")
    world.pump()
    assert reader.messages[0] == [verbs.STATE, 1, 3, [["/a", [3, b"3", 1, 3, 0]]], True]
    assert reader.revs(1) == [4]


def test_state_and_watch_agree_for_one_who_subscribes_before_the_pump(world: World) -> None:
    live, reader = Reader(), Reader()
    world.watch(live, [TREE, "/"])
    world.set("/a", b"1")
    world.watch(reader, [TREE, "/"], flags=STATE)
    world.set("/a", b"2")
    world.pump()
    assert reader.files(1) == [("/a", [1, b"1", 1, 1, 0])]
    assert reader.revs(1) == [2]


def test_no_mark_before_the_files_are_complete(world: World) -> None:
    for number in range(100):
        world.set(f"/f/{number:03d}", b"v" * 100)
    reader = Reader()
    world.watch(reader, [TREE, "/"], flags=STATE, window=1000)
    world.pump()
    world.hub.progress(reader, 1)
    world.pass_time(20)
    world.pump()
    assert reader.marks(1) == []
    while not paged(reader)[-1]:
        world.hub.credit(reader, 1, 1000)
        world.pump()
    assert reader.messages[-1] == [verbs.MARK, 1, 100]
