"""Files of W_STATE that are sent as they were packed are those that reading anew would find, whatever was written."""

from __future__ import annotations

import itertools
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.watch.watch_world import Reader, World
from visor.paths import sort_key
from visor.protocol import verbs
from visord.state.query import answer
from visord.state.refusal import Refusal
from visord.state.trim import trim
from visord.watch import packed_files
from visord.watch.packed_files import CHUNK_BYTES, MOST_BYTES, Chunk, KeptFiles, PackedFiles

TREE, STATE = verbs.SEL_TREE, verbs.W_STATE
FILES = 400
VALUE = 500


def anew(world: World, selector: list[Any], rev: int, flags: int = 0) -> list[Any]:
    """Return the files that a scan at `rev` finds, as the wire has them."""
    options = {"keys": True} if flags & verbs.W_KEYS else {}
    told = answer(world.store, [verbs.SCAN, 1, selector, rev, 0, None, 0, options])
    assert not isinstance(told, Refusal), told
    assert told[2] is None
    rows: list[Any] = msgpack.unpackb(msgpack.packb(told[1]))
    return rows


def come(world: World, selector: list[Any], start: int | None = None) -> Reader:
    """Be a mirror that begins, and has its files."""
    reader = Reader()
    first = world.watch(reader, selector, start, flags=STATE)
    world.pump()
    assert [list(row) for row in reader.files(1)] == anew(world, selector, first - 1)
    return reader


@pytest.fixture
def world() -> World:
    world = World()
    world.commit({f"/apps/f{number:03}": bytes(VALUE) for number in range(FILES)})
    return world


def test_what_has_not_changed_is_read_once(world: World) -> None:
    packed = world.hub.packed
    come(world, [TREE, "/apps"])
    made = packed.made
    assert made >= FILES * VALUE // CHUNK_BYTES
    for _ in range(5):
        come(world, [TREE, "/apps"])
    world.set("/other", b"1")
    come(world, [TREE, "/apps"])
    assert (packed.made, packed.found) == (made, 6 * made)


def test_of_what_has_changed_a_chunk_is_read_anew(world: World) -> None:
    packed = world.hub.packed
    come(world, [TREE, "/apps"])
    for path, chunks in (("/apps/f007", 1), ("/apps/f399", 1), ("/apps/f200", 1)):
        before = packed.made
        world.set(path, b"new")
        come(world, [TREE, "/apps"])
        assert packed.made - before == chunks
    before = packed.made
    world.set("/apps/f100x", b"new")
    world.delete("/apps/f300")
    come(world, [TREE, "/apps"])
    assert packed.made - before == 2


def test_who_asks_for_an_earlier_rev_is_told_nothing_of_a_later_one(world: World) -> None:
    packed = world.hub.packed
    come(world, [TREE, "/apps"])
    world.set("/apps/f000", b"new")
    come(world, [TREE, "/apps"])
    before = packed.made
    old = come(world, [TREE, "/apps"], 2)
    assert old.files(1)[0][1][1] == bytes(VALUE)
    assert packed.made == before + 1, "only what has changed since then"
    assert come(world, [TREE, "/apps"]).files(1)[0][1][1] == b"new"


def test_large_values_and_chunks_are_the_same_objects_for_all(world: World) -> None:
    class Raw(Reader):
        got: list[bytes]

        def send(self, data: bytes) -> None:
            self.got = [*getattr(self, "got", []), data]
            super().send(data)

    world.set("/apps/f000", b"v" * 100_000)
    sent = []
    for _ in range(2):
        reader = Raw()
        world.watch(reader, [TREE, "/apps"], flags=STATE)
        world.pump()
        sent.append({id(piece) for piece in reader.got if len(piece) >= CHUNK_BYTES})
    assert len(sent[0]) > FILES * VALUE // CHUNK_BYTES // 2
    assert sent[0] == sent[1]


def test_nothing_of_a_value_that_was_redacted_is_kept(world: World) -> None:
    world.set("/apps/f001", b"the secret")
    come(world, [TREE, "/apps"])
    (done,) = world.apply([verbs.REDACT, "/apps/f001", 1, None, "why"])
    assert not isinstance(done, Refusal)
    assert b"the secret" not in msgpack.packb(come(world, [TREE, "/apps"]).files(1))


def test_another_state_takes_all_along(world: World) -> None:
    come(world, [TREE, "/apps"])
    other = World()
    other.commit({f"/apps/g{number:03}": b"1" for number in range(FILES)})
    world.machine.become(other.machine)
    come(world, [TREE, "/apps"])


def test_what_history_has_forgotten_is_read_anew(world: World) -> None:
    come(world, [TREE, "/apps"])
    world.set("/apps/f001", b"new")
    world.set("/other", b"new")
    world.compact(world.store.rev)
    come(world, [TREE, "/apps"])


def test_after_many_changes_all_is_read_anew(world: World) -> None:
    come(world, [TREE, "/apps"])
    before = world.hub.packed.made
    for number in range(packed_files.LOOKED_AT + 1):
        world.commit({"/apps/f001": str(number).encode()})
    come(world, [TREE, "/apps"])
    assert world.hub.packed.made - before >= FILES * VALUE // CHUNK_BYTES


def test_they_are_bounded(world: World) -> None:
    packed = world.hub.packed = PackedFiles(100_000)
    for number in range(0, FILES, 10):
        come(world, [verbs.SEL_RANGE, f"/apps/f{number:03}", "/apps/f999"])
        assert 0 < packed.bytes <= 100_000
        assert packed.bytes == sum(kept.bytes for kept in packed._all.values())
    made = packed.made
    come(world, [TREE, "/apps"])
    first = packed.made - made
    come(world, [TREE, "/apps"])
    assert packed.made - made < 2 * first, "of what does not fit in, the beginning is kept"
    assert MOST_BYTES < 32 << 20


def test_a_small_window_is_not_passed_by_more_than_a_row(world: World) -> None:
    reader = Reader()
    world.watch(reader, [TREE, "/apps"], flags=STATE, window=2000)
    world.pump()
    assert reader.sizes[0] < 2000 + VALUE + 100
    assert reader.of(1)[0][3]


def check(kept: KeptFiles) -> None:
    """Chunks do not overlap: a change belongs to one of them at most."""
    assert kept.starts == sorted(kept.chunks)
    for start, after in itertools.pairwise(kept.starts):
        end = kept.chunks[start].next
        assert end is not None
        assert start < sort_key(end) <= after


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9), st.integers(0, 30)), max_size=30))
def test_chunks_never_overlap_and_a_change_is_found(steps: list[tuple[int, int, int]]) -> None:
    kept = KeptFiles(1, 0)
    for start, length, path in steps:
        end = None if start + length > 20 else f"{start + length:02}"
        kept.put(f"{start:02}", Chunk(1, end, 1, (b"rows",), 4))
        check(kept)
        kept.changed(f"{path:02}")
        for begins, chunk in kept.chunks.items():
            if begins < f"{path:02}" and (chunk.next is None or f"{path:02}" <= chunk.next):
                assert chunk.number < 0
    assert kept.bytes == sum(chunk.size for chunk in kept.chunks.values())


NAMES = [
    f"/{top}/{name}" for top in ("a", "b") for name in (*"cfhkmpsvx", "y/w", "y/y", "y/z", "y/z2", "y~", "~")
]
WRITES = st.one_of(
    st.tuples(st.just("commit"), st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=30), max_size=8)),
    st.tuples(st.just("commit"), st.dictionaries(st.sampled_from(NAMES), st.none(), max_size=3)),
    st.tuples(st.just("commit"), st.sampled_from([{"/a/y": b"a file", "/b": b"a file"}, {"/a/y": None}])),
    st.tuples(st.just("compact"), st.integers(0, 3)),
    st.tuples(st.just("pump"), st.integers(1, 30)),
)
SELECTORS: list[list[Any]] = [
    [TREE, "/"],
    [TREE, "/a"],
    [verbs.SEL_GLOB, "/a/y/*"],
    [verbs.SEL_GLOB, "/*/x"],
    [verbs.SEL_GLOB, "/a/**/z*"],
    [verbs.SEL_ANY, [[TREE, "/a/y"], [verbs.SEL_PATH, "/a/v"]]],
    [verbs.SEL_RANGE, "/a/w", "/b/y"],
    [verbs.SEL_CHILDREN, "/b"],
]
WATCHES = st.tuples(st.just("watch"), st.integers(0, 2))
START = {name: b"1" * (3 + number % 7) for number, name in enumerate(NAMES)}


class Mirrors:
    """Mirrors that come while others write; `finish` looks at what all of them were told."""

    def __init__(self, selector: list[Any], flags: int) -> None:
        self.world = World()
        self.world.commit(dict(START))
        self._selector, self._flags = selector, flags
        self._waiting: list[tuple[Reader, list[Any]]] = []

    def commit(self, writes: dict[str, bytes | None]) -> None:
        self.world.commit(writes)

    def compact(self, kept: int) -> None:
        store = self.world.store
        if store.floor < store.rev - kept and self.world.hub.rev >= store.rev - kept:
            self.world.compact(store.rev - kept)
            while trim(store, 1_000):
                pass

    def pump(self, budget: int) -> None:
        self.world.hub.pump(budget)

    def watch(self, age: int) -> None:
        store, reader = self.world.store, Reader()
        rev = max(store.rev - age, store.floor)
        self.world.watch(reader, self._selector, rev + 1, flags=STATE | self._flags)
        self._waiting.append((reader, anew(self.world, self._selector, rev, self._flags)))

    def finish(self) -> None:
        self.world.pump()
        for reader, expected in self._waiting:
            if not reader.of(1, verbs.ENDED):
                assert [list(row) for row in reader.files(1)] == expected
        packed = self.world.hub.packed
        assert packed.bytes == sum(kept.bytes for kept in packed._all.values())
        for kept in packed._all.values():
            check(kept)


@settings(deadline=None)
@given(
    st.sampled_from(SELECTORS),
    st.sampled_from([0, verbs.W_KEYS]),
    st.lists(st.one_of(WRITES, WATCHES, WATCHES), max_size=40),
)
def test_it_is_as_if_each_was_read_anew(selector: list[Any], flags: int, steps: list[Any]) -> None:
    mirrors = Mirrors(selector, flags)
    before = packed_files.CHUNK_BYTES, packed_files.LEAST_BYTES
    packed_files.CHUNK_BYTES, packed_files.LEAST_BYTES = 60, 0  # type: ignore[misc]
    try:
        for kind, given in steps:
            getattr(mirrors, kind)(given)
        mirrors.finish()
    finally:
        packed_files.CHUNK_BYTES, packed_files.LEAST_BYTES = before  # type: ignore[misc]
