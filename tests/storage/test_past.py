"""Versions that are only on disk read as those in memory do: a machine with checkpoints beside one without."""

from __future__ import annotations

import contextlib
import errno
import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.storage.fake_disk import FakeDisk, FakeFile
from tests.storage.storage_world import World, same
from tests.storage.test_progress import NoLog
from visor.protocol import verbs as v
from visor.protocol.frames import Decoder
from visor.protocol.limits import DEFAULT
from visord.check import check
from visord.state import keyframe, past
from visord.state.command import encode
from visord.state.digest import state_hash
from visord.state.machine import Machine
from visord.state.past_values import Unreadable
from visord.state.query import answer
from visord.state.redact import rows as redacted_rows
from visord.state.refusal import Refusal
from visord.state.spilling import spill
from visord.state.store import Store
from visord.state.tables import export_tables, import_tables
from visord.state.trim import trim
from visord.storage import checkpoint
from visord.storage.past_reader import Kept, PastReader
from visord.watch.hub import Hub

DIRECTORIES, FILES = 3, 5
SELECTORS = ([v.SEL_TREE, "/"], [v.SEL_TREE, "/d1"], [v.SEL_PATH, "/d0/f1"], [v.SEL_GLOB, "/*/f[01]"])


class Twins:
    """Two machines that apply the same: one makes checkpoints, and so has most versions on disk only."""

    def __init__(self, seed: int, keyframe: int = 1 << 60) -> None:
        self.rng = random.Random(seed)
        self.world = World()
        self.plain = Machine()
        self.keyframe = keyframe
        self.world.checkpointer.keyframe_commits = keyframe

    @property
    def machine(self) -> Machine:
        return self.world.machine

    @property
    def stores(self) -> tuple[Store, Store]:
        return self.machine.store, self.plain.store

    def apply(self, *frames: list[Any]) -> None:
        index = self.machine.index + 1
        command = encode(1000 + index * 10, [[b"session", f"me{index % 3}", list(frames), ""]])
        told = self.machine.apply(index, 1, command)
        assert told == self.plain.apply(
            index, 1, encode(1000 + index * 10, [[b"session", f"me{index % 3}", [*frames], ""]])
        )

    def write(self, count: int) -> None:
        for _ in range(count):
            self.apply(self.frame())

    def frame(self) -> list[Any]:
        rng, number = self.rng, self.machine.index + 1
        head = [number, max(0, number - 3)]
        path = f"/d{rng.randrange(DIRECTORIES)}/f{rng.randrange(FILES)}"
        value = rng.randbytes(rng.choice((0, 3, 300)))
        rev = self.plain.store.rev
        choice = rng.random()
        if choice < 0.6:
            return [v.SET, *head, path, value]
        if choice < 0.63:
            return [v.GRANT, *head, 10_000]
        if choice < 0.7:
            return [v.SET, *head, path, value, 0, 0, rng.choice([0, *self.plain.store.leases.by_id])]
        if choice < 0.82:
            return [v.DELETE, *head, path]
        if choice < 0.86:
            return [v.REVERT, *head, rng.choice((path, "/d1", "/")), rng.randint(self.plain.store.floor, rev)]
        if choice < 0.9 and rev:
            first = rng.randint(1, rev)
            return [v.REDACT, *head, path, first, rng.randint(first, rev)]
        return [
            v.TXN,
            *head,
            [],
            [[0, path, value], [0, "/d1/more", b"2"], [1, "/d2/f0", True]],
            [],
            "a note",
        ]

    def raise_floor(self) -> None:
        rev = self.rng.randint(self.plain.store.floor, self.plain.store.rev)
        head = [self.machine.index + 1, max(0, self.machine.index - 3)]
        self.apply([v.RETAIN, *head, None, None, rev])
        for store in self.stores:
            while trim(store, self.rng.choice((3, 500))):
                pass

    def restart(self) -> None:
        """Only what a checkpoint has is there again; the rest is applied anew, as from a log."""
        self.world.checkpoint()
        self.world = self.world.restart()
        self.world.checkpointer.keyframe_commits = self.keyframe


def questions(store: Store, rng: random.Random) -> Iterator[list[Any]]:
    revs = range(store.floor, store.rev + 1)
    for rev in rng.sample(revs, min(len(revs), 25)):
        for directory in range(DIRECTORIES):
            for name in range(FILES):
                yield [v.GET, 1, f"/d{directory}/f{name}", rev]
            yield [v.STAT, 1, f"/d{directory}/f1", rev]
            yield [v.LIST, 1, f"/d{directory}", rev, 0, None, 0, {"values": rng.random() < 0.5}]
        for selector in SELECTORS:
            options = {"keys": rng.random() < 0.5, "reverse": rng.random() < 0.5}
            yield [v.SCAN, 1, selector, rev, 0, None, 0, options]
            yield [v.SCAN, 1, selector, rev, 0, None, 0, {"count": True}]
            yield [v.DIFF, 1, selector, rev, rng.choice(revs)]
            first = rng.randint(store.floor + 1, max(store.rev, store.floor + 1))
            options = {one: rng.random() < 0.5 for one in ("keys", "previous", "reverse")}
            yield [v.LOG, 1, selector, first, None, 0, options]


class Sink:
    """A client that takes whatever a watch sends."""

    blocked = False

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def send(self, data: bytes) -> None:
        decoder = Decoder(1 << 30)
        decoder.push(data)
        self.messages += decoder.take(1000)

    def send_all(self, pieces: Sequence[bytes]) -> None:
        self.send(b"".join(pieces))

    def judge_again(self) -> None:
        return None


@pytest.mark.parametrize("seed", range(10))
def test_every_read_is_answered_as_from_memory(seed: int) -> None:
    twins = Twins(seed)
    for _ in range(6):
        twins.write(twins.rng.randrange(10, 90))
        if twins.rng.random() < 0.7:
            twins.world.checkpoint()
        twins.write(twins.rng.randrange(3))
        if twins.rng.random() < 0.3:
            twins.raise_floor()
        if twins.rng.random() < 0.3:
            twins.restart()
        one, two = twins.stores
        for question in questions(two, twins.rng):
            assert answer(one, question) == answer(two, question), question
        assert state_hash(one) == state_hash(two)
        assert list(redacted_rows(one, one.floor)) == list(redacted_rows(two, two.floor))
    assert twins.machine.store.spilled


@pytest.mark.parametrize("seed", range(10))
def test_a_start_from_a_keyframe_is_a_start_from_all_commits(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins = Twins(seed, keyframe=(30, 10, 1)[seed % 3])
    for limit in ("SLICE", "TOGETHER", "PART"):
        monkeypatch.setattr(keyframe, limit, twins.rng.choice((1, 3, 1000)))
    loaded = 0
    for _ in range(8):
        twins.write(twins.rng.randrange(1, 60))
        if twins.rng.random() < 0.3:
            twins.raise_floor()
        twins.restart()
        loaded += twins.world.checkpointer.manifest.keyframe is not None
        one, two = twins.stores
        for question in questions(two, twins.rng):
            assert answer(one, question) == answer(two, question), question
        assert state_hash(one) == state_hash(two)
        assert list(redacted_rows(one, one.floor)) == list(redacted_rows(two, two.floor))
    assert loaded


def test_a_keyframe_that_waited_is_written_although_nothing_is_new() -> None:
    """Under load none is written. Later there may be no more commits, but there is a next start."""
    twins = Twins(1, keyframe=1 << 60)
    twins.write(60)
    twins.world.checkpoint()
    checkpointer, store = twins.world.checkpointer, twins.machine.store
    assert checkpointer.manifest.keyframe is None
    assert not checkpointer.starts_slowly(store)
    checkpointer.keyframe_commits = 1
    assert checkpointer.starts_slowly(store)
    before = checkpointer.manifest
    twins.world.checkpoint()
    after = checkpointer.manifest
    assert (after.index, after.rev, after.parts) == (before.index, before.rev, before.parts)
    assert after.keyframe is not None
    assert after.keyframe.last == store.rev
    assert not checkpointer.starts_slowly(store)
    twins.restart()
    assert state_hash(twins.machine.store) == state_hash(twins.plain.store)


def test_no_row_of_a_keyframe_is_of_more_than_a_few_thousand_revs() -> None:
    store = Store()
    store.commit(1, "me", None, [("/a/b", b"", 0)])
    file = store.files["/a/b"]
    for _ in range(2 * keyframe.SLICE):
        store.overwrite(file, file.versions[-1], b"", 1, "me")
    rows = list(keyframe.Keyframe(store, store.rev, 0, 0).rows())
    numbers = [row[3] for row in rows if row[0] == keyframe.MORE]
    assert len(numbers) == 2
    assert max(map(len, numbers)) <= 4 * keyframe.SLICE + 1
    assert sum(row == [keyframe.FILES, [], [], []] for row in rows) >= store.rev // keyframe.TOGETHER
    again = Store()
    reader = keyframe.KeyframeReader(again)
    for row in rows:
        reader.add(row)
    reader.finish()
    assert again.directories["/a"].changes == store.directories["/a"].changes
    assert past.size(again.files["/a/b"].past) == store.rev - 1


def test_a_damaged_keyframe_is_done_without() -> None:
    twins = Twins(1, keyframe=1)
    twins.write(100)
    twins.world.checkpoint()
    disk = twins.world.disk
    name = next(name for name in disk.names if "keyframe-" in name)
    disk.flip(name, 8 * (len(disk.read(name)) // 2))
    twins.world.directory.close()
    (problem,) = check(disk, "data", lambda disk, path: NoLog()).problems
    assert name in str(problem)
    assert "Nothing is lost" in str(problem)
    again = twins.world.restart()
    same(again.machine, twins.machine)
    assert again.checkpointer.manifest.keyframe is None
    again.writer.write(1)
    again.checkpoint()
    same(again.restart().machine, again.machine)


@pytest.mark.parametrize("flags", [0, v.W_PREVIOUS, v.W_KEYS, v.W_STATE])
def test_a_watch_from_any_rev_gets_the_same(flags: int) -> None:
    twins = Twins(1)
    twins.write(150)
    twins.world.checkpoint()
    twins.write(5)
    told: list[Any] = []
    for store in twins.stores:
        hub, sink = Hub(store, DEFAULT), Sink()
        for watch, selector in enumerate(SELECTORS, 1):
            hub.subscribe(sink, watch, selector, 40, flags, v.ALL_KINDS, 0, 1.0)  # type: ignore[arg-type]
        while hub.pump():
            pass
        told.append(sink.messages)
    assert told[0] == told[1]
    assert told[0]


def test_only_the_newest_version_of_a_file_stays_in_memory() -> None:
    twins = Twins(2)
    twins.write(200)
    twins.world.checkpoint()
    store, plain = twins.stores
    for path, file in store.files.items():
        versions = plain.files[path].versions
        assert len(file.versions) == 1
        assert past.size(file.past) == len(versions) - 1
        assert [file.rev_at(position) for position in range(len(versions))] == [one[0] for one in versions]
    assert store.held < plain.held / 3


def test_what_is_redacted_is_gone_at_once_though_the_disk_has_it_until_the_next_checkpoint() -> None:
    world = World()
    for number, value in enumerate((b"one", b"secret", b"three", b"four"), 1):
        world.writer.apply([v.SET, number, 0, "/a", value])
    world.checkpoint()
    world.writer.apply([v.REDACT, 5, 0, "/a", 2, 2, "it leaked"])
    for _ in range(3):
        found = answer(world.machine.store, [v.GET, 1, "/a", 2])
        assert found[1][1].startswith(b"redacted by me")
        assert answer(world.machine.store, [v.STAT, 1, "/a", 2])[2] == len(b"secret")
        assert answer(world.machine.store, [v.GET, 1, "/a", 1])[1][1] == b"one"
        world.checkpoint()
        world.writer.apply([v.SET, 6, 0, "/b", b""])
    assert not world.machine.store.redacted.marks


def damaged(world: World, rev: int) -> Refusal | None:
    try:
        answer(world.machine.store, [v.GET, 1, "/a", rev])
    except Unreadable as error:
        return Refusal("history_damaged", str(error), {"file": error.path})
    return None


def spread(count: int = 600) -> World:
    """A world with one file that has many versions, in several blocks and files."""
    world = World()
    for number in range(1, count + 1):
        world.writer.apply([v.SET, number, number - 1, "/a", b"value %d" % number])
        if number % 200 == 0:
            world.checkpoint()
    return world


@pytest.mark.parametrize("seed", range(30))
def test_a_flipped_bit_is_told_by_file_to_who_needs_it_and_to_nobody_else(seed: int) -> None:
    world = spread()
    rng = random.Random(seed)
    name = rng.choice([one for one in world.disk.names if "commits-" in one])
    world.disk.flip(name, rng.randrange(64 * 8, len(world.disk.read(name)) * 8))
    wrong = 0
    for rev in range(1, 600):
        refused = damaged(world, rev)
        if refused is None:
            assert answer(world.machine.store, [v.GET, 1, "/a", rev])[1][1] == b"value %d" % rev
        else:
            wrong += 1
            assert name in refused.text
    assert 0 < wrong <= 200
    assert answer(world.machine.store, [v.GET, 1, "/a"])[1][1] == b"value 600"


def test_a_file_that_went_away_is_told_and_the_rest_goes_on() -> None:
    world = spread()
    first = min(one for one in world.disk.names if "commits-" in one)
    world.disk.unlink(first)
    refused = damaged(world, 3)
    assert refused is not None
    assert first in refused.text
    assert answer(world.machine.store, [v.GET, 1, "/a", 599])[1][1] == b"value 599"
    world.writer.apply([v.SET, 601, 600, "/a", b"value 601"])
    world.checkpoint()
    assert answer(world.machine.store, [v.GET, 1, "/a", 600])[1][1] == b"value 600"


def test_the_cache_keeps_what_it_may_and_no_more() -> None:
    world = spread(2000)
    kept = world.checkpointer.kept
    kept.limit = 30_000
    for rev in range(1, 2000):
        answer(world.machine.store, [v.GET, 1, "/a", rev])
        assert kept.held <= 30_000
    assert kept.read >= 2000 / 128
    assert kept.found > kept.read


def compare(twins: Twins) -> None:
    one, two = twins.stores
    for question in questions(two, twins.rng):
        assert answer(one, question) == answer(two, question), question
    assert state_hash(one) == state_hash(two)
    assert list(redacted_rows(one, one.floor)) == list(redacted_rows(two, two.floor))


@pytest.mark.parametrize("seed", range(9))
def test_a_checkpoint_that_fails_or_is_disturbed_changes_no_answer(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes, redactions and rising floors between its steps, full disks, syncs that fail; then the next one."""
    twins = Twins(seed, keyframe=(1, 20, 1 << 60)[seed % 3])
    rng = twins.rng
    monkeypatch.setattr(checkpoint, "SPILL", (1, 4, 512)[seed % 3])

    def between() -> None:
        choice, rev = rng.random(), twins.plain.store.rev
        number = twins.machine.index + 1
        head = [number, max(0, number - 3)]
        if choice < 0.1:
            twins.write(1)
        elif choice < 0.25:
            first = rng.randint(1, rev)
            path = f"/d{rng.randrange(DIRECTORIES)}/f{rng.randrange(FILES)}"
            twins.apply([v.REDACT, *head, path, first, rng.randint(first, rev)])
        elif choice < 0.26:
            twins.apply([v.RETAIN, *head, None, None, rng.randint(twins.plain.store.floor, rev)])

    for _ in range(4):
        twins.write(rng.randrange(5, 50))
        disk = twins.world.disk
        if rng.random() < 0.3:
            disk.capacity = disk.used() + rng.randrange(20_000)
        if rng.random() < 0.3:
            disk.broken_sync = rng.choice(("history/", "/commits", "/keyframe", "/base", "/tables"))
        with contextlib.suppress(OSError):
            twins.world.checkpoint(between)
        disk.capacity, disk.broken_sync = 1 << 40, None
        compare(twins)
        if rng.random() < 0.5:
            for store in twins.stores:
                while trim(store, 500):
                    pass
        twins.restart()
        compare(twins)


def test_what_is_redacted_when_a_slice_has_just_let_go_of_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SPILL", 1)
    world = World()
    for number in range(1, 9):
        world.writer.apply([v.SET, number, 0, "/a", b"secret %d" % number])
    store = world.machine.store
    steps = world.checkpointer.steps(world.machine)
    while store.files["/a"].past is None:
        next(steps)
    assert store.spilled == 1
    world.writer.apply([v.REDACT, 9, 0, "/a", 1, 8])
    for _ in steps:
        pass
    for _ in range(2):
        for rev in range(1, 9):
            assert answer(store, [v.GET, 1, "/a", rev])[1][1].startswith(b"redacted"), rev
        world.checkpoint()
    assert not any(b"secret" in world.disk.read(name) for name in world.disk.names)


def test_what_was_redacted_stays_gone_in_a_store_that_takes_over_tables() -> None:
    world = World()
    for number, value in enumerate((b"one", b"secret", b"three"), 1):
        world.writer.apply([v.SET, number, 0, "/a", value])
    world.checkpoint()
    world.writer.apply([v.REDACT, 4, 0, "/a", 2, 2])
    import_tables(world.machine, export_tables(world.machine))
    assert answer(world.machine.store, [v.GET, 1, "/a", 2])[1][1].startswith(b"redacted")
    world.writer.apply([v.SET, 5, 0, "/a", b"four"])
    world.checkpoint()
    assert answer(world.machine.store, [v.GET, 1, "/a", 2])[1][1].startswith(b"redacted")


def test_a_file_that_is_written_all_the_time_is_let_go_of_in_slices() -> None:
    store = Store()
    store.commit(1, "me", None, [("/a", b"", 0)])
    file = store.files["/a"]
    for _ in range(2_000):
        store.overwrite(file, file.versions[-1], b"", 1, "me")
    more = True
    while more:
        before = len(file.versions)
        more = spill(store, store.rev, 10)
        assert before - len(file.versions) <= 10
    assert len(file.versions) == 1
    assert past.size(file.past) == store.rev - 1


def test_a_commit_of_many_files_is_let_go_of_in_slices() -> None:
    store = Store()
    names = [f"/many/{number:03d}" for number in range(300)]
    for value in (b"first", b"second", b"third"):
        store.commit(1, "me", None, [(name, value, 0) for name in names])

    def held() -> int:
        return sum(len(store.files[name].versions) for name in names)

    more, slices = True, 0
    while more:
        before = held()
        more, slices = spill(store, store.rev, 10), slices + 1
        assert before - held() <= 10
        assert store.spilled < store.rev or not more
    assert slices >= 60
    assert held() == len(names)
    assert {past.size(store.files[name].past) for name in names} == {2}


def test_a_keyframe_on_a_bad_sector_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    twins = Twins(1, keyframe=1)
    twins.write(100)
    twins.world.checkpoint()
    pread = FakeFile.pread

    def failing(file: FakeFile, size: int, offset: int) -> bytes:
        if "keyframe-" in file.path:
            raise OSError(errno.EIO, "bad sector", file.path)
        return pread(file, size, offset)

    monkeypatch.setattr(FakeFile, "pread", failing)
    again = twins.world.restart()
    same(again.machine, twins.machine)
    assert again.checkpointer.manifest.keyframe is None


@pytest.mark.parametrize("told", [True, False])
def test_a_disk_without_room_for_a_keyframe_has_room_for_a_checkpoint(
    told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins = Twins(3, keyframe=1 << 60)
    twins.write(300)
    twins.world.checkpoint()
    disk, checkpointer = twins.world.disk, twins.world.checkpointer
    checkpointer.keyframe_commits = 1
    twins.write(1)
    if not told:
        monkeypatch.setattr(FakeDisk, "free", lambda disk, path: 1 << 40)
    disk.capacity = disk.used() + 4000
    twins.world.checkpoint()
    assert checkpointer.index == twins.machine.index
    assert checkpointer.manifest.keyframe is None
    assert not any("keyframe-" in name for name in disk.names)
    disk.capacity = 1 << 40
    twins.write(1)
    twins.world.checkpoint()
    assert checkpointer.manifest.keyframe is not None
    twins.restart()
    compare(twins)


def told_or_right(world: World, expected: dict[int, Any]) -> int:
    """Return how many questions about a rev were refused; all others are answered as they were."""
    wrong = 0
    for rev, right in expected.items():
        try:
            assert facts(world.machine.store, rev) == right
        except Unreadable:
            wrong += 1
    return wrong


def facts(store: Store, rev: int) -> Any:
    """What a value, and who wrote it, is: of blocks with one actor and with several, with one change and more."""
    path = "/b" if rev % 50 == 0 else "/a"
    return answer(store, [v.GET, 1, path, rev]), answer(store, [v.LOG, 1, [v.SEL_TREE, "/"], rev, rev])


def authored(count: int, mark: bytes, seed: int = 5) -> World:
    """A world whose commits are in several files: those of two worlds differ in nothing but `mark`."""
    world = World(FakeDisk(random.Random(seed)))
    for number in range(1, count + 1):
        value, head = b"%04d %s" % (number, mark), [number, number - 1]
        frame = [v.SET, *head, "/a", value]
        if number % 50 == 0:
            frame = [v.TXN, *head, [], [[0, "/a", value], [0, "/b", value]], [], None]
        actor = "me" if number <= 100 else f"me{number % 3 + number // 100}"
        world.machine.apply(number, 1, encode(number, [[b"session", actor, [frame], ""]]))
        if number % 100 == 0:
            world.checkpoint()
    return world


def history(world: World) -> list[str]:
    return sorted(name for name in world.disk.names if "/commits-" in name)


def test_files_that_were_exchanged_are_told() -> None:
    world = authored(300, b"one")
    expected = {rev: facts(world.machine.store, rev) for rev in range(1, 300)}
    for first, second in itertools.combinations(range(len(history(world))), 2):
        again = authored(300, b"one")
        names = history(again)
        one, two = again.disk.read(names[first]), again.disk.read(names[second])
        again.disk.put(names[first], two)
        again.disk.put(names[second], one)
        refresh(again)
        assert told_or_right(again, expected) >= 50


def test_a_file_of_another_directory_is_told() -> None:
    world, other = authored(300, b"one"), authored(300, b"two")
    expected = {rev: facts(world.machine.store, rev) for rev in range(1, 300)}
    name = history(world)[0]
    assert len(world.disk.read(name)) == len(other.disk.read(name))
    again = authored(300, b"one")
    again.disk.put(name, other.disk.read(name))
    refresh(again)
    assert told_or_right(again, expected) >= 50
    with pytest.raises(Unreadable) as one:
        facts(again.machine.store, 1)
    with pytest.raises(Unreadable) as two:
        facts(again.machine.store, 1)
    assert one.value.__cause__ is not two.value.__cause__, "one that is raised again keeps all that led to it"


def test_a_flipped_bit_and_a_cut_anywhere_are_told() -> None:
    world = authored(60, b"one")
    world.checkpoint()
    expected = {rev: facts(world.machine.store, rev) for rev in (1, 30, 50, 58)}
    (name,) = history(world)
    sound = world.disk.read(name)
    for bit in range(64 * 8, len(sound) * 8, 11):
        world.disk.flip(name, bit)
        refresh(world)
        assert told_or_right(world, expected), bit
        world.disk.put(name, sound)
    for size in range(0, len(sound), 31):
        world.disk.put(name, sound[:size])
        refresh(world)
        assert told_or_right(world, expected), size


def refresh(world: World) -> None:
    """As after a start: nothing is at hand, no head was looked at."""
    world.machine.store.past_values = PastReader(
        world.disk, "data/history", world.checkpointer.manifest, Kept(1 << 20)
    )


class TestPast:
    def test_revs_beyond_32_bits(self) -> None:
        revs = [1, 5, past.NARROW - 1, past.NARROW, past.NARROW + 1, past.NARROW + 900]
        known: past.Past | None = None
        for count, rev in enumerate(revs, 1):
            known = past.extended(known, [(rev, b"", 1, count, 0)])
        assert known is not None
        assert list(past.revs(known)) == revs
        assert past.stub(known, 4) == (past.NARROW + 1, past.UNREAD, 1, 5, 0)
        assert past.in_force(known, past.NARROW + 5) == past.stub(known, 4)

    def test_directories_note_revs_beyond_32_bits(self) -> None:
        store = Store()
        store.create("/x", b"", 1, "me")
        store.commit(1, "me", None, [("/a/b/c", b"", 0)])
        store.begin(past.NARROW + 7, 2)
        store.commit(3, "me", None, [("/a/b/c", b"1", 0), ("/n/m", b"", 0)])
        assert store.directories["/a/b"].changed_at(store.rev) == past.NARROW + 8
        assert (
            store.directories["/a"].lineage == ()
            or list(store.directories["/a"].changes)[-1] == past.NARROW + 8
        )
        assert store.directories["/n"].changed_at(store.rev) == past.NARROW + 8

    @pytest.mark.parametrize("seed", range(20))
    def test_what_is_left_of_a_past_tells_the_same(self, seed: int) -> None:
        rng = random.Random(seed)
        versions: list[Any] = []
        rev = created = count = 0
        for _ in range(rng.randrange(2, 150)):
            rev += rng.randrange(1, 9)
            if count and rng.random() < 0.1:
                versions.append((rev, None, 0, 0, 0))
                count = 0
                continue
            created = created if count else rev
            count += 1
            versions.append((rev, b"", created, count, 0))
        known: past.Past | None = None
        start = 0
        while start < len(versions):
            more = rng.randrange(1, 40)
            known = past.extended(known, versions[start : start + more])
            start += more
        gone = 0
        while known is not None:
            for position, version in enumerate(versions[gone:]):
                found = past.stub(known, position)
                assert found[0] == version[0]
                assert found[2:] == version[2:]
                assert (found[1] is None) == (version[1] is None) == past.is_gone(known, position)
            cut = rng.randrange(1, 30)
            known, gone = past.without(known, cut), gone + cut
