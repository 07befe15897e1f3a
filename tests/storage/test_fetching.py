"""A member that lags, or is new, fetches another's checkpoint: it gets the same state, or keeps its own."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import random
import zlib
from functools import partial
from typing import Any

import msgpack
import pytest

from tests.storage.fake_disk import FakeDisk, PowerCut
from tests.storage.fetching_world import (
    Chunk,
    Clock,
    equal,
    fetch,
    incoming,
    install,
    loader,
    member,
    outgoing,
    transfer,
)
from tests.storage.storage_world import Later, World, contents, files
from visor.protocol.verbs import SET
from visord.check import check
from visord.state.command import encode
from visord.state.tables import export_tables
from visord.state.trim import trim
from visord.storage import manifest as manifests
from visord.storage import pending
from visord.storage.disk import join, read_all
from visord.storage.errors import FormatError, StorageError
from visord.storage.fetched import DifferentError, OfferError
from visord.storage.incoming import Incoming
from visord.storage.segments import (
    BASE,
    COLUMNS,
    COMMITS,
    ROWS,
    TABLES,
    Block,
    Part,
    pack_header,
    part_name,
    seal,
)


def leader_of(count: int, every: int = 40) -> World:
    """Return a member that wrote, with a checkpoint of everything."""
    world = World()
    while world.machine.index < count:
        world.writer.write(min(every, count - world.machine.index))
        world.checkpoint()
    return world


def trimmed(world: World, keep: int = 10) -> None:
    """Raise the floor and let everything below it go, in memory and on disk."""
    world.writer.retain(world.machine.store.rev - keep)
    while trim(world.machine.store, 100):
        pass
    world.checkpoint()


# -- what is transferred ----------------------------------------------------------------------------------


def test_a_new_member_gets_everything_and_goes_on_alone() -> None:
    leader = leader_of(400)
    world = member(leader)
    transfer(leader, world)
    equal(world.machine, leader.machine)
    assert world.checkpointer.config == leader.checkpointer.config == b"members at 400"
    again = world.reopen()
    equal(again.machine, leader.machine)
    for _ in range(5):
        leader.writer.write(50)
        again.follow(leader)
        again.checkpoint()
        equal(again.machine, leader.machine)
        again = again.reopen()
        again.checkpointer.sweep()
        equal(again.machine, leader.machine)


def test_a_member_that_lags_fetches_only_what_it_lacks_and_takes_it_over_as_it_is() -> None:
    leader, world = World(), member(leader := World())
    leader.writer.write(600)
    world.follow(leader)
    world.checkpoint()
    leader.checkpoint()
    leader.writer.write(60)
    leader.checkpoint()
    machine, whole = world.machine, sum(part.size for part in leader.checkpointer.manifest.files())
    carried = transfer(leader, world)
    assert carried < whole / 4
    assert world.machine is machine, "it answered all the time"
    equal(machine, leader.machine)
    equal(world.reopen().machine, leader.machine)


def test_a_member_lags_again_and_again() -> None:
    leader = World()
    world = member(leader)
    for round_ in range(12):
        leader.writer.write(70)
        leader.checkpoint()
        if round_ % 3 == 1:
            leader.writer.retain(leader.machine.store.rev - 100)
        transfer(leader, world)
        leader.writer.write(30)
        world.follow(leader)
        if round_ % 2:
            world.checkpoint()
            while trim(world.machine.store, 100):
                pass
        equal(world.machine, leader.machine)
        world = world.reopen()
        world.checkpointer.sweep()
        world.follow(leader)
        equal(world.machine, leader.machine)


def test_a_member_below_the_others_floor_fetches_the_base_and_needs_a_new_machine() -> None:
    leader = World()
    world = member(leader)
    leader.writer.write(50)
    world.follow(leader)
    world.checkpoint()
    leader.writer.write(500)
    trimmed(leader)
    before = world.machine
    transfer(leader, world)
    assert world.machine is not before
    equal(world.machine, leader.machine)
    equal(world.reopen().machine, leader.machine)


def test_files_that_an_earlier_transfer_brought_are_not_fetched_again() -> None:
    leader = leader_of(500)
    world = member(leader)
    first = transfer(leader, world)
    leader.writer.write(30)
    leader.checkpoint()
    again = member(leader, disk=world.disk.after_kill())
    # As if its own history did not reach: the sealed files are the same ones all the same.
    again.checkpointer.manifest = dataclasses.replace(again.checkpointer.manifest, rev=0)
    target = incoming(again)
    assert target.begin(outgoing(leader).offer(), "leader")
    assert target.progress()[1] < first / 3


def test_nothing_happens_when_the_own_checkpoint_is_as_new() -> None:
    leader = leader_of(50)
    world = member(leader)
    world.follow(leader)
    target = incoming(world)
    assert not target.begin(outgoing(leader).offer(), "leader")
    assert not target.active and target.wanted() is None


def test_the_own_checkpoint_may_become_newer_meanwhile() -> None:
    leader = leader_of(80)
    world = member(leader)
    source, target = outgoing(leader), incoming(world)
    assert target.begin(source.offer(), "leader")
    fetch(source, target)
    leader.writer.write(40)
    world.follow(leader)
    world.checkpoint()
    steps, done = target.finish(loader(world, fresh=True)), None
    while done is None:
        try:
            next(steps)
        except StopIteration as end:
            done = end.value
    assert done is False
    equal(world.reopen().machine, leader.machine)


def test_a_checkpoint_of_the_lagging_member_is_made_while_it_fetches() -> None:
    leader = World()
    world = member(leader)
    leader.writer.write(300)
    world.follow(leader, 100)
    world.checkpoint()
    world.follow(leader, 120)
    leader.checkpoint()
    source, target = outgoing(leader), incoming(world)
    assert target.begin(source.offer(), "leader")
    fetch(source, target, most=3)
    world.checkpoint()
    fetch(source, target)
    install(world, target)
    equal(world.machine, leader.machine)
    equal(world.reopen().machine, leader.machine)


def test_installing_waits_for_the_own_checkpoint() -> None:
    leader = World()
    world = member(leader)
    leader.writer.write(300)
    world.follow(leader, 200)
    leader.checkpoint()
    source, target = outgoing(leader), incoming(world)
    assert target.begin(source.offer(), "leader")
    fetch(source, target)
    making = world.checkpointer.steps(world.machine)
    next(making)
    finishing = target.finish(loader(world, fresh=True))
    for _ in range(10):
        next(finishing)
    assert world.checkpointer.index == 0
    for _ in making:
        pass
    assert world.checkpointer.index == 200
    for _ in finishing:
        pass
    assert world.checkpointer.index == 300
    equal(world.reopen().machine, leader.machine)


def test_the_steps_of_loading_are_small() -> None:
    leader = World()
    leader.writer.write(3000)
    leader.checkpoint()
    world = member(leader)
    source, target = outgoing(leader), incoming(world)
    target.begin(source.offer(), "leader")
    fetch(source, target)
    revs = [0]
    for _ in target.finish(loader(world)):
        revs.append(world.machine.store.rev)
    assert max(after - before for before, after in itertools.pairwise(revs)) <= 256
    equal(world.machine, leader.machine)


# -- faults on the way ------------------------------------------------------------------------------------


def test_a_corrupted_piece_anywhere_is_noticed_and_fetched_again() -> None:
    leader = leader_of(60)
    size = sum(part.size for part in leader.checkpointer.manifest.files())
    for position in range(0, size, 11):
        world = member(leader)
        source, target = outgoing(leader), incoming(world, chunk=450)
        assert target.begin(source.offer(), "leader")
        spoiled, seen = False, 0

        def spoil(chunk: Chunk, position: int = position) -> Chunk:
            nonlocal spoiled, seen
            name, offset, data = chunk
            assert data is not None
            if not spoiled and seen + len(data) > position:
                spoiled = True
                changed = bytearray(data)
                changed[position - seen] ^= 1 << position % 8
                data = bytes(changed)
            seen += len(data)
            return name, offset, data

        assert fetch(source, target, spoil) > size
        install(world, target)
        equal(world.machine, leader.machine)


@pytest.mark.parametrize("cut", ["short", "long", "empty", "text"])
def test_a_piece_of_another_size_is_asked_for_again(cut: str) -> None:
    leader = leader_of(60)
    world = member(leader)
    source, target = outgoing(leader), incoming(world)
    assert target.begin(source.offer(), "leader")
    count = 0

    def through(chunk: Chunk) -> Any:
        nonlocal count
        count += 1
        name, offset, data = chunk
        assert data is not None
        wrong: dict[str, Any] = {"short": data[:-1], "long": data + b"x", "empty": b"", "text": "text"}
        return (name, offset, wrong[cut]) if count % 3 == 0 else chunk

    fetch(source, target, through)
    install(world, target)
    equal(world.machine, leader.machine)


def test_a_sender_that_is_always_wrong_is_given_up_and_the_own_state_stays() -> None:
    leader = World()
    world = member(leader)
    leader.writer.write(100)
    world.follow(leader)
    world.checkpoint()
    before, names = contents(world.machine), files(world.disk)
    leader.writer.write(100)
    leader.checkpoint()
    source, target = outgoing(leader), incoming(world)
    target.begin(source.offer(), "leader")
    fetch(source, target, lambda chunk: (chunk[0], chunk[1], bytes(len(chunk[2] or b""))))
    assert isinstance(target.failure, OfferError)
    assert not target.active and not target.complete
    assert files(world.disk) == names
    assert contents(world.reopen().machine) == before


def test_another_file_of_the_same_size_is_noticed_at_its_end() -> None:
    leader = leader_of(60)
    offer = outgoing(leader).offer()
    assert offer is not None
    manifest = leader.checkpointer.manifest
    wrong = dataclasses.replace(
        manifests.decode(offer[2], ""), parts=(manifest.parts[0]._replace(chain=1), *manifest.parts[1:])
    )
    world = member(leader)
    target = incoming(world)
    target.begin([1, offer[1], manifests.encode(wrong)], "leader")
    source = outgoing(leader)
    source.offer()
    fetch(source, target)
    assert isinstance(target.failure, OfferError)


def test_answers_that_nobody_waits_for_are_dropped() -> None:
    leader = leader_of(100)
    world = member(leader)
    source, target = outgoing(leader), incoming(world)
    target.take("commits-000000000001", 0, b"unasked")
    target.begin(source.offer(), "leader")
    part = leader.checkpointer.manifest.parts[0].name
    for strange in ((("nothing", 0)), (part, 700), (part, -1)):
        target.take(*strange, b"x" * 700)
    wanted = target.wanted()
    assert wanted is not None
    assert wanted[1] == 0
    answers: list[bytes | None] = []
    source.read("reader", target.offer, *wanted, answers.append)
    target.take(wanted[0], 0, answers[0])
    target.take(wanted[0], 0, answers[0])  # twice
    fetch(source, target)
    install(world, target)
    equal(world.machine, leader.machine)


def test_an_offer_that_was_let_go_is_replaced_and_what_is_there_is_kept() -> None:
    leader = leader_of(400)
    world = member(leader)
    source, target = outgoing(leader), incoming(world)
    target.begin(source.offer(), "leader")
    carried = fetch(source, target, most=20)
    leader.writer.write(50)
    leader.checkpoint()
    source.release()
    carried += fetch(source, target)
    assert target.gone and target.active and target.wanted() is None
    assert target.begin(source.offer(), "leader")
    assert not target.gone
    carried += fetch(source, target)
    size = sum(part.size for part in leader.checkpointer.manifest.files())
    assert size <= carried < size + 2000, "at most one block twice"
    install(world, target)
    equal(world.machine, leader.machine)


def test_another_member_goes_on_where_the_first_one_stopped_with_whole_files_alone() -> None:
    leader = leader_of(400)
    second = member(leader, 4)
    transfer(leader, second)
    assert leader.checkpointer.manifest.parts[-1].name != second.checkpointer.manifest.parts[-1].name
    world = member(leader)
    source, other, target = outgoing(leader), outgoing(second), incoming(world)
    target.begin(source.offer(), "leader")
    carried = fetch(source, target, most=20)
    offer = other.offer()
    assert target.begin(offer, "second")
    carried += fetch(other, target)
    install(world, target)
    equal(world.machine, leader.machine)


def test_an_offer_that_comes_again_after_an_older_one_was_taken_touches_no_file_in_use() -> None:
    """The names of fetched files came from the index of the first offer alone: seed 22471 lost a checkpoint."""
    leader = leader_of(200)
    older = outgoing(leader)
    older_offer = older.offer()
    second = member(leader, 4)
    second.follow(leader)  # so its own files have the same numbers
    second.writer.write(120)
    second.checkpoint()
    newer = outgoing(second)
    world = member(leader)
    target = incoming(world)
    assert target.begin(newer.offer(), "second")
    fetch(newer, target, most=3)
    assert target.begin(older_offer, "leader")
    fetch(older, target)
    install(world, target)
    taken = world.checkpointer.manifest
    folder = world.directory.history
    kept = {part.name: read_all(world.disk, join(folder, part.name), 1 << 30) for part in taken.files()}
    assert target.begin(newer.offer(), "second")
    fetch(newer, target, most=3)
    for name, content in kept.items():
        assert read_all(world.disk, join(folder, name), 1 << 30)[: len(content)] == content
    fetch(newer, target)
    install(world, target)
    names = [part.name for part in world.checkpointer.manifest.files()]
    assert len(set(names)) == len(names)
    equal(world.machine, second.machine)
    equal(world.restart().machine, second.machine)


def test_differing_histories_are_never_mixed() -> None:
    leader = leader_of(200)
    stranger = World(FakeDisk(random.Random(8)), cluster=leader.directory.cluster)
    stranger.writer.rng = random.Random(77)
    stranger.writer.write(100)
    stranger.checkpoint()
    before = contents(stranger.machine)
    source, target = outgoing(leader), incoming(stranger)
    target.begin(source.offer(), "leader")
    fetch(source, target)
    assert isinstance(target.failure, DifferentError)
    assert contents(stranger.reopen().machine) == before
    leader.writer.write(1)
    leader.checkpoint()
    frames = [[SET, 1000 + number, 0, "/many/more", b"x"] for number in range(200)]
    stranger.machine.apply(101, 1, encode(9999, [[b"session", "me", frames, ""]]))
    with pytest.raises(DifferentError):
        target.begin(source.offer(), "leader")


# -- restarts, power cuts, full disks ---------------------------------------------------------------------


def test_a_restart_at_any_moment_goes_on_where_it_was() -> None:
    leader = leader_of(250)
    size = sum(part.size for part in leader.checkpointer.manifest.files())
    for stop in range(1, size // 700, 7):
        world = member(leader)
        source, target = outgoing(leader), incoming(world)
        target.begin(source.offer(), "leader")
        fetch(source, target, most=stop)
        here = target.progress()[0]
        world = world.reopen()
        world.checkpointer.sweep()
        assert world.machine.index == 0
        target = incoming(world)
        assert target.begin(source.offer(), "leader")
        assert target.progress()[0] == here, "what was complete is not fetched again"
        fetch(source, target)
        install(world, target)
        equal(world.machine, leader.machine)


def catch_up(leader: World, world: World) -> None:
    target = incoming(world)
    source = outgoing(leader)
    if target.begin(source.offer(), "leader"):
        fetch(source, target)
        install(world, target)


@pytest.mark.parametrize("own", [0, 90])
def test_a_power_cut_at_every_call_leaves_the_old_checkpoint_or_the_new_one(own: int) -> None:
    leader = World()
    leader.writer.write(own)
    leader.checkpoint()
    start = member(leader)
    start.follow(leader)
    start.checkpoint()
    old = contents(start.machine)
    leader.writer.write(110)
    leader.checkpoint()
    new = contents(leader.machine)
    calls = seen_old = 0
    while True:
        calls += 1
        disk = start.disk.copy()
        disk.rng = random.Random(calls)
        world = World(disk)
        disk.crash_at = disk.calls + calls
        try:
            catch_up(leader, world)
        except PowerCut:
            world = World(disk.after_crash())
            found = contents(world.machine)
            assert found in (old, new)
            seen_old += found == old
            if calls % 2:
                world.checkpointer.sweep()
            catch_up(leader, world)
            equal(world.machine, leader.machine)
            world.checkpointer.sweep()
            assert [name for name in files(world.disk) if name.endswith("/incoming")] == []
            continue
        break
    assert calls > 20
    assert seen_old > 10


def test_many_power_cuts_in_a_row_and_writes_in_between() -> None:
    for seed in range(40):
        rng = random.Random(seed)
        leader = leader_of(80)
        world = member(leader, seed)
        for _ in range(6):
            world.disk.crash_at = world.disk.calls + rng.randrange(1, 60)
            try:
                catch_up(leader, world)
                world.follow(leader)
                world.checkpoint()
                world.disk.crash_at = None
            except PowerCut:
                world = World(world.disk.after_crash())
                if rng.random() < 0.5:
                    world.checkpointer.sweep()
            leader.writer.write(rng.randrange(40))
            if rng.random() < 0.3:
                leader.writer.retain(max(0, leader.machine.store.rev - 30))
            leader.checkpoint()
        catch_up(leader, world)
        equal(world.machine, leader.machine)
        equal(world.reopen().machine, leader.machine)


def test_a_full_disk_at_any_byte_ends_the_transfer_and_gives_the_space_back() -> None:
    leader = World()
    world = member(leader)
    leader.writer.write(60)
    world.follow(leader)
    world.checkpoint()
    leader.writer.write(150)
    leader.checkpoint()
    before, names = contents(world.machine), files(world.disk)
    used = world.disk.used()
    for room in range(0, 20_000, 400):
        world.disk.capacity = used + room
        source, target = outgoing(leader), incoming(world, margin=-(1 << 40))
        target.begin(source.offer(), "leader")
        fetch(source, target)
        if target.complete:
            break
        assert isinstance(target.failure, OSError)
        assert files(world.disk) == names
        assert contents(World(world.disk.copy()).machine) == before
        world.writer.machine.apply(1, 1, b"\x01")  # and the state is usable
    assert room > 5000
    world.disk.capacity = 1 << 40
    install(world, target)
    equal(world.machine, leader.machine)


def test_a_full_disk_while_the_manifest_is_replaced() -> None:
    leader = leader_of(150)
    for room in range(0, 1200, 50):
        world = member(leader)
        target = incoming(world)
        source = outgoing(leader)
        target.begin(source.offer(), "leader")
        fetch(source, target)
        world.disk.capacity = world.disk.used() + room
        try:
            for _ in target.finish(loader(world, fresh=True)):
                pass
        except OSError:
            assert world.checkpointer.index == 0
            assert target.complete
            world.disk.capacity = 1 << 40
            for _ in target.finish(loader(world, fresh=True)):
                pass
        equal(world.reopen().machine, leader.machine)


def test_too_little_room_is_told_before_anything_is_fetched() -> None:
    leader = leader_of(150)
    world = member(leader)
    world.disk.capacity = world.disk.used() + 2000
    target = incoming(world)
    with pytest.raises(OSError, match="are to be fetched"):
        target.begin(outgoing(leader).offer(), "leader")
    assert target.wanted() is None and not target.active
    world.disk.capacity = 1 << 40
    catch_up(leader, world)
    equal(world.machine, leader.machine)


def test_a_disk_whose_syncs_fail_keeps_the_old_checkpoint() -> None:
    leader = leader_of(60)
    for broken in ("commits-", "history/"):
        world = member(leader)
        source, target = outgoing(leader), incoming(world)
        world.disk.broken_sync = broken
        try:
            target.begin(source.offer(), "leader")
            fetch(source, target)
            if target.failure is not None:
                raise target.failure
            for _ in target.finish(loader(world, fresh=True)):
                pass
        except OSError:
            assert world.checkpointer.index == 0
        world.disk.broken_sync = None
        assert World(world.disk.after_crash()).machine.index == 0


def test_when_nobody_can_tell_which_manifest_is_durable_the_node_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leader = leader_of(60)
    world = member(leader)
    source, target = outgoing(leader), incoming(world)
    target.begin(source.offer(), "leader")
    fetch(source, target)

    def fail(path: str) -> None:
        if path == "data":
            raise OSError(errno.EIO, "no sync")

    monkeypatch.setattr(world.disk, "sync_dir", fail)
    with pytest.raises(StorageError):
        for _ in target.finish(loader(world, fresh=True)):
            pass
    monkeypatch.undo()
    assert World(world.disk.after_crash()).machine.index in (0, 60)


# -- with a worker that takes its time --------------------------------------------------------------------


class Slow:
    """A worker whose jobs wait until some of them are run."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.later = Later()
        self.submit = self.later.submit

    def turn(self) -> None:
        if self.rng.random() < 0.6:
            self.later.run(self.rng.randrange(3))


def _note(answers: list[tuple[str, int, bytes | None]], name: str, offset: int, data: bytes | None) -> None:
    answers.append((name, offset, data))


def test_everything_at_once_in_any_order() -> None:
    completed = 0
    for seed in range(60):
        rng = random.Random(seed)
        slow, clock = Slow(rng), Clock()
        leader = leader_of(60)
        leader.checkpointer._background = slow
        world = member(leader, seed)
        world.follow(leader, rng.randrange(60))
        world.checkpointer._background = slow
        source = outgoing(leader, clock, background=slow, hold_seconds=3.0)
        target = incoming(world, background=slow)
        steps: list[Any] = []
        asked = False
        answers: list[tuple[str, int, bytes | None]] = []
        while not target.complete:
            choice = rng.random()
            clock.advance(0.05)
            slow.turn()
            if not target.active or target.gone:
                offer = source.offer()
                assert offer is not None
                asked = False
                if not target.begin(offer, "leader"):
                    break
            elif not asked and (wanted := target.wanted()) is not None:
                asked = True
                name, offset, size = wanted

                got = partial(_note, answers, name, offset)
                source.read("reader", target.offer, name, offset, size, got)
            elif answers and choice < 0.7:
                name, offset, data = answers.pop()
                if rng.random() < 0.1 and data:
                    data = data[: rng.randrange(len(data))] + b"x"
                target.take(name, offset, data)
                asked = False
            elif choice < 0.75:
                leader.writer.write(3)
            elif choice < 0.8 and not steps:
                steps = [leader.checkpointer.steps(leader.machine)]
            elif choice < 0.82:
                leader.writer.retain(max(0, leader.machine.store.rev - 20))
            elif choice < 0.84 and not steps:
                trim(leader.machine.store, 100)
            elif choice < 0.86:
                clock.advance(4.0)
                source.tick()
            elif choice < 0.95 and steps and next(steps[0], "end") == "end":
                steps = []
        if target.complete:
            completed += 1
            index = target.index
            finishing = target.finish(loader(world, fresh=True))
            while next(finishing, "end") != "end":
                slow.later.run()
            assert world.checkpointer.index == index
        world.follow(leader)
        equal(world.machine, leader.machine)
    assert completed > 40


# -- offers -----------------------------------------------------------------------------------------------


def test_without_a_checkpoint_nothing_is_offered() -> None:
    assert outgoing(World()).offer() is None


def test_an_offers_files_stay_readable_while_history_is_dropped() -> None:
    leader = leader_of(400)
    world = member(leader)
    source, target = outgoing(leader), incoming(world)
    target.begin(source.offer(), "leader")
    index = target.index
    machine = leader.reopen().machine
    fetch(source, target, most=3)
    for _ in range(4):
        leader.writer.write(150)
        trimmed(leader)
        fetch(source, target, most=3)
    assert leader.checkpointer.held_bytes > 0
    fetch(source, target)
    install(world, target)
    assert world.machine.index == index
    equal(world.machine, machine)
    source.release()
    assert leader.checkpointer.held_bytes == 0
    named = {f"data/history/{part.name}" for part in leader.checkpointer.manifest.files()}
    assert {name for name in files(leader.disk) if "/history/" in name} == named


def test_a_failed_checkpoint_does_not_sweep_what_is_held_or_fetched() -> None:
    leader = leader_of(200)
    world = member(leader)
    source, target = outgoing(leader), incoming(world)
    target.begin(source.offer(), "leader")
    leader.writer.write(100)
    trimmed(leader)
    fetch(source, target, most=4)
    for one in (leader, world):
        one.follow(leader, 50)
        leader.writer.write(1)
        one.disk.broken_sync = "manifest"
        with pytest.raises(OSError):
            one.checkpoint()
        one.disk.broken_sync = None
    fetch(source, target)
    assert target.complete
    install(world, target)
    world.follow(leader)
    equal(world.machine, leader.machine)


def test_an_offer_is_let_go_after_some_time_without_reads() -> None:
    leader, clock = leader_of(100), Clock()
    source = outgoing(leader, clock, hold_seconds=10.0)
    offer = source.offer()
    assert offer is not None
    name = leader.checkpointer.manifest.parts[0].name
    answers: list[bytes | None] = []
    for _ in range(5):
        clock.advance(6.0)
        source.tick()
        source.read("reader", offer[1], name, 0, 10, answers.append)
    assert None not in answers and len(answers) == 5
    clock.advance(11.0)
    source.tick()
    source.read("reader", offer[1], name, 0, 10, answers.append)
    assert answers[-1] is None
    assert source.index is None


def test_offers_are_bounded_in_number_and_in_what_they_keep() -> None:
    leader = World()
    source = outgoing(leader, max_offers=2, max_held=5000)
    offers = []
    for _ in range(4):
        leader.writer.write(100)
        leader.checkpoint()
        offers.append(source.offer())
    assert offers[2] == offers[3] == offers[1], "rather the same than that another one starts over"
    assert source.index == 100
    leader.writer.write(100)
    trimmed(leader)
    assert leader.checkpointer.held_bytes > 5000
    source.tick()
    assert leader.checkpointer.held_bytes <= 5000
    assert source.index in (None, 200)


def test_an_offer_that_nobody_reads_makes_room_for_a_newer_one() -> None:
    # A member for whom an old checkpoint is of no use, because the log after it is gone, asks again and again.
    leader, clock = World(), Clock()
    source = outgoing(leader, clock, max_offers=2)
    for _ in range(3):
        leader.writer.write(100)
        leader.checkpoint()
        offer = source.offer()
    for _ in range(40):
        clock.advance(0.1)
        offer = source.offer()
    assert offer is not None and offer[2] == leader.checkpointer.encoded


def test_the_same_checkpoint_is_one_offer() -> None:
    source = outgoing(leader_of(30))
    assert source.offer() == source.offer()


def test_reads_of_all_together_keep_to_the_rate() -> None:
    leader, clock = leader_of(300), Clock()
    source = outgoing(leader, clock, rate=10_000)
    offer = source.offer()
    assert offer is not None
    got = [0, 0]

    def ask(reader: int) -> None:
        def answer(data: bytes | None) -> None:
            assert data is not None
            got[reader] += len(data)
            ask(reader)

        source.read(str(reader), offer[1], leader.checkpointer.manifest.parts[0].name, 0, 500, answer)

    ask(0)
    ask(1)
    clock.advance(10.0)
    assert 95_000 < sum(got) < 105_000
    assert 0.8 < got[0] / got[1] < 1.25
    assert source.sent == sum(got)


def test_who_asks_without_waiting_gets_his_share_and_keeps_nobody_from_his() -> None:
    leader, clock = leader_of(300), Clock()
    source = outgoing(leader, clock, rate=10_000)
    offer = source.offer()
    assert offer is not None
    name = leader.checkpointer.manifest.parts[0].name
    got: dict[str, int] = {"liar": 0, "b": 0, "c": 0}

    def ask(reader: str) -> None:
        def answer(data: bytes | None) -> None:
            assert data is not None
            got[reader] += len(data)
            if reader != "liar":
                ask(reader)

        source.read(reader, offer[1], name, 0, 500, answer)

    for _ in range(20_000):
        ask("liar")
    assert len(clock._due) == 1 and len(source._waiting) == 1
    ask("b")
    ask("c")
    clock.advance(0.2)
    assert min(got.values()) >= 500  # the queue of one is one read long
    for _ in range(1000):
        for _ in range(20):
            ask("liar")
        clock.advance(0.01)
    assert len(clock._due) <= 2 and len(source._waiting) <= 3
    assert all(30_000 < count < 36_000 for count in got.values())


def test_a_read_that_the_disk_does_is_the_only_one_of_its_member() -> None:
    leader, clock, slow = leader_of(30), Clock(), Slow(random.Random(1))
    source = outgoing(leader, clock, background=slow)
    offer = source.offer()
    assert offer is not None
    name = leader.checkpointer.manifest.parts[0].name
    answers: list[int] = []
    for count in range(1, 100):
        source.read("liar", offer[1], name, 0, count, lambda data: answers.append(len(data or b"")))
    for _ in range(200):
        slow.turn()
    assert answers == [1, 99]  # those between them were asked for no more


def test_offers_that_are_read_for_ever_make_room_when_the_log_after_them_is_gone() -> None:
    leader, clock, first = World(), Clock(), 0
    source = outgoing(leader, clock, max_offers=2, helps=lambda index: index >= first)
    offers = []
    for _ in range(2):
        leader.writer.write(100)
        leader.checkpoint()
        offers.append(source.offer())
    for _ in range(30):
        leader.writer.write(10)
        leader.checkpoint()
        clock.advance(1.0)
        for name in [one[1] for one in offers if one is not None]:
            source.read("liar", name, next(iter(source._offers[name].parts)), 0, 1, lambda data: None)
        assert source.offer() == offers[1]  # it helps: what follows it is in the log
    first = leader.checkpointer.index
    newest = source.offer()
    assert newest is not None and newest[2] == leader.checkpointer.encoded
    assert source.index == 200


@pytest.mark.parametrize(
    "arguments",
    [
        (None, "commits-000000000001", 0, 10),
        ("unknown", "commits-000000000001", 0, 10),
        (0, "../../identity", 0, 10),
        (0, "manifest", 0, 10),
        (0, None, 0, 10),
        (0, "commits-000000000002", -1, 10),
        (0, "commits-000000000002", 1 << 40, 10),
        (0, "commits-000000000002", 0, 0),
        (0, "commits-000000000002", "0", 10),
        (0, "commits-000000000002", 0, 1.5),
        (0, "commits-000000000002", True, 10),
    ],
)
def test_odd_requests_get_nothing(arguments: tuple[Any, ...]) -> None:
    source = outgoing(leader_of(30))
    offer = source.offer()
    assert offer is not None
    answers: list[bytes | None] = []
    source.read("reader", offer[1] if arguments[0] == 0 else arguments[0], *arguments[1:], answers.append)
    assert answers == [None]


def test_a_request_for_too_much_gets_less() -> None:
    source = outgoing(leader_of(30))
    offer = source.offer()
    assert offer is not None
    answers: list[bytes | None] = []
    part = leader_of(30).checkpointer.manifest.parts[0]
    source.read("reader", offer[1], part.name, 0, 1 << 60, answers.append)
    assert answers[0] is not None
    assert len(answers[0]) == part.size


def repacked(offer: list[Any], **fields: Any) -> bytes:
    """Return the offer's manifest with other fields and a fitting checksum."""
    content = msgpack.unpackb(offer[2][8:-4], strict_map_key=False)
    data: bytes = offer[2][:8] + msgpack.packb({**content, **fields})
    return data + zlib.crc32(data).to_bytes(4, "little")


PART = ["commits-000000000001", 1, 1, 900, 1, 9, 77]


@pytest.mark.parametrize(
    "fields",
    [
        {"cluster": "f" * 32},
        {"cluster": 5},
        {"index": 0},
        {"index": -3},
        {"index": 1 << 63},
        {"rev": None},
        {"parts": None},
        {"parts": [7]},
        {"parts": [[*PART, 1]]},
        {"parts": [["../../../etc/passwd", *PART[1:]]]},
        {"parts": [["commits-000000000001/../x", *PART[1:]]]},
        {"parts": [["commits-000000000001-../x", *PART[1:]]]},
        {"parts": [["commits-000000000002", *PART[1:]]]},
        {"parts": [[PART[0], 2, *PART[2:]]]},
        {"parts": [[*PART[:3], -5, *PART[4:]]]},
        {"parts": [PART, PART]},
        {"base": PART},
        {"config": "text"},
    ],
)
def test_offers_that_make_no_sense_are_refused(fields: dict[str, Any]) -> None:
    leader = leader_of(30)
    offer = outgoing(leader).offer()
    assert offer is not None
    world = member(leader)
    target = incoming(world)
    with pytest.raises(OfferError):
        target.begin([1, offer[1], repacked(offer, **fields)], "leader")
    assert not target.active
    assert target.begin(offer, "leader")


def made_up(kind: int, content: Any, first: int = 0, last: int = 0, codec: int = ROWS) -> tuple[Part, bytes]:
    """Return a part with one block of this content, and its bytes: all checksums fit."""
    payload = msgpack.packb(content)
    head, chain = seal(Block(codec, 1, payload, first, last), 0)
    data = pack_header(kind, 900) + head + payload
    return Part(part_name(kind, 900), kind, 900, len(data), first, last, chain), data


def lies(leader: World) -> dict[str, tuple[dict[str, Any], bytes]]:
    """Return fields of a manifest that no start could load, each with the file that belongs to it (or none)."""
    head, rev = export_tables(leader.machine) | {"sessions": [], "leases": [1, []]}, leader.machine.store.rev
    found: dict[str, tuple[dict[str, Any], bytes]] = {
        "tables: none": ({"tables": None}, b""),
        "tables: no map": ({"tables": [1]}, b""),
        "tables: later": ({"tables": {**head, "format": 99}}, b""),
        "tables: halved": ({"tables": {"format": 2, "index": head["index"]}}, b""),
        "tables: another index": ({"tables": {**head, "index": 7}, "rows": None}, b""),
        "tables: an index of text": ({"tables": {**head, "index": "7"}, "rows": None}, b""),
        "tables: another term": ({"term": 9, "tables": head, "rows": None}, b""),
        "tables: another rev": ({"rev": rev + 5}, b""),
        "revs that nothing holds": ({"parts": []}, b""),
    }
    for name, content in {
        "kinds": [[9, 9]],
        "shapes": [7],
        "sessions": [[0, b"s"]],
        "leases": [[1, 5]],
    }.items():
        part, data = made_up(TABLES, content)
        found[f"rows: odd {name}"] = {"rows": part}, data
    part, data = made_up(COMMITS, [[1, 2, 3]], 1, rev, COLUMNS)
    found["commits: odd columns"] = {"parts": [part]}, data
    part, data = made_up(COMMITS, [[n, "a", b"", None, []] for n in range(1, rev + 1)], 1, rev)
    found["commits: odd rows"] = {"parts": [part]}, data
    part, data = made_up(BASE, [["/a"], 5])
    found["base: odd rows"] = {"base": part, "base_rev": rev, "parts": []}, data
    return found


LIES = list(lies(leader_of(80)))


@pytest.mark.parametrize("own", [0, 30])
@pytest.mark.parametrize("lie", LIES)
def test_what_cannot_be_loaded_never_becomes_the_checkpoint(lie: str, own: int) -> None:
    """All sums fit: loading tells, if not what compares it with the own commits. The own checkpoint stays."""
    leader = leader_of(80)
    world = member(leader)
    world.follow(leader, own)
    world.checkpoint()
    before, source, target = contents(world.machine), outgoing(leader), incoming(world)
    offer = source.offer()
    assert offer is not None
    fields, data = lies(leader)[lie]
    assert target.begin([1, offer[1], repacked(offer, **fields)], "liar")
    while (wanted := target.wanted()) is not None:
        name, offset, size = wanted
        answers: list[bytes | None] = [data[offset : offset + size]]
        if "-000000000900" not in name:
            answers.clear()
            source.read("reader", offer[1], name, offset, size, answers.append)
        target.take(name, offset, answers[0])
    if target.complete:
        with pytest.raises(StorageError):
            for _ in target.finish(loader(world)):
                pass
    else:
        assert own and "commits" in lie and target.failure is not None
    assert world.checkpointer.index == own
    target.abandon()
    again = world.reopen()
    assert contents(again.machine) == before
    assert not [name for name in world.disk.names if name.endswith(".tmp")]
    transfer(leader, again)
    equal(again.machine, leader.machine)
    equal(again.reopen().machine, leader.machine)


@pytest.mark.parametrize(
    "offer", [None, [], "offer", [1], [1, 2, 3], [1, "", b""], [1, "x", b"VISORMAN"], [None] * 3]
)
def test_what_is_no_offer_is_refused(offer: Any) -> None:
    with pytest.raises(OfferError):
        incoming(World()).begin(offer, "leader")


def test_offers_and_manifests_of_a_later_version_are_refused_by_name() -> None:
    leader = leader_of(30)
    offer = outgoing(leader).offer()
    assert offer is not None
    target = incoming(member(leader))
    with pytest.raises(FormatError):
        target.begin([2, "x", {}], "leader")
    with pytest.raises(FormatError):
        target.begin([1, offer[1], repacked(offer, format=99)], "leader")


def test_a_damaged_note_only_costs_what_was_fetched() -> None:
    leader = leader_of(100)
    world = member(leader)
    source, target = outgoing(leader), incoming(world)
    target.begin(source.offer(), "leader")
    fetch(source, target, most=5)
    whole = world.disk.read("data/incoming")
    for position in range(0, len(whole), 5):
        disk = world.disk.copy()
        disk.flip("data/incoming", position * 8)
        assert pending.read(disk, "data") is None
        again = World(disk)
        again.checkpointer.sweep()
        assert [name for name in files(disk) if "/history/" in name or name.endswith("incoming")] == []
    disk = world.disk.copy()
    disk.flip("data/incoming", 100)
    again = World(disk)
    catch_up(leader, again)
    equal(again.machine, leader.machine)


def test_check_knows_what_is_being_fetched() -> None:
    leader = leader_of(100)
    world = member(leader)
    source, target = outgoing(leader), incoming(world)
    target.begin(source.offer(), "leader")
    fetch(source, target, most=2)
    world.directory.close()

    class NoLog:
        first = last = segments = size = torn = 0
        vote: Any = dataclasses.make_dataclass("Vote", ["term"])(0)

    report = check(world.disk, "data", lambda disk, directory: NoLog())
    assert any("not all here yet" in what for _, what in report.files)


def test_a_transfer_that_is_given_up_leaves_nothing() -> None:
    leader = leader_of(100)
    world = member(leader)
    before = files(world.disk)
    target: Incoming = incoming(world)
    target.begin(outgoing(leader).offer(), "leader")
    fetch(outgoing(leader), target, most=5)
    target.abandon()
    assert files(world.disk) == before
    assert not target.active and target.index == 0


# -- manifests --------------------------------------------------------------------------------------------


def test_a_manifest_from_before_clusters_tells_no_members() -> None:
    world = leader_of(40)
    old = msgpack.unpackb(world.disk.read("data/manifest")[8:-4], strict_map_key=False)
    del old["config"]
    data = b"VISORMAN" + msgpack.packb({**old, "format": 1})
    world.disk.put("data/manifest", data + zlib.crc32(data).to_bytes(4, "little"))
    again = world.reopen()
    assert again.checkpointer.config is None
    equal(again.machine, world.machine)
    again.writer.write()
    again.checkpoint()
    assert again.reopen().checkpointer.config == b"members at 41"


def test_the_members_are_those_of_the_checkpoints_index() -> None:
    world = leader_of(40)
    world.writer.write(30)
    world.checkpoint(between=lambda: world.writer.write(2))
    assert world.checkpointer.config == b"members at 70"
    assert world.reopen().checkpointer.config == b"members at 70"
