"""Slow readers: windows, full sockets, lost history; fairness and bounded memory, whatever readers do."""

from __future__ import annotations

import gc
import types
from collections.abc import Callable

import pytest

from tests.watch.watch_world import Reader, World
from visor.protocol import verbs
from visor.protocol.limits import DEFAULT
from visord.state.trim import trim
from visord.waiting import SLACK
from visord.watch.history import SEARCH
from visord.watch.live import MESSAGE_BYTES, PORTION
from visord.watch.recent import KEPT_BYTES

TREE, PATH = verbs.SEL_TREE, verbs.SEL_PATH


@pytest.fixture
def world() -> World:
    return World()


def fill(world: World, count: int, size: int = 100, path: str = "/a") -> None:
    """Write `count` commits, a pump after each, as a node would."""
    for _ in range(count):
        world.set(path, b"v" * size)
        world.pump()


def counted(reader: Reader, watch: int) -> int:
    """Return the bytes that count against the window."""
    return sum(
        size
        for message, size in zip(reader.messages, reader.sizes, strict=True)
        if message[1] == watch and message[0] in (verbs.COMMITS, verbs.STATE)
    )


# -- windows ------------------------------------------------------------------------------------------


def test_a_used_up_window_stops_the_watch_and_credit_lets_it_go_on(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"], window=1000)
    fill(world, 50)
    before = len(reader.revs(1))
    assert 1000 <= counted(reader, 1) < 1200
    assert world.hub.stats()["lagging"] == 1
    world.hub.credit(reader, 1, counted(reader, 1))
    world.pump()
    assert len(reader.revs(1)) > before
    while len(reader.revs(1)) < 50:
        world.hub.credit(reader, 1, 300)
        world.pump()
    assert reader.revs(1) == list(range(1, 51))


def test_a_credited_reader_is_live_again(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"], window=1)
    fill(world, 1)
    fill(world, 1)
    assert (reader.revs(1), world.hub.stats()["lagging"]) == ([1], 1)
    world.hub.credit(reader, 1, 1 << 20)
    world.pump()
    assert (reader.revs(1), world.hub.stats()["lagging"]) == ([1, 2], 1 - 1)
    world.hub.credit(reader, 1, 1 << 20)
    fill(world, 1)
    assert reader.revs(1) == [1, 2, 3]
    assert world.hub.stats()["live"] == 1


def test_a_window_is_at_most_the_servers(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"], window=1 << 40)
    world.apply(*[[verbs.SET, "/a", b"v" * 10_000] for _ in range(400)])
    world.pump()
    assert DEFAULT.watch_window <= counted(reader, 1) < DEFAULT.watch_window + MESSAGE_BYTES + 100


def test_credit_beyond_the_window_does_not_widen_it(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"], window=1000)
    world.hub.credit(reader, 1, 1 << 40)
    fill(world, 50)
    assert 1000 <= counted(reader, 1) < 1200


@pytest.mark.parametrize("size", [0, -5, "1", 1.5, True, None])
def test_a_credit_that_is_none_ends_the_watch(world: World, size: object) -> None:
    """Ignoring it would leave a reader waiting in silence for bytes that it believes to have asked for."""
    reader = Reader()
    world.watch(reader, [TREE, "/"])
    fill(world, 2)
    world.hub.credit(reader, 1, size)  # type: ignore[arg-type]
    ended = reader.ended(1)
    assert ended is not None
    assert ended[0] == "bad_request"
    assert ended[2]["rev"] == 2


def test_windows_of_one_connection_do_not_concern_each_other(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"], window=1, watch=1)
    world.watch(reader, [TREE, "/"], watch=2)
    fill(world, 5)
    assert (reader.revs(1), reader.revs(2)) == ([1], [1, 2, 3, 4, 5])


def test_a_small_window_gets_small_messages_from_history(world: World) -> None:
    fill(world, 200)
    reader = Reader()
    world.watch(reader, [TREE, "/"], 1, window=2000)
    world.pump()
    while len(reader.revs(1)) < 200:
        world.hub.credit(reader, 1, 200)
        world.pump()
    assert reader.revs(1) == list(range(1, 201))
    assert max(reader.sizes) <= 2000 + 200


# -- sockets ------------------------------------------------------------------------------------------


def test_a_full_socket_gets_nothing_until_it_takes_bytes_again(world: World) -> None:
    reader = Reader(high=1000)
    world.watch(reader, [TREE, "/"], watch=1)
    world.watch(reader, [TREE, "/a"], watch=2)
    fill(world, 50)
    assert reader.blocked
    assert reader.unread < 1200
    assert world.hub.stats()["behind"] == 2
    assert not world.hub.busy, "a full socket is no work"
    for _ in range(100):
        reader.unread, reader.blocked = 0, False
        world.hub.resume(reader)
        world.pump()
        assert reader.unread < 1000 + MESSAGE_BYTES
    assert reader.revs(1) == reader.revs(2) == list(range(1, 51))
    assert world.hub.stats()["live"] == 2


def test_marks_look_at_full_sockets_even_when_nobody_told(world: World) -> None:
    reader = Reader(high=1)
    world.watch(reader, [TREE, "/"])
    fill(world, 3)
    assert reader.revs(1) == [1]
    reader.unread, reader.blocked, reader.high = 0, False, 1 << 20
    world.pass_time(1)
    assert world.hub.busy
    world.pump()
    assert reader.revs(1) == [1, 2, 3]


def test_a_socket_that_something_else_has_filled_gets_nothing(world: World) -> None:
    """Answers to requests go through the same socket."""
    fill(world, 10)
    reader = Reader()
    world.watch(reader, [TREE, "/"], 1)
    reader.blocked = True
    world.pump()
    assert reader.messages == []
    reader.blocked = False
    world.hub.resume(reader)
    world.pump()
    assert reader.revs(1) == list(range(1, 11))


def test_a_stuck_socket_does_not_hold_others_up(world: World) -> None:
    stuck, free = Reader(blocked=True), Reader()
    fill(world, 100)
    for number in range(1, 50):
        world.watch(stuck, [TREE, "/"], 1, watch=number)
    world.watch(free, [TREE, "/"], 1)
    world.pump()
    assert len(free.revs(1)) == 100
    assert stuck.messages == []


# -- history ------------------------------------------------------------------------------------------


def test_catching_up_is_done_in_slices_between_which_others_are_served(world: World) -> None:
    fill(world, 3000, size=10)
    late, live = Reader(), Reader()
    world.watch(late, [TREE, "/"], 1)
    world.watch(live, [TREE, "/"])
    world.hub.pump(100)
    assert 0 < len(late.revs(1)) <= SEARCH
    world.set("/b")
    more = world.hub.pump(100)
    assert more
    assert live.revs(1) == [3001]
    world.pump(100)
    assert late.revs(1) == list(range(1, 3002))


@pytest.mark.parametrize("first", ["greedy", "modest"])
def test_connections_take_turns_whatever_they_have_open(world: World, first: str) -> None:
    """A connection with a thousand watches to catch up does not delay one with a single watch."""
    fill(world, 2000, size=10)
    greedy, modest = Reader(), Reader()
    if first == "modest":
        world.watch(modest, [TREE, "/"], 1)
    for number in range(1, 1001):
        world.watch(greedy, [TREE, "/"], 1, watch=number, flags=number & 5, kinds=30)
    if first == "greedy":
        world.watch(modest, [TREE, "/"], 1)
    turns = 0
    while len(modest.revs(1)) < 2000:
        world.hub.pump(1)
        turns += 1
    assert turns < 30


def test_a_rare_path_is_found_without_reading_everything(world: World) -> None:
    store = world.store
    world.set("/d/rare")
    for _ in range(20_000):
        file = store.files.get("/x/often")
        if file is None:
            world.set("/x/often")
        else:
            store.overwrite(file, file.versions[-1], b"v", 1, "tester")
    world.set("/d/rare")
    reader = Reader()
    for number, selector in enumerate(([PATH, "/d/rare"], [TREE, "/d"], [2, "/d"], [3, "/d/*"]), 1):
        world.watch(reader, selector, 1, watch=number)
    assert not world.hub.pump(200), "a few units are enough"
    for number in (1, 2, 3, 4):
        assert reader.revs(number) == [1, store.rev]


def test_a_herd_at_the_same_place_reads_history_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(world, 300, size=10)
    import visord.watch.hub as module

    calls = []
    read = module.read_commits
    monkeypatch.setattr(module, "read_commits", lambda *given: calls.append(1) or read(*given))  # type: ignore[func-returns-value]
    readers = [Reader() for _ in range(100)]
    for reader in readers:
        world.watch(reader, [TREE, "/"], 1)
    world.pump()
    assert len(calls) < 5
    assert all(len(reader.revs(1)) == 300 for reader in readers)


# -- lost history -------------------------------------------------------------------------------------


def test_a_lagging_watch_ends_when_the_floor_passes_it(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"], window=1)
    fill(world, 10)
    world.compact(1)
    world.pump()
    assert reader.ended(1) is None, "rev 2 can still be had"
    assert not world.hub.busy
    world.compact(2)
    assert world.hub.busy
    world.pump()
    ended = reader.ended(1)
    assert ended is not None
    assert ended[0] == "compacted"
    assert ended[2] == {"floor": 2, "rev": 1}
    assert world.hub.watches == 0


def test_a_watch_that_reads_history_ends_when_the_floor_passes_it(world: World) -> None:
    fill(world, 3000, size=10)
    reader = Reader()
    world.watch(reader, [TREE, "/"], 1)
    world.hub.pump(1)
    delivered = reader.revs(1)[-1]
    world.compact(2500)
    world.pump()
    ended = reader.ended(1)
    assert ended is not None
    assert ended[0] == "compacted"
    assert ended[2] == {"floor": 2500, "rev": delivered}
    assert reader.revs(1) == list(range(1, delivered + 1))


def test_a_live_watch_survives_a_floor_that_rises_in_the_batch_it_has_not_seen(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"])
    for _ in range(50):
        world.set("/a")
    world.compact(50)
    world.pump()
    trim(world.store, 1000)
    world.set("/a")
    world.pump()
    assert reader.revs(1) == list(range(1, 52))


def test_a_live_watch_ends_when_trimming_overtakes_the_publication(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/"])
    fill(world, 3)
    for _ in range(50):
        world.set("/a")
    world.compact(50)
    trim(world.store, 1000)
    world.pump()
    ended = reader.ended(1)
    assert ended is not None
    assert (ended[0], ended[2]) == ("compacted", {"floor": 50, "rev": 3})
    assert world.hub.rev == world.store.rev


# -- memory -------------------------------------------------------------------------------------------


def footprint(world: World) -> int:
    """Return the bytes of everything that the hub holds, without the store and the readers."""
    seen: set[int] = set()
    todo: list[object] = [world.hub]
    total = 0
    while todo:
        thing = todo.pop()
        if id(thing) in seen or thing is world.store:
            continue
        if isinstance(thing, type | types.ModuleType | types.FunctionType | Reader):
            continue
        seen.add(id(thing))
        total += thing.__sizeof__()
        todo.extend(gc.get_referents(thing))
    return total


def test_a_million_changes_cost_a_stuck_reader_nothing(world: World) -> None:
    """Three ways to be stuck: no credit, a full socket, and both while still reading old history."""
    fill(world, 2000, size=10)
    no_credit, full, old = Reader(), Reader(high=10_000), Reader(high=10_000)
    world.watch(no_credit, [TREE, "/"], window=10_000)
    world.watch(full, [TREE, "/"])
    world.watch(old, [TREE, "/"], 1, window=10_000)
    fill(world, 1000, size=100)
    before, messages = footprint(world), [len(r.messages) for r in (no_credit, full, old)]
    store, file = world.store, world.store.files["/a"]
    value = b"v" * 100
    for _ in range(10_000):
        for _ in range(100):
            store.overwrite(file, file.versions[-1], value, 1, "tester")
        world.hub.pump()
    assert footprint(world) <= before + 1000
    assert [len(reader.messages) for reader in (no_credit, full, old)] == messages
    for reader in (no_credit, full, old):
        assert sum(reader.sizes) < 10_000 + MESSAGE_BYTES
    full.unread, full.blocked, full.high = 0, False, 1 << 60
    world.hub.resume(full)
    world.pump()
    assert full.revs(1) == list(range(2001, 2001 + len(full.revs(1))))


@pytest.mark.parametrize("act", ["subscribe", "ahead", "lag", "progress", "block"])
def test_nothing_piles_up_however_often_a_reader_changes_its_mind(world: World, act: str) -> None:
    """Also without a pump in between, as when all requests come in one arrival."""
    fill(world, 3)
    reader = Reader()
    world.watch(reader, [TREE, "/"], watch=1)

    def subscribe() -> None:
        world.watch(reader, [PATH, "/c"], watch=2)
        world.hub.unsubscribe(reader, 2)

    def ahead() -> None:
        world.watch(reader, [TREE, "/"], 1 << 40, watch=2)
        world.hub.unsubscribe(reader, 2)

    def lag() -> None:
        world.watch(reader, [TREE, "/"], 1, window=1, watch=2)
        world.pump()
        world.hub.unsubscribe(reader, 2)

    def progress() -> None:
        world.hub.progress(reader, 1)

    def block() -> None:
        reader.blocked = True
        world.hub.progress(reader, 1)
        reader.blocked = False
        world.hub.resume(reader)
        world.hub.pump()

    acts: dict[str, Callable[[], None]] = {
        "subscribe": subscribe,
        "ahead": ahead,
        "lag": lag,
        "progress": progress,
        "block": block,
    }
    for _ in range(10):
        acts[act]()
    before = footprint(world)
    for _ in range(2000):
        acts[act]()
    assert footprint(world) < before + 500 * SLACK


def test_progress_to_a_full_socket_is_owed_once(world: World) -> None:
    reader = Reader(blocked=True)
    world.watch(reader, [TREE, "/"])
    for _ in range(1000):
        world.hub.progress(reader, 1)
        world.hub.pump()
    assert reader.messages == []
    reader.blocked = False
    world.hub.resume(reader)
    world.pump()
    assert reader.marks(1) == [0]


def test_what_a_pump_reads_for_a_herd_is_not_kept(world: World) -> None:
    fill(world, 500, size=1000)
    reader = Reader(high=100_000)
    world.watch(reader, [TREE, "/"], 1, window=1 << 20)
    before = footprint(world)
    world.pump()
    assert reader.blocked
    assert footprint(world) < before + 2000


def test_what_is_kept_for_a_herd_under_way_is_bounded(world: World) -> None:
    fill(world, 3000, size=1000)
    reader = Reader()
    world.watch(reader, [TREE, "/"], 1)
    before, most = footprint(world), 0
    while world.hub.pump(1):
        most = max(most, footprint(world))
        world.hub.credit(reader, 1, 1 << 20)
    assert len(reader.revs(1)) == 3000
    assert most < before + KEPT_BYTES + MESSAGE_BYTES


def test_one_turn_does_a_bounded_amount_of_catching_up(world: World) -> None:
    fill(world, 3000, size=10)
    readers = [Reader() for _ in range(50)]
    for number, reader in enumerate(readers):
        world.watch(reader, [TREE, "/"], 1 + number)
    world.hub.pump(PORTION)
    assert sum(len(reader.revs(1)) for reader in readers) <= PORTION + SEARCH
