"""Traps of stock pysyncobj 0.3.17, and the same schedules on our engine: disk, commands, elections, time.

5. nothing is synced, nothing is checked: power loss and a flipped bit go through
6. a command that raises is applied again for ever, a callback that raises applies its entry twice
7. an entry of certain sizes is sent in pieces that are put together wrongly
8. everything is a pickle: whoever reaches a member runs code in all of them
9. a member that was cut off deposes a healthy leader; a deposed leader goes on answering
10. a write waits for the tick
11. of a write that is called failed nobody knows whether it happened
12. the order of what is sent depends on the process's hash seed
"""

from __future__ import annotations

import mmap
import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pysyncobj.journal
import pytest
from pysyncobj import FAIL_REASON
from pysyncobj.node import Node

from tests.raft.ours import OurMember
from tests.raft.stock import StockMember
from tests.raft.trap_world import LAN, World
from visord.peers.frames import decode
from visord.storage.errors import DamageError

FAST = LAN[:3]


# -- 5: the disk -------------------------------------------------------------------------------------------------


def lose_power_everywhere(world: World) -> None:
    """Acknowledge writes, then take the power from all members at once, and give it back."""
    world.elect()
    for _ in range(30):
        world.write(2)
        world.run(0.02)
    assert world.run(1.0, lambda: len(world.acknowledged) == 60)
    for me in world.ids:
        world.kill(me, power=True)
    for me in world.ids:
        world.start(me)
    world.elect()
    world.run(1.0)


def test_5_stock_acknowledges_what_no_sync_has_put_on_a_disk(tmp_path: Path, monkeypatch: Any) -> None:
    syncs: Counter[str] = Counter()

    class Watched(mmap.mmap):
        def flush(self, *arguments: Any) -> None:
            syncs["mmap"] += 1

    for name in ("fsync", "fdatasync", "sync"):
        monkeypatch.setattr(os, name, lambda *_, name=name: syncs.update([name]))
    monkeypatch.setattr(pysyncobj.journal.mmap, "mmap", Watched)
    world = World(1, StockMember, folder=tmp_path, delays=FAST)
    lose_power_everywhere(world)
    assert not syncs
    assert len(world.lost()) == 60


def test_5_ours_has_on_disks_what_it_acknowledged() -> None:
    world = World(1, OurMember, delays=FAST)
    lose_power_everywhere(world)
    assert world.lost() == []


def write_and_stop(world: World) -> str:
    """Acknowledge writes on all members, then kill a replica, and return it."""
    leader = world.elect()
    world.write(20, size=1000)
    assert world.run(2.0, lambda: all(len(one.applied) == 20 for one in world.up.values()))
    replica = next(me for me in world.ids if me != leader.me)
    world.kill(replica)
    return replica


def test_5_stock_does_not_see_a_flipped_bit(tmp_path: Path) -> None:
    world = World(1, StockMember, folder=tmp_path, delays=FAST)
    replica = write_and_stop(world)
    journal = tmp_path / replica / "journal"
    data = bytearray(journal.read_bytes())
    data[data.index(b"7:" + bytes(100)) + 50] ^= 1
    journal.write_bytes(data)
    world.start(replica)
    world.run(2.0)
    assert len(world.up[replica].applied) == 20
    assert world.diverged()


def test_5_ours_refuses_to_start_on_it() -> None:
    world = World(1, OurMember, delays=FAST)
    replica = write_and_stop(world)
    disk = world.disks[replica].disk
    for name in disk.listdir("d"):
        path = f"d/{name}"
        at = disk.read(path).find(b"7:" + bytes(100))
        if at >= 0:
            disk.flip(path, (at + 50) * 8)
            break
    else:
        pytest.fail("the command is in no file")
    with pytest.raises(DamageError, match="d/"):
        world.start(replica)


def test_5_stock_goes_on_empty_with_a_damaged_checkpoint(tmp_path: Path) -> None:
    """Ours refuses to start on one: `tests/storage/test_checkpoint.py`."""
    world = World(1, StockMember, folder=tmp_path, compact=40, delays=FAST)
    leader = world.elect()
    replica = next(me for me in world.ids if me != leader.me)
    for _ in range(60):
        world.write(1)
        world.run(0.02)
    dump = tmp_path / replica / "dump"
    assert dump.exists() and not world.up[replica].half_compacted
    world.kill(replica)
    dump.write_bytes(dump.read_bytes()[:-20])
    world.start(replica)
    world.run(2.0)
    assert len(world.up[replica].applied) < 30, "what only the checkpoint held is gone, and nobody is told"
    assert len(world.leader.applied) == 60


# -- 6: what raises ----------------------------------------------------------------------------------------------


class PoisonError(Exception):
    """What a command, or a callback, raises."""


def calm(world: World, seconds: float) -> Counter[str]:
    """Let time pass as pysyncobj's own thread does: what a tick raises is counted, and the next one comes."""
    raised: Counter[str] = Counter()

    def guarded(me: str, do: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            try:
                do(*arguments)
            except PoisonError:
                raised[me] += 1

        return run

    for member in world.up.values():
        kind: Any = type(member)
        member.tick = guarded(member.me, kind.tick.__get__(member))  # type: ignore[method-assign]
        member.receive = guarded(member.me, kind.receive.__get__(member))  # type: ignore[method-assign]
    world.run(seconds)
    return raised


def test_6_stock_applies_a_command_that_raises_again_and_again() -> None:
    calls: Counter[int] = Counter()

    def poisonous(module: Any) -> Any:
        class Poisonous(module.SyncObj):  # type: ignore[misc, name-defined]
            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                self.applied: list[bytes] = []

            @module.replicated  # type: ignore[misc]
            def put(self, command: bytes) -> None:
                calls[id(self)] += 1
                raise PoisonError

        return Poisonous

    world = World(1, StockMember, delays=FAST, machine=poisonous)
    world.elect()
    world.write(1)
    raised = calm(world, 6.0)
    assert len(calls) == len(raised) == 3
    assert min(calls.values()) > 100
    world.write(1)
    calm(world, 1.0)
    assert world.acknowledged == []


def test_6_ours_stops_at_the_first_one() -> None:
    calls: list[bytes] = []

    def poisonous(command: bytes) -> None:
        calls.append(command)
        raise PoisonError

    world = World(1, OurMember, delays=FAST, apply=poisonous)
    leader = world.elect()
    world.write(1)
    raised = calm(world, 1.0)
    assert len(calls) <= 3, "once a member at most: the state machine is total, so this is a defect"
    assert set(raised.values()) <= {1}
    assert isinstance(leader, OurMember) and isinstance(leader.engine.failure, PoisonError)
    assert leader.engine.propose(b"\0more") is None


def raise_in_a_callback(world: World) -> list[int]:
    """A client's callback raises, once; return how often each member has applied the command."""
    raised: list[bool] = []

    def callback() -> None:
        if not raised:
            raised.append(True)
            raise PoisonError

    leader = world.elect()
    assert leader.propose(b"once", callback)
    calm(world, 1.0)
    assert raised
    return sorted(member.applied.count(b"once") for member in world.up.values())


def test_6_stock_applies_an_entry_twice_when_its_callback_raises() -> None:
    assert raise_in_a_callback(World(1, StockMember, delays=FAST)) == [1, 1, 2]


def test_6_ours_applies_it_once() -> None:
    assert raise_in_a_callback(World(1, OurMember, delays=FAST)) == [1, 1, 1]


# -- 7: sizes ----------------------------------------------------------------------------------------------------


def write_an_entry_of(world: World, bytes_in_log: int) -> None:
    leader = world.elect()
    before = leader.last
    world.write(1, size=1000)
    world.run(0.5)
    assert world.acknowledged and leader.last == before + 1
    overhead = entry_bytes(leader) - 1000
    world.write(1, size=bytes_in_log - overhead)
    world.run(0.001)
    world.write(3, size=10)


def entry_bytes(member: Any) -> int:
    """The size of the last entry's command, as the log holds it."""
    if isinstance(member, OurMember):
        return len(member.log[-1][0])
    return len(member.node._SyncObj__raftLog[-1][0])


BATCH = 1 << 16


def test_7_stock_raises_when_it_gets_an_entry_of_a_certain_size() -> None:
    world = World(1, StockMember, delays=FAST)
    # Sent in three pieces; the second is called the last, because only the command was measured and not its wrapping.
    with pytest.raises((pickle.UnpicklingError, EOFError)):
        write_an_entry_of(world, 2 * BATCH)
        world.run(1.0)


@pytest.mark.parametrize("size", [BATCH - 1, BATCH, 2 * BATCH - 30, 2 * BATCH, 2 * BATCH + 30, 4 * BATCH])
def test_7_ours_sends_all_sizes(size: int) -> None:
    world = World(1, OurMember, delays=FAST)
    write_an_entry_of(world, size)
    assert world.run(2.0, lambda: len(world.acknowledged) == 5 and world.all_equal())


# -- 8: pickles --------------------------------------------------------------------------------------------------

ran: list[str] = []


def run_code(what: str) -> None:
    ran.append(what)


class Evil:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return run_code, ("somebody else's code",)


EVIL = pickle.dumps(Evil())


def test_8_stock_runs_what_a_peer_sends() -> None:
    world = World(1, StockMember, delays=FAST)
    leader = world.elect()
    ran.clear()
    message = {"type": "apply_command", "command": b"\0" + EVIL}
    with pytest.raises(KeyError):  # what came out of the pickle is no command: but it ran
        leader.receive(next(me for me in world.ids if me != leader.me), pickle.dumps(message))
        world.run(1.0)
    assert ran


def test_8_ours_runs_nothing() -> None:
    world = World(1, OurMember, delays=FAST)
    leader = world.elect()
    ran.clear()
    assert leader.propose(EVIL, lambda: None)
    assert world.run(1.0, lambda: all(one.applied == [EVIL] for one in world.up.values()))
    with pytest.raises(ValueError, match="msgpack"):
        decode(EVIL)
    assert ran == []


# -- 9: elections ------------------------------------------------------------------------------------------------


def cut_a_replica_off_for_a_while(world: World) -> tuple[bool, bool]:
    """Return whether the leader, and whether the term, changed after the replica came back."""
    leader = world.elect()
    world.write(5)
    world.run(1.0)
    term = leader.term
    world.isolate(next(me for me in world.ids if me != leader.me))
    world.run(6.0)
    assert leader.leads and leader.term == term
    world.heal()
    stayed = not world.run(3.0, lambda: not leader.leads)
    return not stayed, world.elect().term != term


def test_9_stock_deposes_a_healthy_leader() -> None:
    assert cut_a_replica_off_for_a_while(World(1, StockMember, delays=FAST)) == (True, True)


def test_9_ours_lets_it_lead() -> None:
    assert cut_a_replica_off_for_a_while(World(1, OurMember, delays=FAST)) == (False, False)


def depose_in_silence(world: World, seconds: float) -> Any:
    """Cut a leader off, and let the others go on without it."""
    old = world.elect()
    world.write(5)
    world.run(1.0)
    world.isolate(old.me)
    new = world.elect("".join(me for me in world.ids if me != old.me))
    world.write(5, at=new)
    assert world.run(1.0, lambda: len(world.acknowledged) == 10)
    world.run(seconds)
    return old


def test_9_stock_goes_on_as_leader_with_old_state() -> None:
    old = depose_in_silence(World(1, StockMember, delays=FAST), 10.0)
    assert old.leads and old.node.isReady()
    assert len(old.applied) == 5


def test_9_ours_confirms_no_read_and_steps_down() -> None:
    world = World(1, OurMember, delays=FAST)
    old = world.elect()
    answers: list[int | None] = []
    assert isinstance(old, OurMember)
    world.write(5)
    world.run(1.0)
    old.engine.confirm(answers.append)
    assert world.run(1.0, lambda: bool(answers))
    assert answers == [old.commit], "with the others in reach it is confirmed"
    world.isolate(old.me)
    old.engine.confirm(answers.append)
    world.elect("".join(me for me in world.ids if me != old.me))
    assert world.run(2.0, lambda: not old.leads)
    assert answers[1:] in ([], [None])
    old.engine.confirm(answers.append)
    assert answers[-1] is None


# -- 10: time ----------------------------------------------------------------------------------------------------


def seconds_a_write(world: World, count: int = 8) -> float:
    """Write one after the other at the leader; the median of the times until acknowledged, on a fast network."""
    world.elect()
    times = []
    for number in range(count):
        began = world.now
        world.run(world.rng.random() * 0.05)
        began = world.now
        world.write(1)
        assert world.run(1.0, lambda number=number: len(world.acknowledged) == number + 1)  # type: ignore[misc]
        times.append(world.now - began)
    return float(sorted(times)[count // 2])


def test_10_stock_waits_for_its_tick() -> None:
    conf = {
        "appendEntriesPeriod": 0.1,
        "raftMinTimeout": 0.4,
        "raftMaxTimeout": 1.4,
        "connectionTimeout": 3.5,
    }  # as it comes
    world = World(1, StockMember, delays=(0.0001,), steps=(0.0002,), batch=True, conf=conf)
    assert seconds_a_write(world) > 0.02


def test_10_ours_goes_on_when_something_happens() -> None:
    assert seconds_a_write(World(1, OurMember, delays=(0.0001,), steps=(0.0002,))) < 0.004


# -- 11: failures ------------------------------------------------------------------------------------------------


def test_11_stock_calls_a_write_failed_that_happened() -> None:
    world = World(1, StockMember, delays=FAST)
    leader = world.elect()
    replica = next(one for one in world.up.values() if one is not leader)
    assert isinstance(replica, StockMember)
    reasons: list[int] = []
    world.run(0.5)
    replica.node.put(b"it happened", callback=lambda _, reason: reasons.append(reason))
    replica.tick()
    world.held.add((leader.me, replica.me))
    assert world.run(5.0, lambda: bool(reasons))
    assert reasons == [FAIL_REASON.LEADER_CHANGED]
    world.heal()
    world.run(3.0)
    assert all(b"it happened" in member.applied for member in world.up.values())


@pytest.mark.parametrize("reaches", [True, False], ids=["it happened", "it did not"])
def test_11_ours_tells_by_index_and_term(reaches: bool) -> None:
    world = World(1, OurMember, delays=FAST)
    old = world.elect()
    assert isinstance(old, OurMember)
    world.run(0.5)
    position = old.engine.propose(b"\0" + b"uncertain")
    assert position is not None
    if reaches:
        world.run(0.02)
    world.isolate(old.me)
    new = world.elect("".join(me for me in world.ids if me != old.me))
    world.write(5, at=new)
    world.run(0.5)
    world.heal()
    assert world.run(3.0, world.all_equal)
    index, term = position
    happened = old.term_at(index) == term
    assert happened == reaches == (b"uncertain" in old.applied)


# -- 12: order ---------------------------------------------------------------------------------------------------


def order_of_messages(kind: str, hash_seed: str) -> str:
    """Run the same seed in a process of its own; return what was sent by whom to whom, in a few letters."""
    code = f"from {__name__} import message_order\nprint(message_order({kind!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def message_order(kind: str) -> str:
    members = {"stock": StockMember, "ours": OurMember}[kind]
    world = World(1, members, "abcde", keep=True, delays=FAST, node=Node)
    world.elect()
    world.write(20)
    world.run(0.5)
    return " ".join(source + target for source, target, _ in world.sent)


def test_12_stock_does_another_thing_in_every_process() -> None:
    assert len({order_of_messages("stock", hash_seed) for hash_seed in "123"}) > 1


def test_12_ours_does_the_same_everywhere() -> None:
    orders = {order_of_messages("ours", hash_seed) for hash_seed in "123"}
    assert len(orders) == 1
    assert len(orders.pop()) > 500
