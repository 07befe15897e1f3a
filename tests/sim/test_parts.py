"""The simulated time, disk and network are as bad as they say, and not worse."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import msgpack
import pytest

from tests.sim import campaign
from tests.sim.disk import SimDisk, SimWorker
from tests.sim.network import BOUND, Network, SimPeers
from tests.sim.scheduler import NodeLoop, PowerCut, Scheduler
from tests.sim.world import Plan


def loop_of(scheduler: Scheduler, rate: float = 1.0) -> NodeLoop:
    def broke(error: BaseException) -> None:
        raise AssertionError("a callback raised") from error

    return NodeLoop(scheduler, base=50.0, rate=rate, broke=broke)


# -- time ---------------------------------------------------------------------------------------------------


def test_what_is_due_at_once_runs_in_the_order_it_was_asked_for() -> None:
    scheduler, seen = Scheduler(), list[int]()
    for number in range(5):
        scheduler.at(1.0, seen.append, number)
    scheduler.at(0.5, seen.append, -1).cancel()
    assert not scheduler.run_until(2.0)
    assert seen == [0, 1, 2, 3, 4]
    assert scheduler.now == 2.0


def test_a_fast_clock_lets_timers_end_early() -> None:
    scheduler, seen = Scheduler(), list[float]()
    loop = loop_of(scheduler, rate=2.0)
    loop.call_later(1.0, lambda: seen.append(scheduler.now))
    scheduler.run_until(3.0)
    assert seen == [0.5]
    assert loop.time() == 56.0
    loop.set_rate(1.0)
    assert loop.time() == 56.0


def test_a_frozen_process_does_everything_later_and_a_dead_one_nothing() -> None:
    scheduler, seen = Scheduler(), list[tuple[str, float]]()
    loop = loop_of(scheduler)
    for name in "ab":
        loop.call_later(0.1, lambda name=name: seen.append((name, scheduler.now)))
    loop.freeze(2.0)
    scheduler.run_until(3.0)
    assert seen == [("a", 2.0), ("b", 2.0)]
    loop.call_soon(seen.append, ("c", 0.0))
    loop.kill()
    scheduler.run_until(4.0)
    assert len(seen) == 2


def test_a_process_can_run_coroutines_of_asyncio() -> None:
    scheduler, seen = Scheduler(), list[float]()
    loop = loop_of(scheduler)
    event = asyncio.Event()

    async def work() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(event.wait(), 1.5)
        seen.append(scheduler.now)

    loop.run_task(work())
    scheduler.run_until(3.0)
    assert seen == [1.5]


# -- disks --------------------------------------------------------------------------------------------------


def stored(disk: SimDisk, path: str, data: bytes) -> None:
    file = disk.open(path, create=True)
    file.pwrite(data, 0)
    file.sync()
    disk.sync_dir(path.rpartition("/")[0])


def after(seed: int, *, synced: bool) -> bytes:
    disk = SimDisk(random.Random(seed))
    stored(disk, "/d/f", b"old!" * 1000)
    file = disk.open("/d/f")
    for offset in range(0, 4000, 500):
        file.pwrite(b"new!" * 125, offset)
    if synced:
        file.sync()
    found = disk.after_power_cut()
    with pytest.raises(PowerCut):
        file.pwrite(b"late", 0)
    return bytes(found.names["/d/f"].seen)


def test_a_power_cut_loses_all_some_or_nothing_of_what_was_not_synced() -> None:
    found = {after(seed, synced=False) for seed in range(60)}
    assert {b"old!" * 1000, b"new!" * 1000} < found
    assert any(b"old!" in one and b"new!" in one for one in found)
    assert any(one.count(b"new!") % 125 for one in found), "torn within a write"
    assert {after(seed, synced=True) for seed in range(20)} == {b"new!" * 1000}


def test_a_kill_loses_nothing_and_makes_nothing_durable() -> None:
    disk = SimDisk(random.Random(1))
    stored(disk, "/d/f", b"old")
    disk.open("/d/f").pwrite(b"new", 0)
    disk = disk.after_kill()
    assert bytes(disk.names["/d/f"].seen) == b"new"
    assert {bytes(disk.after_power_cut().names["/d/f"].seen)} <= {b"new", b"old"} | {
        b"n" + b"ld",
        b"ne" + b"d",
    }


def test_names_come_back_as_they_were_at_some_moment() -> None:
    found = set()
    for seed in range(30):
        disk = SimDisk(random.Random(seed))
        stored(disk, "/d/a", b"a")
        stored(disk, "/d/b", b"b")
        disk.rename("/d/a", "/d/b")
        disk.unlink("/d/b")
        after_cut = disk.after_power_cut()
        found.add(tuple((name, bytes(inode.seen)) for name, inode in sorted(after_cut.names.items())))
    assert found == {(("/d/a", b"a"), ("/d/b", b"b")), (("/d/b", b"a"),), ()}


def test_a_failed_sync_cannot_be_made_good_by_another_one() -> None:
    found = set()
    for seed in range(20):
        disk = SimDisk(random.Random(seed))
        stored(disk, "/d/f", b"old")
        file = disk.open("/d/f")
        file.pwrite(b"new", 0)
        disk.failing = True
        with pytest.raises(OSError, match="Input/output"):
            file.sync()
        disk.failing = False
        file.sync()
        found.add(bytes(disk.after_power_cut().names["/d/f"].seen))
    assert found == {b"old", b"new"}


def test_a_full_disk_takes_what_fits() -> None:
    disk = SimDisk(random.Random(1), capacity=10)
    file = disk.open("/d/f", create=True)
    with pytest.raises(OSError, match="No space"):
        file.pwrite(bytes(16), 0)
    assert file.size() == 10
    assert disk.free("/d") == 0


def test_a_crash_catches_a_job_before_in_the_middle_or_after() -> None:
    found = set()
    for seed in range(40):
        disk, scheduler = SimDisk(random.Random(seed)), Scheduler()
        loop = loop_of(scheduler)
        worker = SimWorker(loop, lambda: 1.0)
        answers: list[BaseException | None] = []

        def job(disk: SimDisk = disk) -> None:
            for name in "abc":
                disk.open(f"/d/{name}", create=True)

        def done(result: Any, error: BaseException | None, answers: list[Any] = answers) -> None:
            answers.append(error)

        worker.submit(job, done)
        scheduler.run_until(0.5)
        loop.kill()
        worker.interrupt(disk, random.Random(seed))
        scheduler.run_until(5.0)
        assert not answers
        found.add(len(disk.names))
    assert found == {0, 1, 2, 3}


# -- the network --------------------------------------------------------------------------------------------


class Pair:
    """Two members that dial each other; what arrives and what changes is noted."""

    def __init__(self, seed: int = 1) -> None:
        self.scheduler = Scheduler()
        self.counts: Counter[str] = Counter()
        self.network = Network(self.scheduler, random.Random(seed), self.counts)
        self.network.latency = (0.001, 0.01, 0.3)
        self.heard: dict[str, list[int]] = {"a": [], "b": []}
        self.changes: list[tuple[str, bool]] = []
        self.ends = {name: self.make(name) for name in "ab"}

    def make(self, name: str) -> SimPeers:
        end = SimPeers(self.network, loop_of(self.scheduler), name, "cluster", name)
        end.receive = lambda member, message: self.heard[name].append(message[0])
        end.changed = lambda member, yes: self.changes.append((name, yes))
        end.set_members({other: other for other in "ab" if other != name})
        return end

    def go_on(self, seconds: float) -> None:
        self.scheduler.run_until(self.scheduler.now + seconds)

    def say(self, first: int, last: int, source: str = "a", target: str = "b") -> None:
        for number in range(first, last):
            self.ends[source].send(target, msgpack.packb([number]))


def test_messages_arrive_in_order_although_delays_vary() -> None:
    pair = Pair()
    assert not pair.ends["a"].send("b", b"\x90"), "not connected yet"
    pair.go_on(3.0)
    assert pair.ends["a"].reachable("b")
    pair.say(0, 100)
    pair.go_on(5.0)
    assert pair.heard == {"a": [], "b": list(range(100))}


def test_a_one_way_cut_stalls_what_is_said_and_lets_it_through_late() -> None:
    pair = Pair()
    pair.go_on(3.0)
    pair.network.cut("a", "b")
    pair.say(0, 5)
    pair.say(50, 55, "b", "a")
    pair.go_on(0.4)
    assert pair.heard == {"a": [50, 51, 52, 53, 54], "b": []}
    pair.network.heal("a", "b")
    pair.go_on(1.0)
    assert pair.heard["b"] == [0, 1, 2, 3, 4]


def test_a_long_cut_breaks_the_connection_and_loses_from_some_point_on() -> None:
    pair = Pair()
    pair.go_on(3.0)
    pair.network.cut("a", "b")
    pair.say(0, 5)
    pair.go_on(25.0)
    assert ("a", False) in pair.changes
    assert not pair.ends["a"].reachable("b")
    pair.network.heal("a", "b")
    pair.go_on(3.0)
    pair.say(5, 8)
    pair.go_on(1.0)
    assert pair.heard["b"] == [5, 6, 7]


def test_a_reset_delivers_a_beginning_perhaps_after_what_the_next_connection_carries() -> None:
    lengths, late = set(), 0
    for seed in range(60):
        pair = Pair(seed)
        pair.network.late_chance = 0.8
        pair.go_on(3.0)
        pair.say(0, 5)
        pair.network.break_connections("a", "b")
        pair.go_on(0.7)
        pair.say(10, 12)
        pair.go_on(4.0)
        old = [number for number in pair.heard["b"] if number < 10]
        assert old == list(range(len(old)))
        lengths.add(len(old))
        late += pair.heard["b"][:2] == [10, 11] and bool(old)
    assert lengths >= {0, 2, 5}
    assert late


def test_a_clogged_link_makes_send_refuse() -> None:
    pair = Pair()
    pair.go_on(3.0)
    pair.network.clog("a", "b", 1000.0)
    data = msgpack.packb([7, bytes(BOUND // 3)])
    assert [pair.ends["a"].send("b", data) for _ in range(4)] == [True, True, False, False]
    assert pair.ends["a"].queued("b") == 2 * len(data)
    pair.network.heal("a", "b")
    pair.go_on(1.0)
    assert pair.heard["b"] == [7, 7]


def test_the_end_of_a_process_is_noticed_and_the_next_one_is_found() -> None:
    pair = Pair()
    pair.go_on(3.0)
    pair.ends["b"].close()
    pair.go_on(4.0)
    assert pair.changes[-1] == ("a", False)
    pair.ends["b"] = pair.make("b")
    pair.go_on(3.0)
    pair.say(0, 3)
    pair.go_on(1.0)
    assert pair.heard["b"] == [0, 1, 2]


def test_who_is_not_admitted_gets_no_connection() -> None:
    pair = Pair()
    pair.ends["b"].admit = lambda member, address: "removed"
    pair.go_on(5.0)
    assert not pair.ends["a"].reachable("b")
    assert pair.ends["b"].reachable("a")


@pytest.mark.parametrize("removed", [True, False], ids=["removed", "unknown"])
def test_who_is_not_admitted_hears_whether_it_was_removed(removed: bool) -> None:
    pair, heard = Pair(), list[str]()
    pair.ends["b"].admit = lambda member, address: "not let in"
    pair.ends["b"].removed = lambda member: removed and member == "a"
    pair.ends["a"].dismissed = heard.append
    pair.network.cut("b", "a")
    pair.go_on(2.0)
    assert heard == []
    pair.network.heal("b", "a")
    pair.go_on(2.0)
    assert set(heard) == ({"b"} if removed else set())


# -- campaigns ----------------------------------------------------------------------------------------------


def test_a_seed_that_never_ends_is_one_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(seed: int, plan: Plan) -> None:
        while True:
            try:
                for _ in iter(int, 1):
                    pass
            except Exception:
                continue

    monkeypatch.setattr(campaign, "run", endless)
    monkeypatch.setattr(campaign, "CPU_SECONDS", 0.05)
    ((name, text),) = campaign.one(7, Plan()).findings
    assert name == "crashed"
    assert "not at an end after 0.05 s" in text
