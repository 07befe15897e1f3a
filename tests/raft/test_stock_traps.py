"""Traps of stock pysyncobj 0.3.17, and the same schedules on our engine: what replicates wrongly.

The numbers are those of the list that this project started from. Every trap has a test on stock that shows it and one
on ours that does not; `test_stock_traps_more` has the rest.

1. acknowledged writes are lost after one leader crash, disks and network healthy
2. a crash between writing a checkpoint and trimming the log loses and diverges
3. a replica with a conflicting suffix never catches up; an old message empties a log that was just trimmed
4. an acknowledgement to a leader of an earlier term counts
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.raft.ours import OurMember
from tests.raft.stock import StockMember
from tests.raft.trap_world import LAN, World

SEEDS = range(max(1, int(3 * float(os.environ.get("VISOR_SOAK", "1")))))


# -- 1: acknowledged writes are lost after one crash ------------------------------------------------------------


def crash_when_a_committed_entry_is_on_a_minority(world: World, steps: int = 1600) -> bool:
    """Write at the leader; end it when what it calls committed is on it alone, at the latest half way."""
    died: list[str] = []
    minority = False

    def end(leader: str) -> None:
        died.append(leader)
        world.kill(leader, power=True)

    def look() -> None:
        nonlocal minority
        for member in list(world.up.values()):
            if died or not member.leads or not world.acknowledged:
                continue
            term = member.term_at(member.commit)
            if sum(other.term_at(member.commit) == term for other in world.up.values()) < 2:
                minority = True
                end(member.me)

    world.after_delivery = look
    for step in range(steps):
        if not died and world.has_leader():
            if step > steps / 2 and world.acknowledged:
                end(world.leader.me)
            else:
                world.write(world.rng.choice((0, 1, 3, 6)), size=12_000)
        world.step()
    world.after_delivery = lambda: None
    world.elect()
    world.run(2.0)
    return minority


@pytest.mark.parametrize("batch", [True, False])
def test_1_stock_loses_acknowledged_writes_when_a_leader_crashes(batch: bool) -> None:
    lost = []
    for seed in SEEDS:
        world = World(seed, StockMember, batch=batch)
        assert crash_when_a_committed_entry_is_on_a_minority(world)
        lost.append(len(world.lost()))
    assert any(lost), lost


@pytest.mark.parametrize("seed", SEEDS)
def test_1_ours_loses_none(seed: int) -> None:
    world = World(seed, OurMember)
    assert not crash_when_a_committed_entry_is_on_a_minority(world)
    assert len(world.acknowledged) > 5
    assert world.lost() == []
    assert not world.diverged()


# -- 2: a crash between writing a checkpoint and trimming the log ------------------------------------------------


def crash_in_compaction(world: World) -> tuple[str, str]:
    """End a replica with its checkpoint written and its log not trimmed; return the leader then, and the replica.

    The third member hears nothing meanwhile, so what is acknowledged is on leader and replica.
    """
    leader = world.elect()
    replica, third = (me for me in world.ids if me != leader.me)
    world.isolate(third)

    def write() -> bool:
        world.write(3)
        return world.up[replica].half_compacted

    assert world.run(5.0, write)
    world.kill(replica, in_flight=True)
    world.run(0.2)  # acknowledgements that it had sent arrive
    return leader.me, replica


def after_a_crash_in_compaction(world: World) -> None:
    leader, replica = crash_in_compaction(world)
    assert world.acknowledged
    world.heal()
    world.isolate(leader)
    world.start(replica)
    world.elect("".join(world.up).replace(leader, ""))
    world.write(20)
    world.run(1.0)


def test_2_stock_loses_and_diverges_after_a_crash_in_compaction(tmp_path: Path) -> None:
    world = World(1, StockMember, folder=tmp_path, compact=40, delays=LAN[:3])
    after_a_crash_in_compaction(world)
    assert world.lost()
    world.heal()
    world.run(3.0)
    assert world.diverged()


@pytest.mark.parametrize("seed", SEEDS)
def test_2_ours_goes_on_with_what_it_had(seed: int) -> None:
    world = World(seed, OurMember, compact=40, delays=LAN[:3])
    after_a_crash_in_compaction(world)
    assert world.lost() == []
    world.heal()
    assert world.run(5.0, world.all_equal)
    assert len(world.leader.applied) >= len(world.acknowledged) > 30


# -- 3: a replica with a conflicting suffix ----------------------------------------------------------------------


def leave_a_conflicting_suffix(world: World, entries: int) -> None:
    """Cut a leader off, let it gather entries that will never be committed, and others be committed without it."""
    old = world.elect()
    world.write(10, size=1000)
    world.run(0.5)
    world.isolate(old.me)
    common = old.last
    assert len(world.write(entries, size=1000, at=old)) == entries
    world.elect("".join(me for me in world.ids if me != old.me))
    for _ in range(40):
        world.write(5, size=1000)
        world.run(0.02)
    assert world.run(1.0, lambda: len(world.acknowledged) == 210)
    assert old.last == common + entries
    world.heal()


def test_3_stock_leaves_a_replica_behind_for_ever_in_a_healthy_network() -> None:
    for seed in range(2):
        world = World(seed, StockMember, delays=(0.03, 0.04))
        leave_a_conflicting_suffix(world, 100)
        assert not world.run(15.0, world.all_equal)


@pytest.mark.parametrize("seed", SEEDS)
def test_3_ours_catches_up_at_once(seed: int) -> None:
    world = World(seed, OurMember, delays=(0.03, 0.04))
    leave_a_conflicting_suffix(world, 100)
    assert world.run(0.5, world.all_equal)
    assert world.lost() == []


def hear_again_what_was_sent_before_a_checkpoint(world: World) -> str:
    """Give a replica that has just written its checkpoint all that the leader sent it so far, once more."""
    leader = world.elect()
    world.sent.clear()
    replica = next(me for me in world.ids if me != leader.me)

    def write() -> bool:
        world.write(2)
        return world.up[replica].half_compacted

    assert world.run(5.0, write)
    before = len(world.up[replica].applied)
    for source, target, raw in list(world.sent):
        if (source, target) == (leader.me, replica):
            world.up[replica].receive(source, raw)
            world.up[replica].tick()
    assert len(world.up[replica].applied) >= before
    return replica


def test_3_stock_can_empty_its_log_and_then_fails_for_ever(tmp_path: Path) -> None:
    world = World(1, StockMember, folder=tmp_path, compact=40, keep=True, delays=LAN[:3])
    with pytest.raises(IndexError):
        hear_again_what_was_sent_before_a_checkpoint(world)
    leader = world.leader
    empty = world.up[next(me for me in world.ids if me != leader.me)]
    failures, applied = 0, len(empty.applied)
    for _ in range(1000):
        try:
            world.step()
        except IndexError:
            failures += 1
    assert failures > 50, "whatever it hears, and whenever it would stand for election"
    assert len(empty.applied) == applied < len(leader.applied)


def test_3_ours_takes_old_messages_for_what_they_are() -> None:
    world = World(1, OurMember, compact=40, keep=True, delays=LAN[:3])
    hear_again_what_was_sent_before_a_checkpoint(world)
    assert world.run(5.0, world.all_equal)
    assert world.lost() == []


# -- 4: an acknowledgement to the leader of an earlier term ------------------------------------------------------


def acknowledge_late(world: World) -> list[bytes]:
    """Five members; what b acknowledged to a in one term arrives when a leads again in a later one.

    By then b has lost those entries to another leader, and a has other ones at their indices, which only e has besides.
    Returns those.
    """
    a, b = world.lead("a"), "b"
    world.held.add((b, "a"))
    world.isolate("a", b)
    world.write(40, at=a)
    world.run(0.2)
    assert world.up[b].last == a.last
    second = world.elect("cde")
    world.write(3, at=second)
    assert world.run(2.0, lambda: len(world.acknowledged) == 3)
    world.cut.clear()
    assert world.run(5.0, lambda: a.last == second.last == world.up[b].last and a.commit == a.last)
    others = [me for me in "cde" if me != second.me]
    world.isolate(second.me)
    world.isolate(b)
    world.lead("a")
    world.isolate(others[0])
    late = world.write(10, at=a)
    world.cut.discard((b, "a"))
    world.held.clear()
    world.run(0.5)
    world.kill("a", power=True)
    world.heal()
    world.isolate(others[1])
    world.elect("b" + second.me + others[0])
    world.run(2.0)
    return late


def test_4_stock_counts_acknowledgements_to_an_earlier_term() -> None:
    world = World(1, StockMember, "abcde", delays=LAN[:3])
    late = acknowledge_late(world)
    assert set(late) <= set(world.acknowledged)
    assert set(late) <= set(world.lost())


@pytest.mark.parametrize("seed", SEEDS)
def test_4_ours_counts_what_was_said_in_its_own_term(seed: int) -> None:
    world = World(seed, OurMember, "abcde", delays=LAN[:3])
    late = acknowledge_late(world)
    assert not set(late) & set(world.acknowledged)
    assert world.lost() == []
