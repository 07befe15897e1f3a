"""Checkpoints of the real machine on a disk that fails: the last one stays, damage is found."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from tests.storage.fake_disk import FakeDisk, PowerCut
from tests.storage.storage_world import Later, World, contents, files, same
from visor.protocol.verbs import DELETE, GRANT, SET
from visord.state.command import encode
from visord.state.sessions import MAX_AGE
from visord.state.tables import export_tables
from visord.state.trim import trim
from visord.storage import manifest as manifests
from visord.storage.directory import DataDirectory
from visord.storage.errors import DamageError, FormatError, IdentityError


def test_a_restart_reads_back_what_checkpoints_wrote() -> None:
    world = World()
    for _ in range(12):
        world.writer.write(30)
        world.checkpoint()
        again = world.restart()
        same(again.machine, world.machine)
        assert again.checkpointer.index == world.machine.index
    assert len([name for name in files(world.disk) if "commits-" in name]) >= 3


def test_a_checkpoint_costs_what_changed() -> None:
    world = World()
    world.writer.write(600)
    world.checkpoint()
    before = world.checkpointer.written
    world.writer.write(1)
    world.checkpoint()
    assert world.checkpointer.written - before < 600
    assert world.checkpoint() == 0, "nothing changed, nothing is written"


def test_without_new_revs_index_and_tables_are_kept() -> None:
    world = World()
    world.writer.write(3)
    world.checkpoint()
    index, rev = world.machine.index, world.machine.store.rev
    world.machine.apply(index + 1, 2, b"\x01")
    world.checkpoint()
    again = world.restart()
    assert (again.machine.index, again.machine.term, again.machine.store.rev) == (index + 1, 2, rev)


def test_the_loop_goes_on_between_steps_and_the_checkpoint_is_of_its_first_step() -> None:
    world = World()
    world.writer.write(400)
    world.writer.apply([SET, world.machine.index + 1, 0, "/large", bytes(900_000)])
    world.writer.write(400)
    index, before = world.machine.index, contents(world.machine)
    steps = world.checkpoint(between=world.writer.write)
    assert steps >= 3
    again = world.restart()
    assert again.machine.index == index
    assert contents(again.machine) == before
    world.checkpoint()
    same(world.restart().machine, world.machine)


def test_a_new_node_has_no_checkpoint() -> None:
    world = World()
    assert world.checkpointer.index == 0
    assert world.machine.store.rev == 0
    assert world.checkpoint() == 0


def test_retention_drops_dead_files_for_a_base() -> None:
    world = World()
    for round_ in range(20):
        world.writer.write(60)
        if round_ % 3 == 2:
            world.writer.retain(world.machine.store.rev - 40)
        world.checkpoint()
        while trim(world.machine.store, 50):
            pass
        same(world.restart().machine, world.machine)
    names = files(world.disk)
    assert len([name for name in names if "/base-" in name]) == 1
    assert sum(len(world.disk.read(name)) for name in names if "history" in name) < 30_000


def test_a_floor_beyond_all_that_is_on_disk() -> None:
    world = World()
    world.writer.write(30)
    world.checkpoint()
    world.writer.write(200)
    world.writer.retain(world.machine.store.rev - 5)
    while trim(world.machine.store, 50):
        pass
    world.checkpoint()
    same(world.restart().machine, world.machine)


def test_everything_deleted_and_below_the_floor() -> None:
    world = World()
    world.writer.apply([SET, 1, 0, "/a", b"x"])
    world.writer.apply([DELETE, 2, 0, "/a"])
    world.writer.retain(2)
    while trim(world.machine.store, 50):
        pass
    world.checkpoint()
    again = world.restart()
    same(again.machine, world.machine)
    assert again.machine.store.rev == again.machine.store.floor == 2


def scenario(world: World) -> None:
    """Checkpoints of all kinds: the first, appending, a new file, a base, files dropped."""
    for round_ in range(7):
        world.writer.write(40)
        if round_ in (3, 5):
            world.writer.retain(world.machine.store.rev - 10)
        world.checkpoint()
        while trim(world.machine.store, 50):
            pass


def history_of(scenario_: Callable[[World], None]) -> dict[int, Any]:
    """Run a scenario without faults; return the contents after each checkpoint, by log index."""
    world = World()
    after: dict[int, Any] = {0: contents(world.machine)}
    publish = world.checkpointer._take_over

    def take_over(new: Any, encoded: bytes) -> None:
        publish(new, encoded)
        after[new.index] = contents(world.machine)

    world.checkpointer._take_over = take_over  # type: ignore[method-assign]
    scenario_(world)
    assert world.checkpointer.manifest.base is not None
    assert world.checkpointer.manifest.number > 5
    return after


@pytest.mark.soak
def test_a_power_cut_at_every_call_leaves_a_checkpoint_whole() -> None:
    good = history_of(scenario)
    calls = 0
    while True:
        calls += 1
        finished = 0
        disk = FakeDisk(random.Random(calls))
        try:
            world = World(disk)
            disk.crash_at = disk.calls + calls
            scenario(world)
        except PowerCut:
            finished = world.checkpointer.index
            disk = disk.after_crash()
            again = World(disk)
            assert again.machine.index >= finished
            assert contents(again.machine) == good[again.machine.index]
            again.writer.write(20)
            again.checkpoint()
            same(again.restart().machine, again.machine)
            continue
        break
    assert calls > 60


def test_disk_full_at_every_allocation_keeps_the_last_checkpoint_and_passes() -> None:
    for room in range(0, 9000, 150):
        world = World()
        world.writer.write(30)
        world.checkpoint()
        index = world.checkpointer.index
        world.writer.write(100)
        world.disk.capacity = world.disk.used() + room
        failed = False
        try:
            world.checkpoint()
        except OSError:
            failed = True
            assert world.checkpointer.index == index
            assert world.disk.used() <= world.disk.capacity - room, "a failed checkpoint gives its space back"
        again = World(world.disk.copy())
        assert again.machine.index == (index if failed else world.machine.index)
        world.disk.capacity = 1 << 30
        world.writer.write(5)
        world.checkpoint()
        same(world.restart().machine, world.machine)


def test_a_failing_disk_during_a_checkpoint() -> None:
    for broken in ("commits-", "manifest", "data/", "history/"):
        world = World()
        world.writer.write(30)
        world.checkpoint()
        world.writer.write(30)
        world.disk.broken_sync = broken
        with pytest.raises(OSError):
            world.checkpoint()
        world.disk.broken_sync = None
        found = World(world.disk.copy()).machine.index
        assert found in (world.checkpointer.index, world.machine.index)
        world.writer.write(30)
        world.checkpoint()
        same(world.restart().machine, world.machine)


def test_an_abandoned_checkpoint_leaves_nothing_behind() -> None:
    world = World()
    world.writer.write(30)
    world.checkpoint()
    before = files(world.disk)
    world.writer.write(900)
    steps = world.checkpointer.steps(world.machine)
    for _ in range(3):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert files(world.disk) != before
    again = world.restart()
    again.checkpointer.sweep()
    assert files(world.disk) == before
    again.writer.write(10)
    again.checkpoint()
    same(again.restart().machine, again.machine)


def test_a_slow_worker_holds_the_checkpoint_not_the_loop() -> None:
    later = Later()
    world = World(background=later)
    world.writer.write(30)
    steps = world.checkpointer.steps(world.machine)
    for _ in range(50):
        next(steps)
    assert world.checkpointer.index == 0
    world.writer.write(10)
    for _ in steps:
        later.run()
    assert world.checkpointer.index == 30


@pytest.mark.soak
def test_a_flipped_bit_anywhere_is_found_or_harmless() -> None:
    world = World()
    for round_ in range(4):
        world.writer.write(15)
        if round_ == 2:
            world.writer.retain(world.machine.store.rev - 3)
            trim(world.machine.store, 1000)
            # all that is on disk lies below the floor: a base is written
            world.checkpointer.manifest = world.checkpointer.manifest.__class__(world.directory.cluster)
        world.checkpoint()
    world.directory.close()
    assert any("base-" in name for name in files(world.disk))
    expected = contents(World(world.disk.copy()).machine)
    refused = 0
    for path in files(world.disk):
        for position in range(len(world.disk.read(path))):
            disk = world.disk.copy()
            disk.flip(path, position * 8 + position % 8)
            try:
                again = World(disk)
            except DamageError as error:
                refused += 1
                assert error.path == path
                assert error.advice
                continue
            except FormatError:
                refused += 1
                continue
            assert contents(again.machine) == expected
    assert refused > 4000


def test_a_file_cut_anywhere_is_found() -> None:
    world = World()
    world.writer.write(40)
    world.checkpoint()
    for path in files(world.disk):
        whole = world.disk.read(path)
        for size in range(len(whole)):
            disk = world.disk.copy()
            disk.put(path, whole[:size])
            with pytest.raises(DamageError):
                World(disk)
        disk = world.disk.copy()
        disk.unlink(path)
        if path.endswith(manifests.NAME):
            continue  # then there is no checkpoint: the log must reach back, which the engine checks
        with pytest.raises(DamageError):
            World(disk)


def test_bytes_behind_the_manifest_are_nobodys() -> None:
    world = World()
    world.writer.write(10)
    world.checkpoint()
    path = next(name for name in files(world.disk) if "commits-" in name)
    world.disk.put(path, world.disk.read(path) + b"half a block that was being written")
    again = world.restart()
    same(again.machine, world.machine)
    again.writer.write(10)
    again.checkpoint()
    same(again.restart().machine, again.machine)


def test_blocks_swapped_between_files_are_found() -> None:
    world = World()
    for _ in range(6):
        world.writer.write(30)
        world.checkpoint()
    names = [name for name in files(world.disk) if "commits-" in name]
    assert len(names) >= 2
    disk = world.disk.copy()
    disk.put(names[0], world.disk.read(names[1]))
    with pytest.raises(DamageError):
        World(disk)


def test_a_checkpoint_of_another_cluster_is_refused() -> None:
    one, two = World(), World(FakeDisk(random.Random(9)))
    two.directory.close()
    one.writer.write(3)
    one.checkpoint()
    two.disk.put("data/identity", b"")
    two.disk.unlink("data/identity")
    two.disk.names = {}
    two.disk.directories = set()
    other = DataDirectory.open(two.disk, "data", node="a", rng=random.Random(77))
    assert other.cluster != one.directory.cluster
    other.close()
    for name in files(one.disk):
        if not name.endswith("identity"):
            two.disk.put(name, one.disk.read(name))
    with pytest.raises(IdentityError):
        World(two.disk)


def test_the_floor_may_rise_while_a_checkpoint_is_made() -> None:
    world = World()
    world.writer.write(300)
    world.checkpoint()
    world.writer.retain(world.machine.store.rev - 10)

    def between() -> None:
        world.writer.write(2)
        world.writer.retain(world.machine.store.rev - 5)

    for _ in range(4):
        world.checkpoint(between)
        while trim(world.machine.store, 50):
            pass
        world.checkpoint()
        same(world.restart().machine, world.machine)


def by(world: World, session: int, path: str, time: int = 0) -> None:
    """Write once as one of many sessions."""
    machine = world.machine
    frame = [SET, machine.index + 1, 0, path, b"value"]
    command = encode(time or 1000 + machine.index * 10, [[b"session %d" % session, "me", [frame], ""]])
    machine.apply(machine.index + 1, 1, command)


def test_sessions_that_change_or_go_between_the_steps_are_told_as_they_were() -> None:
    for seed in range(8):
        rng, world = random.Random(seed), World()
        for number in range(700):
            by(world, number, f"/d/f{number % 50}")
        for number in range(4):
            world.writer.apply([GRANT, 1000 + number, 0, 9000])
        before, index, steps = contents(world.machine), world.machine.index, 0

        def between(world: World = world, rng: random.Random = rng) -> None:
            for _ in range(30):
                by(world, rng.randrange(900), f"/d/f{rng.randrange(60)}")
            world.writer.apply([GRANT, world.machine.index + 2000, 0, 9000])
            if rng.random() < 0.05:
                by(world, 5000, "/late", world.machine.time + MAX_AGE + 1)  # all others are forgotten

        steps = world.checkpoint(between)
        assert steps > 4
        again = world.restart()
        assert again.machine.index == index
        assert contents(again.machine) == before
        world.checkpoint()
        same(world.restart().machine, world.machine)


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 64, 255, 256, 257, 512])
def test_every_session_is_in_the_checkpoint_however_many_there_are(count: int) -> None:
    world = World()
    for session in range(count):
        by(world, session, f"/f{session}")
    if not count:
        world.machine.apply(1, 1, encode(1000, [[None, "me", [[SET, 1, 0, "/f", b"value"]], ""]]))
    world.checkpoint()
    again = world.restart().machine
    assert len(again.sessions) == count
    same(again, world.machine)


def test_a_checkpoint_that_is_given_up_remembers_nothing_of_the_sessions() -> None:
    world = World(background=Later())
    for number in range(700):
        by(world, number, f"/d/f{number % 50}")
    steps = world.checkpointer.steps(world.machine)
    next(steps)
    assert world.machine.sessions._taken is not None
    steps.close()  # type: ignore[attr-defined]
    assert world.machine.sessions._taken is None


def test_a_base_is_written_while_the_floor_goes_on_rising() -> None:
    world = World()
    world.writer.write(400)
    world.checkpoint()
    world.writer.retain(world.machine.store.rev - 10)

    def between() -> None:
        world.writer.write(2)
        world.writer.retain(world.machine.store.rev - 1)

    world.checkpoint(between)
    assert world.checkpointer.manifest.base is not None
    assert world.checkpointer.manifest.base_rev < world.machine.store.floor
    while trim(world.machine.store, 50):
        pass
    world.checkpoint()
    same(world.restart().machine, world.machine)


def test_tables_in_the_manifest_as_earlier_versions_wrote_them_are_read() -> None:
    world = World()
    world.writer.write(100)
    world.checkpoint()
    old = msgpack.unpackb(world.disk.read("data/manifest")[8:-4], strict_map_key=False)
    for name in ("config", "rows"):
        del old[name]
    tables = msgpack.unpackb(msgpack.packb(export_tables(world.machine)))
    data = b"VISORMAN" + msgpack.packb({**old, "format": 1, "tables": tables})
    world.disk.put("data/manifest", data + zlib.crc32(data).to_bytes(4, "little"))
    again = world.restart()
    same(again.machine, world.machine)
    again.writer.write(20)
    again.checkpoint()
    same(again.restart().machine, again.machine)
