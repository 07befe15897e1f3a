"""No file that a checkpoint names holds what was redacted, whatever was on disk before it."""

from __future__ import annotations

import random
from typing import Any, Final

import pytest

from tests.storage.fake_disk import FakeDisk
from tests.storage.fetching_world import equal, fetch, incoming, install, member, outgoing, transfer
from tests.storage.storage_world import Later, World, contents, files, same
from visor.protocol.verbs import REDACT, SET, T_GET, TXN
from visord.state.trim import trim
from visord.storage import checkpoint

SECRET: Final = b"correct horse battery staple"


def head(world: World) -> list[int]:
    return [world.machine.index + 1, world.machine.index]


def put(world: World, path: str = "/secret", value: bytes = SECRET) -> None:
    world.writer.apply([SET, *head(world), path, value])


def redact(world: World, *more: Any) -> None:
    world.writer.apply([REDACT, *head(world), "/secret", *more])


def holds(disk: FakeDisk, secret: bytes = SECRET) -> list[str]:
    """The files that hold the secret's bytes."""
    found = []
    for name in files(disk):
        file = disk.open_read(name)
        if secret in file.pread(file.size(), 0):
            found.append(name)
        file.close()
    return found


def history_of(seed: int = 1) -> World:
    """Several history files, the secret in the first, in one between and in the last one."""
    world = World(FakeDisk(random.Random(seed)))
    for number in range(6):
        if number in (0, 2):
            put(world)
        world.writer.write(50)
        world.checkpoint()
    put(world)
    world.checkpoint()
    assert len(world.checkpointer.manifest.parts) > 4
    assert holds(world.disk)
    return world


def test_the_next_checkpoint_writes_only_files_that_may_hold_it_again() -> None:
    world = history_of()
    before = {part.name for part in world.checkpointer.manifest.parts}
    redact(world)
    world.checkpoint()
    assert holds(world.disk) == []
    after = {part.name for part in world.checkpointer.manifest.parts}
    assert len(before & after) > 1
    same(world.machine, world.restart().machine)


def test_a_few_revs_leave_the_others() -> None:
    world = history_of()
    redact(world, 1, 1)
    world.checkpoint()
    assert holds(world.disk)
    same(world.machine, world.restart().machine)


@pytest.mark.parametrize("trimmed", [False, True])
def test_below_the_floor_it_goes_as_well(trimmed: bool) -> None:
    world = history_of()
    world.writer.retain(100)
    if trimmed:
        trim(world.machine.store, 1 << 30)
    redact(world)
    world.checkpoint()
    assert holds(world.disk) == []
    again = world.restart()
    same(world.machine, again.machine)
    again.writer.write(40)
    again.checkpoint()
    same(again.machine, again.restart().machine)


def test_a_base_that_holds_it_is_written_again() -> None:
    world = history_of()
    world.writer.retain(world.machine.store.rev)
    world.checkpoint()
    assert world.checkpointer.manifest.base is not None
    put(world, value=b"new")
    world.checkpoint()
    assert holds(world.disk)
    redact(world, 1, world.machine.store.rev - 1)
    world.checkpoint()
    assert holds(world.disk) == []
    same(world.machine, world.restart().machine)


def test_a_checkpoint_that_is_being_made_is_begun_anew() -> None:
    """Whenever the redaction comes: the checkpoint has it whole, or is one of before."""
    anew = 0
    for place in range(1, 20):
        world = history_of()
        world.writer.write(100)
        steps = iter(range(1, 1000))
        world.checkpoint(lambda: redact(world) if next(steps) == place else None)  # noqa: B023
        if not world.machine.store.redacted.count:
            break  # it was made before that
        whole = world.checkpointer.manifest.redacted == 1
        assert whole == (holds(world.disk) == [])
        again = world.restart()
        assert again.machine.store.redacted.count == whole
        again.follow(world)
        again.checkpoint()
        assert holds(again.disk) == []
        same(world.machine, again.machine)
        anew += whole
    assert anew


def test_what_fails_is_made_up_for_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    world = history_of()
    redact(world)
    with monkeypatch.context() as patched:

        def full(*_: Any) -> None:
            raise OSError(28, "full")

        patched.setattr(checkpoint.manifests, "write", full)
        with pytest.raises(OSError, match="full"):
            world.checkpoint()
    world.checkpoint()
    assert holds(world.disk) == []
    same(world.machine, world.restart().machine)


def test_a_crash_before_the_checkpoint_leaves_it_to_the_log() -> None:
    world = history_of()
    redact(world)
    before = contents(world.machine)
    again = World(world.disk.after_kill())
    again.follow(world)
    again.checkpoint()
    assert holds(again.disk) == []
    assert contents(again.machine) == before


def test_outcomes_of_transactions_hold_it_no_more() -> None:
    world = World()
    put(world)
    world.writer.apply([TXN, *head(world), [], [[T_GET, "/secret"], [0, "/b", b""]], []])
    world.checkpoint()
    assert any("tables" in name for name in holds(world.disk))
    redact(world)
    world.checkpoint()
    assert holds(world.disk) == []


def test_what_an_unfinished_checkpoint_left_behind_a_file_is_cut_off() -> None:
    """Nothing is appended there any more once another member's files stand behind it."""
    world = history_of()
    put(world, "/other", b"known")
    world.checkpoint()
    part = world.checkpointer.manifest.parts[-2]
    file = world.disk.open(f"data/history/{part.name}")
    file.pwrite(SECRET, file.size())
    file.close()
    redact(world)
    world.checkpoint()
    assert holds(world.disk) == [f"data/history/{part.name}"]
    assert world.checkpointer.cleaner()()
    assert holds(world.disk) == []
    same(world.machine, world.restart().machine)


# -- between members ----------------------------------------------------------------------------------------------


def test_a_member_that_was_away_takes_over_all_files() -> None:
    leader = history_of()
    away = member(leader)
    transfer(leader, away)
    assert holds(away.disk)
    leader.writer.write(20)
    redact(leader)
    leader.writer.write(20)
    leader.checkpoint()
    transfer(leader, away)
    equal(leader.machine, away.machine)
    assert holds(away.disk) == []
    same(away.machine, away.restart().machine)


def test_a_member_whose_newest_commit_was_redacted_is_no_stranger() -> None:
    leader = history_of()
    away = member(leader)
    transfer(leader, away)
    assert away.machine.store.version("/secret", away.machine.store.rev)[0] == away.machine.store.rev  # type: ignore[index]
    redact(leader)
    leader.checkpoint()
    leader.writer.write(10)
    leader.checkpoint()
    transfer(leader, away)
    equal(leader.machine, away.machine)


def test_a_member_that_has_redacted_but_made_no_checkpoint_takes_over_one() -> None:
    leader = history_of()
    away = member(leader)
    transfer(leader, away)
    redact(leader)
    away.follow(leader)
    leader.writer.write(20)
    leader.checkpoint()
    transfer(leader, away)
    equal(leader.machine, away.machine)
    assert holds(away.disk) == []


def test_a_transfer_under_way_is_begun_anew() -> None:
    leader = history_of()
    away = member(leader)
    source, target = outgoing(leader), incoming(away)
    assert target.begin(source.offer(), "leader")
    fetch(source, target, most=8)
    assert holds(away.disk)
    redact(leader)
    source.release("values were redacted")
    leader.checkpoint()
    assert holds(leader.disk) == []
    fetch(source, target)
    assert target.gone
    assert target.begin(source.offer(), "leader")
    fetch(source, target)
    install(away, target)
    equal(leader.machine, away.machine)
    assert holds(away.disk) == []


def test_what_was_fetched_can_be_thrown_away() -> None:
    leader = history_of()
    away = member(leader)
    source, target = outgoing(leader), incoming(away)
    assert target.begin(source.offer(), "leader")
    fetch(source, target, most=8)
    again = World(away.disk.after_kill(), cluster=leader.directory.cluster)
    kept = incoming(again)
    again.checkpointer.sweep()
    assert holds(again.disk)
    kept.abandon()
    assert holds(again.disk) == []


def test_jobs_under_way_write_nothing_more_into_a_clean_directory() -> None:
    leader = history_of()
    background = Later()
    away = World(FakeDisk(random.Random(9)), cluster=leader.directory.cluster)
    source, target = outgoing(leader), incoming(away, background=background)
    assert target.begin(source.offer(), "leader")
    background.run(99)
    fetch(source, target, most=8)
    target.abandon()
    background.run(99)
    assert holds(away.disk) == []
