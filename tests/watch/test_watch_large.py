"""Large commits: measured before anything is encoded, their values shared, delivered in portions and without a hoard.

Nothing here is timed: what is counted are the bytes that the encoder makes, and who has the same object.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watch.watch_world import Reader, World
from visor.protocol import verbs
from visord.watch import history, live
from visord.watch.large import Gathering
from visord.watch.messages import SPLIT_BYTES, VALUE_BYTES, Encoder, bin_header
from visord.watch.sizes import SMALL_BYTES, change_size, small

TREE, RANGE, PATH = verbs.SEL_TREE, verbs.SEL_RANGE, verbs.SEL_PATH
PREVIOUS, KEYS, STATE = verbs.W_PREVIOUS, verbs.W_KEYS, verbs.W_STATE
SHAPES = (0, PREVIOUS, KEYS, PREVIOUS | KEYS)
MIB = 1 << 20

numbers = st.one_of(
    st.integers(0, 300),
    st.sampled_from([127, 128, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32, 1 << 62]),
)
lengths = st.sampled_from([0, 1, 255, 256, SPLIT_BYTES - 1, SPLIT_BYTES, VALUE_BYTES, 65_535, 65_536])
contents = st.none() | lengths.map(bytes)
versions = st.tuples(numbers, contents, numbers, numbers, numbers)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    ["a" * 255, "é" * 500]
)
changes = st.tuples(st.integers(1, 4), names.map(lambda name: "/" + name), versions, st.none() | versions)


class Counting(Encoder):
    """An encoder that counts what it makes."""

    def __init__(self) -> None:
        super().__init__()
        pack = self._pack
        self.made = self.calls = 0

        def counted(thing: Any) -> bytes:
            data: bytes = pack(thing)
            self.made += len(data)
            self.calls += 1
            return data

        self._pack = counted


class Raw(Reader):
    """A reader that remembers every piece it was sent, as it was sent."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.got: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.got.append(data)
        super().send(data)


class Deep:
    """A sink that takes everything and keeps nothing."""

    blocked = False
    size = 0

    def send(self, data: bytes) -> None:
        self.size += len(data)

    def send_all(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self.send(piece)


def counted(world: World) -> Counting:
    """Have the world's hub encode with one that counts."""
    encoder = Counting()
    world.hub._encoder = world.hub._live._encoder = encoder
    return encoder


@given(change=changes, shape=st.sampled_from(SHAPES))
def test_sizes_are_those_of_the_encoder(change: Any, shape: int) -> None:
    encoder = Encoder()
    whole = encoder.change(change, shape)
    assert change_size(change, shape) == len(whole)
    pieces = encoder.change_pieces(change, shape)
    assert b"".join(pieces) == whole
    own = [
        piece
        for piece in pieces
        if piece is not change[2][1] and (not change[3] or piece is not change[3][1])
    ]
    assert all(len(piece) < VALUE_BYTES for piece in own), "what is not a value is gathered"


@given(some=st.lists(changes, max_size=6))
def test_what_is_called_small_is_small_in_every_shape(some: list[Any]) -> None:
    if small(some):
        assert all(sum(change_size(change, shape) for change in some) <= SMALL_BYTES for shape in SHAPES)


def test_headers_of_values() -> None:
    encoder = Encoder()
    for length in (0, 255, 256, 65_535, 65_536, MIB):
        assert bin_header(length) + bytes(length) == encoder.message(bytes(length))  # type: ignore[arg-type]


def test_gathering_keeps_the_order_and_shares_what_is_large() -> None:
    value = bytes(VALUE_BYTES)
    gathering = Gathering()
    gathering.add((b"a", b"b", value, b"c"))
    gathering.add((value, b"d"))
    payload = gathering.done()
    assert payload == (b"ab", value, b"c", value, b"d")
    assert payload[1] is payload[3] is value
    assert gathering.copied == 4


# -- what is not sent is not encoded ------------------------------------------------------------------


def filled(world: World, count: int, size: int) -> dict[str, bytes]:
    """Write files with values of their own; return them."""
    values = {f"/d/f{number:03}": bytes([number % 256]) * size for number in range(count)}
    for path, value in values.items():
        world.set(path, value)
    return values


def deleted(world: World) -> None:
    world.delete("/d", recursive=True)


def expired(world: World) -> None:
    world.commit(dict.fromkeys(world.store.files, None), expired=True)


def reverted(world: World) -> None:
    before = world.store.rev
    deleted(world)
    world.pump()
    world.apply([verbs.REVERT, "/d", before])


ACTS: list[Callable[[World], None]] = [deleted, expired, reverted]


@pytest.mark.parametrize("act", ACTS)
def test_of_a_commit_that_cannot_be_sent_nothing_is_encoded(act: Callable[[World], None]) -> None:
    """Twenty MiB, for watches of many shapes, groups and connections, live and from history."""
    world = World()
    filled(world, 20, MIB)
    readers = [Reader() for _ in range(5)]
    for number, reader in enumerate(readers):
        for watch in range(1, 4):
            world.watch(reader, [RANGE, f"/d/f00{watch}", None], flags=PREVIOUS, watch=watch)
        world.watch(reader, [TREE, "/"], flags=PREVIOUS, watch=4)
        world.watch(reader, [TREE, "/"], flags=PREVIOUS | KEYS, watch=5)
        world.watch(reader, [PATH, "/d/f001"], flags=PREVIOUS, watch=6)
        world.watch(reader, [TREE, "/d"], flags=PREVIOUS | (STATE if number == 1 else 0), kinds=16, watch=7)
    world.pump()
    first = world.store.rev + 1
    encoder = counted(world)
    act(world)
    tracemalloc.start()
    world.pump()
    late = Reader()
    world.watch(late, [TREE, "/"], first, flags=PREVIOUS)
    world.watch(late, [RANGE, "/d/f002", None], first, flags=PREVIOUS, watch=2)
    world.watch(late, [TREE, "/"], first, flags=PREVIOUS | KEYS, watch=3)
    world.pump()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # What readers decode of the one file, and of nothing else.
    assert peak < 12 * MIB + 10 * MIB * (act is reverted)
    assert encoder.made < 100_000
    for reader in (*readers, late):
        for watch in (1, 2, 3, 4) if reader is not late else (1, 2):
            ended = reader.ended(watch)
            assert ended is not None
            assert (ended[0], ended[2]["rev"], ended[2]["commit"]) == ("too_large", first - 1, first)
            assert ended[2]["actual"] > 16 * MIB
    assert late.ended(1) == readers[0].ended(4), "told alike, live and from history"
    assert late.revs(3) == readers[0].revs(5) == list(range(first, world.store.rev + 1))
    assert all(reader.revs(6) == list(range(first, world.store.rev + 1)) for reader in readers)


# -- what is sent to many is one object ---------------------------------------------------------------


def large_pieces(reader: Raw) -> list[bytes]:
    return [piece for piece in reader.got if len(piece) >= VALUE_BYTES]


def test_the_values_of_a_large_commit_are_the_objects_of_the_store() -> None:
    world = World()
    values = filled(world, 6, MIB // 2)
    kept = [world.store.files[path].versions[-1][1] for path in values]
    readers = [Raw() for _ in range(6)]
    for number, reader in enumerate(readers):
        world.watch(reader, [RANGE, f"/d/f00{number % 3}", None], flags=PREVIOUS, window=1 << 40)
    encoder = counted(world)
    world.delete("/d", recursive=True)
    world.pump()
    late = [Raw() for _ in range(6)]
    for number, reader in enumerate(late):
        world.watch(reader, [RANGE, f"/d/f00{number % 3}", None], 7, flags=PREVIOUS)
    world.pump()
    assert encoder.made < 10_000
    for number, reader in enumerate(readers + late):
        assert [any(piece is value for value in kept) for piece in large_pieces(reader)] == [True] * (
            6 - number % 3
        )
        [commit] = reader.commits(1)
        assert [change[3][1] for change in commit[4]] == list(values.values())[number % 3 :]
    assert late[0].messages == readers[0].messages


def test_the_values_of_a_page_of_files_are_the_objects_of_the_store() -> None:
    world = World()
    filled(world, 4, MIB)
    kept = [file.versions[-1][1] for file in world.store.files.values()]
    reader = Raw()
    world.watch(reader, [TREE, "/"], flags=STATE, window=1 << 40)
    for _ in range(10):
        world.hub.credit(reader, 1, 2 * MIB)
        world.pump()
    assert [any(piece is value for value in kept) for piece in large_pieces(reader)] == [True] * 4
    assert [path for path, _ in reader.files(1)] == [f"/d/f00{number}" for number in range(4)]


def test_all_that_want_the_whole_of_a_commit_share_all_of_it() -> None:
    world = World()
    filled(world, 500, 600)
    readers = [Raw() for _ in range(4)]
    for number, reader in enumerate(readers):
        world.watch(reader, [TREE, "/d" if number & 1 else "/"], flags=PREVIOUS)
    world.delete("/d", recursive=True)
    world.pump()
    tails = [reader.got[-1] for reader in readers]
    assert all(tail is tails[0] for tail in tails)
    assert readers[0].commits(1) == readers[1].commits(1)


# -- portions and memory ------------------------------------------------------------------------------


def test_a_large_commit_is_encoded_in_portions_and_held_for_one_group_at_a_time() -> None:
    """Two MiB of small values for sixteen groups: 33 MiB go out, a few are ever held."""
    world = World()
    filled(world, 2400, 900)
    sinks = [Deep() for _ in range(16)]
    for number, sink in enumerate(sinks):
        selector = [RANGE, f"/d/f{number:03}", None]
        first = world.hub.subscribe(sink, 1, selector, None, PREVIOUS, verbs.ALL_KINDS, 1 << 40, 0.0)
        assert type(first) is int
    world.pump()
    encoder = counted(world)
    world.delete("/d", recursive=True)
    tracemalloc.start()
    before, most, pumps = 0, 0, 0
    more = True
    while more:
        more = world.hub.pump()
        most = max(most, encoder.calls - before)
        before = encoder.calls
        pumps += 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most <= live.PORTION + 2
    assert pumps > 16
    assert sum(sink.size for sink in sinks) > 32 * MIB
    assert peak < 12 * MIB


def test_history_puts_one_large_message_together_at_a_time() -> None:
    world = World()
    filled(world, 2400, 900)
    world.delete("/d", recursive=True)
    encoder = counted(world)
    readers = [Reader() for _ in range(12)]
    for number, reader in enumerate(readers):
        world.watch(reader, [RANGE, f"/d/f{number:03}", None], world.store.rev, flags=PREVIOUS)
    before = most = 0
    more = True
    while more:
        more = world.hub.pump(1)
        watches = [watch for mine in world.hub._readers.values() for watch in mine.subscriptions.values()]
        assert sum(watch.partial is not None and bool(watch.partial.pieces) for watch in watches) <= 1
        most = max(most, encoder.calls - before)
        before = encoder.calls
    # A head of the commit is made in each.
    assert most <= 4 * history.TOGETHER
    assert [len(reader.commits(1)[0][4]) for reader in readers] == [2400 - number for number in range(12)]


def test_who_is_full_while_its_message_is_put_together_keeps_no_pieces() -> None:
    world = World()
    filled(world, 2400, 900)
    world.delete("/d", recursive=True)
    first, other = Reader(), Reader()
    world.watch(first, [TREE, "/d"], world.store.rev, flags=PREVIOUS)
    while True:
        assert world.hub.pump(1)
        partial = world.hub._readers[first].subscriptions[1].partial
        if partial is not None and partial.pieces:
            break
    first.blocked = True
    world.watch(other, [TREE, "/"], world.store.rev, flags=PREVIOUS)
    world.pump()
    partial = world.hub._readers[first].subscriptions[1].partial
    assert partial is not None
    assert (partial.pieces, partial.encoded) == ((), 0)
    assert partial.looked == 2400
    first.blocked = False
    world.hub.resume(first)
    world.pump()
    assert first.commits(1) == other.commits(1)
    assert len(first.commits(1)[0][4]) == 2400


def test_many_changes_for_many_groups_are_left_to_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants which change is not kept for all of them; nobody misses anything, or gets it twice."""
    monkeypatch.setattr(live, "PAIRS", 2000)
    world = World()
    readers = [Reader() for _ in range(30)]
    for number, reader in enumerate(readers):
        world.watch(reader, [RANGE, f"/d/{number:04}", None])
        world.watch(reader, [TREE, "/e"], watch=2)
    world.set("/d/1000")
    world.commit({f"/d/{number:04}": b"" for number in range(2000)} | {"/e/1": b""})
    world.set("/d/1000")
    most = 0
    while world.hub.pump():
        most = max(most, world.hub._live._pairs)
    assert most <= live.PAIRS + 16 * live.PORTION < 30 * 1500
    for number, reader in enumerate(readers):
        assert reader.revs(1) == [1, 2, 3]
        assert [len(commit[4]) for commit in reader.commits(1)] == [1, 2001 - number, 1]
        assert [change[1] for commit in reader.commits(2) for change in commit[4]] == ["/e/1"]
    assert world.hub.stats()["live"] == 60


@pytest.mark.parametrize("size", [1, VALUE_BYTES - 1, VALUE_BYTES, 10_000, live.SHARED_BYTES, 50_000])
def test_a_small_message_of_a_large_commit_is_whole(size: int) -> None:
    """The previous value, which is large, is not asked for."""
    world, reader, late = World(), Reader(), Reader()
    world.set("/a", bytes(SMALL_BYTES))
    world.watch(reader, [PATH, "/a"])
    rev = world.set("/a", b"v" * size)
    world.watch(late, [PATH, "/a"], rev)
    world.pump()
    [commit] = reader.commits(1)
    assert commit[4] == [[verbs.UPDATE, "/a", [rev, b"v" * size, 1, 2, 0]]]
    assert late.messages == reader.messages
