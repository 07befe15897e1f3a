"""What the simulation found, each again on purpose: these stay found whatever the seeds come to mean later."""

from __future__ import annotations

import logging
import random
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgpack
import pytest

from tests.checkers.history import OUTSIDER, expired_lease
from tests.sim.client import Client
from tests.sim.disk import SimDisk
from tests.sim.host import ROOM, Host
from tests.sim.operators import STOPPED
from tests.sim.wires import Connection
from tests.sim.workload import Workload
from tests.sim.world import Plan, World
from visor._core.client import REPEATED
from visor.protocol import verbs
from visord.node import Node, RemovedError
from visord.peers import messages as msg
from visord.proposer import LOST, Batch
from visord.raft.log import RaftLog
from visord.raft.segments import Options
from visord.serving import health
from visord.settings import StorageSettings
from visord.state.refusal import Refusal
from visord.storage.errors import StorageError
from visord.storage.worker import Inline

pytestmark = pytest.mark.soak

STORAGE = StorageSettings.model_construct(
    log_segment_bytes=64 << 10,
    log_chunk_bytes=16 << 10,
    log_keep_bytes=16 << 10,
    history_segment_bytes=64 << 10,
    checkpoint_log_bytes=48 << 10,
    checkpoint_seconds=4.0,
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Nodes tell of every fault."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def begun(seed: int = 1, nodes: int = 3) -> World:
    """A cluster at work, without faults."""
    world = World(seed, Plan(nodes=nodes, faults=False))
    world.storage = STORAGE
    assert world.form()
    for number in range(3):
        world.add_client(number)
    return world


def go_on(world: World, seconds: float) -> None:
    world.scheduler.run_until(world.scheduler.now + seconds)
    assert not world.violations


def come_to_rest(world: World) -> None:
    world.rest()
    assert not world.result().violations


def replica(world: World) -> Host:
    leader = world.leader()
    return next(host for host in world.hosts if host is not leader)


def isolate(world: World, host: Host) -> None:
    for other in world.hosts:
        if other is not host:
            world.network.cut(host.address, other.address)
            world.network.cut(other.address, host.address)


def lag(world: World, host: Host, seconds: float) -> None:
    """Keep a member away until the leader's log does not reach back to it."""
    isolate(world, host)
    go_on(world, seconds)
    leader = world.leader()
    assert leader is not None and leader.node is not None and host.node is not None
    assert leader.node.log.first_index > host.node.log.last_index
    for other in world.hosts:
        if other is not host:  # what was sent before the log was trimmed must not arrive after all
            world.network.break_connections(host.address, other.address)
            world.network.break_connections(other.address, host.address)
    world.network.heal_all()


def test_a_member_whose_disk_was_full_gets_the_checkpoint_when_there_is_room() -> None:
    world = begun()
    host = replica(world)
    host.disk.capacity = host.disk.used()
    lag(world, host, 15.0)
    go_on(world, 4.0)
    assert host.node is not None and host.node.install.incoming.received == 0
    host.disk.capacity = ROOM
    come_to_rest(world)
    assert host.node.install.incoming.received > 0


def test_a_member_that_lags_again_and_again_is_offered_a_newer_checkpoint() -> None:
    world = begun()
    host = replica(world)
    for _ in range(3):
        lag(world, host, 8.0)
        go_on(world, 1.5)
    come_to_rest(world)


def act(world: World, host: Host, name: str, *arguments: object) -> list[tuple[bool, object]]:
    """Ask a node to change members; the answer comes into the list."""
    answers: list[tuple[bool, object]] = []
    assert host.process is not None and host.node is not None
    host.process.loop.call_soon(
        host.node.membership.act, name, list(arguments), lambda ok, result: answers.append((ok, result))
    )
    return answers


def leads(world: World) -> Host:
    leader = world.leader()
    assert leader is not None
    return leader


def test_a_removal_that_was_never_committed_binds_nobody() -> None:
    # It is in the log of a leader that was cut off. After his restart the member that it would remove leads: he has to
    # listen to it, and to answer it, although the newest configuration that he knows is without it.
    world = begun()
    old = leads(world)
    heir = replica(world)
    isolate(world, old)
    act(world, old, "remove", heir.member_id)
    go_on(world, 0.2)
    assert old.node is not None and not old.node.engine.configuration_settled
    old.crash(power=False)
    world.network.heal_all()
    go_on(world, 2.0)
    act(world, heir, "transfer", heir.member_id)
    go_on(world, 2.0)
    assert leads(world) is heir
    old.start()
    come_to_rest(world)
    assert old in world.members()


def test_a_member_that_was_away_while_all_others_changed_says_so_and_is_replaced() -> None:
    # Nobody that it knows is left to vouch for today's voters: it cannot tell them from somebody who cut it off.
    world = begun()
    away = replica(world)
    away.crash(power=False)
    others = [host for host in world.hosts if host is not away]
    for _ in range(3):
        world.add_host()
        go_on(world, 3.0)
    for host in others:
        answers = act(world, leads(world), "remove", host.member_id)
        go_on(world, 4.0)
        assert answers[0][0] or act(world, leads(world), "remove", host.member_id) == []
        go_on(world, 4.0)
        host.retired = True
        host.crash(power=False)
    away.start()
    go_on(world, 6.0)
    assert away.node is not None and away.node.engine.leader is None
    assert "claims to lead" in (away.node.proof.stuck or "")
    come_to_rest(world)
    assert len(world.members()) == 3
    assert world.counts["stuck member removed"] == 1


def test_a_member_that_was_away_while_all_others_but_one_changed_finds_back() -> None:
    world = begun()
    away = replica(world)
    away.crash(power=False)
    others = [host for host in world.hosts if host is not away]
    for _ in range(3):
        world.add_host()
        go_on(world, 3.0)
    host = others[0]
    act(world, leads(world), "remove", host.member_id)
    go_on(world, 4.0)
    host.retired = True
    host.crash(power=False)
    act(world, leads(world), "transfer", world.hosts[-1].member_id)
    go_on(world, 1.0)
    assert leads(world) is world.hosts[-1]
    away.start()
    come_to_rest(world)
    assert len(world.members()) == 5
    assert not world.counts["stuck member removed"]


def test_a_member_that_caught_up_through_the_log_does_not_install_what_it_fetched() -> None:
    # It would go back: to a state before entries that it has acknowledged and told its clients of.
    world = begun()
    host, leader = replica(world), leads(world)
    assert host.node is not None and leader.node is not None
    isolate(world, host)
    go_on(world, 0.3)
    leader.node.maintenance.checkpoint_now()
    go_on(world, 0.3)
    checkpoint = leader.node.checkpointer.index
    assert host.node.machine.index < checkpoint
    host.stuck_until = world.scheduler.now + 0.6
    install = host.node.install
    install._source = leader.member_id
    assert install.incoming.begin(leader.node.install.outgoing.offer(), leader.member_id)
    world.network.heal_all()
    go_on(world, 0.5)
    assert host.node.machine.index > checkpoint > host.node.checkpointer.index
    assert install.incoming.active
    go_on(world, 2.0)
    assert not install.incoming.active
    come_to_rest(world)


def falsified(honest: Callable[[], list[Any] | None], lie: str) -> list[Any] | None:
    """Return the offer of a checkpoint that says what cannot be: an odd configuration, or tables of another index."""
    offer = honest()
    if offer is None:
        return None
    content = msgpack.unpackb(offer[2][8:-4], strict_map_key=False)
    content |= (
        {"config": b"none"} if lie == "config" else {"tables": {**content["tables"], "time": 0, "index": 3}}
    )
    data = offer[2][:8] + msgpack.packb(content)
    return [*offer[:2], data + zlib.crc32(data).to_bytes(4, "little")]


@pytest.mark.parametrize("seconds", [0.0, 3.0], ids=["new", "with a state"])
@pytest.mark.parametrize("lie", ["config", "tables"])
def test_a_member_that_was_given_a_checkpoint_that_cannot_be_loaded_starts_and_catches_up(
    lie: str, seconds: float
) -> None:
    world = begun()
    host = replica(world)
    go_on(world, seconds)
    liars = [one.node.install.outgoing for one in world.running() if one is not host and one.node is not None]
    for outgoing in liars:  # whoever leads
        outgoing.offer = partial(falsified, outgoing.offer, lie)  # type: ignore[method-assign]
    lag(world, host, 9.0)  # (an offer may be under way before it is back)
    assert host.node is not None and (host.node.machine.store.rev > 0) == (seconds > 0)
    before = host.node.checkpointer.index
    world.scheduler.run_until(world.scheduler.now + 4.0)
    stopped = lie == "tables" and seconds > 0  # a part of it was in its own memory then
    if stopped:
        assert isinstance(host.failure, StorageError)
        assert "cannot be loaded" in str(host.failure)
        world.violations.clear()
        assert host.start()
    assert host.node is not None
    assert host.node.checkpointer.index == before
    assert host.node.install.incoming.received > 0 or stopped
    for outgoing in liars:
        del outgoing.offer
    come_to_rest(world)
    assert host.node is not None and host.node.machine.index > before


@pytest.mark.parametrize("failed", [False, True], ids=["not synced", "the sync failed"])
def test_blocks_that_a_killed_process_prepared_are_durable_before_they_are_used(failed: bool) -> None:
    def opened(disk: SimDisk) -> RaftLog:
        options = Options(segment=4096, chunk=512, ahead=256, first=256, reserve=0, keep=1 << 20)
        return RaftLog.open(
            disk, "/log", options=options, sync=Inline(), background=Inline(), random32=lambda: 7
        )

    disk = SimDisk(random.Random(1))
    disk.mkdir("/log")
    opened(disk).close()
    (path,) = (name for name in disk.names if name.endswith(".log"))
    file = disk.open(path)
    file.pwrite(bytes(1024), file.size())
    if failed:  # no other sync makes good for that
        disk.failing = True
        with pytest.raises(OSError, match="error"):
            file.sync()
        disk.failing = False
    disk = disk.after_kill()
    log = opened(disk)
    for index in range(2, 12):
        log.add(bytes(100), index, 1)
        log.flush()  # the disk complains of bytes that are not written into durable blocks
    assert log.durable_index == 11


def test_a_full_leader_hands_on_to_one_who_answers() -> None:
    world = begun()
    leader = leads(world)
    assert leader.node is not None
    leader.disk.capacity = leader.disk.used()
    deadline = world.scheduler.now + 10.0
    while leader.node.log.full is None:
        assert world.scheduler.now < deadline
        go_on(world, 0.005)
    # Both have all there is; the first of them stops just now.
    first = min((host for host in world.hosts if host is not leader), key=lambda host: host.member_id)
    assert first.process is not None
    first.process.loop.freeze(9.0)
    before = world.recorder.highest
    go_on(world, 5.0)
    assert world.recorder.highest > before + 15
    assert leads(world) not in (leader, first)
    leader.heal()
    come_to_rest(world)


def test_what_a_leader_says_to_a_member_that_was_killed_means_nothing_to_its_next_life() -> None:
    # The leader had not placed a write of the former life. It refuses it now: the next life may have sent another one
    # under the same number, which is committed, and would tell its client that it never happened.
    world = begun()
    host, leader = replica(world), leads(world)
    assert host.node is not None and leader.node is not None
    sent: list[list[int]] = [[], []]
    hear, life = leader.node.peers.receive, 0

    def listen(member: str, message: list[Any]) -> None:
        if member == host.member_id and message[0] in (msg.FORWARD, msg.READ_INDEX):
            rows = message[1] if message[0] == msg.FORWARD else [[message[1]]]
            sent[life].extend(row[0] for row in rows)
        hear(member, message)

    leader.node.peers.receive = listen
    go_on(world, 1.0)
    host.crash(power=False)
    go_on(world, 0.2)
    life = 1
    host.start()
    go_on(world, 3.0)
    assert sent[0] and sent[1]
    assert not set(sent[0]) & set(sent[1])
    come_to_rest(world)


def begin_a_leadership(world: World) -> tuple[Host, Host]:
    """Hand leadership on, and stop the world when it was taken; return (who leads, who led)."""
    leader = leads(world)
    heir = next(host for host in world.running() if host is not leader)
    assert heir.node is not None
    act(world, leader, "transfer", heir.member_id)
    while not heir.node.engine.is_leader:
        go_on(world, 0.0001)
    return heir, leader


def test_a_new_leader_takes_nobody_for_alive_whom_it_has_not_heard() -> None:
    """Seed 1757: the third of three was dead, and the second was removed just after an election."""
    world = begun()
    dead = replica(world)
    dead.crash(power=False)
    heir, old = begin_a_leadership(world)
    answers = act(world, heir, "remove", old.member_id)
    go_on(world, 2.0)
    ((done, why),) = answers
    assert not done and isinstance(why, list) and why[0] == "unsafe", why
    come_to_rest(world)


def test_who_has_just_died_is_not_counted_on_when_another_one_is_removed() -> None:
    # Seed 4042 of 0376c23: the third was dead for 0.3 s and the removal of the second appended. It could neither be
    # committed without the third nor be taken back.
    world = begun()
    leader = leads(world)
    alive, dead = (host for host in world.hosts if host is not leader)
    dead.crash(power=False)
    go_on(world, 0.6)
    answers = act(world, leader, "remove", alive.member_id)
    go_on(world, 2.0)
    ((done, why),) = answers
    assert not done and isinstance(why, list) and why[0] == "unsafe", why
    dead.retired = True
    assert leads(world) is leader
    go_on(world, 2.0)
    assert leader.node is not None and leader.node.engine.reads_are_current


def test_two_members_that_are_removed_at_once_do_not_hand_leadership_to_and_fro() -> None:
    # Seed 837 of 8a164ed: two members were left, and both were to be removed. Each, leading, handed on to the other,
    # with all actions that it had heard of: after each election there were twice as many, soon too many to go on.
    world = begun()
    leader = leads(world)
    second, third = (host for host in world.hosts if host is not leader)
    answers = [
        act(world, where, "remove", whom.member_id)
        for where, whom in ((leader, leader), (second, second), (third, leader), (third, second))
    ]
    go_on(world, 4.0)
    own, *rest = [[done for done, _ in one] for one in answers]
    assert own in ([], [True])  # the leader may be gone before it hears that itself is
    assert rest == [[True], [True], [True]]
    leader.retired = second.retired = True
    assert leads(world) is third
    assert third.node is not None
    assert third.node.engine.term <= 4
    come_to_rest(world)


def test_of_two_members_that_are_both_removed_one_stays() -> None:
    world = begun()
    first = leads(world)
    second, gone = (host for host in world.hosts if host is not first)
    assert act(world, first, "remove", gone.member_id) == []
    go_on(world, 1.0)
    gone.retired = True
    answers = act(world, first, "remove", first.member_id), act(world, second, "remove", second.member_id)
    go_on(world, 4.0)
    ((one, _),), ((other, _),) = answers
    assert {one, other} == {True, False}
    (second if other else first).retired = True
    come_to_rest(world)


def test_a_new_leader_takes_nobody_for_dead_whom_it_has_not_heard() -> None:
    # A leader that is to be removed hands on first: the heir is asked while it has heard one of two.
    world = begun()
    heir, old = begin_a_leadership(world)
    third = next(host for host in world.hosts if host not in (heir, old))
    assert third.process is not None
    third.process.loop.frozen_until = world.scheduler.now + 0.2
    answers = act(world, heir, "remove", old.member_id)
    go_on(world, 2.0)
    assert [done for done, _ in answers] == [True]
    old.retired = True
    come_to_rest(world)


class _Deaf:
    """A client's end that listens to nothing."""

    def heard(self, connection: Connection, data: bytes) -> None: ...

    def hung_up(self, connection: Connection) -> None: ...


def test_an_id_that_a_client_chose_expires_once_for_each_time_that_it_was_granted() -> None:
    # Seed 469 of 39d6290: granted, expired, granted again and expired again was taken for one expiry done twice.
    world, chosen = begun(), 1 << 48
    connection = world.accept(leads(world), _Deaf())
    assert connection is not None
    hello = {"versions": [verbs.VERSION], "client": "sim", "session": None, "actor": OUTSIDER, "min_rev": 0}
    connection.send(msgpack.packb([verbs.HELLO, 1, hello]))
    for request in (2, 4):
        connection.send(msgpack.packb([verbs.GRANT, request, 0, 1000, chosen]))
        connection.send(msgpack.packb([verbs.SET, request + 1, 0, "/chosen", b"x", 0, 0, chosen]))
        go_on(world, 4.0)
    expired = [one for one in world.history.commits if expired_lease(one) == chosen]
    assert len(expired) == 2
    come_to_rest(world)


def attend(world: World, client: Workload, host: Host) -> None:
    """Let a client with a watch connect to this host."""
    assert isinstance(client, Client)
    if not client.subscribers:
        client._ask_watch()
    assert host.process is not None
    deadline = world.scheduler.now + 20.0
    while client.connection not in host.process.connections or not client.greeted:
        assert world.scheduler.now < deadline
        client._leave()
        go_on(world, 0.4)


def remove(world: World, host: Host) -> None:
    answers = act(world, leads(world), "remove", host.member_id)
    go_on(world, 2.0)
    assert [done for done, _ in answers] == [True]


class Told:
    """Who hears what became of his writes."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def complete(self, frames: list[Any], outcomes: list[Any]) -> None:
        self.codes.append("done")

    def fail(self, frames: list[Any], refusal: Refusal) -> None:
        self.codes.append(refusal.code)


def cut_off_with_a_write(world: World, host: Host) -> tuple[Node, Told]:
    """Isolate a member, and have a write under way there; return its node, and what its author is told."""
    isolate(world, host)
    process, node, told = host.process, host.node, Told()
    assert process is not None and node is not None
    batch = Batch(told, [None, "test", [[verbs.SET, 1, 0, "/x", b""]], ""], [[]], 1)
    process.loop.call_soon(node.proposer.submit_batches, [batch])
    go_on(world, 0.01)
    return node, told


@pytest.mark.parametrize("role", ["replica", "leader"])
def test_a_member_that_stops_alone_waits_no_longer_than_its_writes(role: str) -> None:
    """They are given up, and no entry tells of that: it had waited for one until its patience was over."""
    world = begun()
    host = replica(world) if role == "replica" else leads(world)
    node, told = cut_off_with_a_write(world, host)
    assert node.forwarding.outstanding or not node.proposer.idle
    begin = world.scheduler.now
    assert host.stop()
    while not told.codes and world.scheduler.now < begin + 10:
        go_on(world, 0.1)
    given_up = world.scheduler.now
    while not world.counts["graceful stop"] and world.scheduler.now < begin + 10:
        go_on(world, 0.1)
    assert told.codes == [LOST.code]
    assert world.scheduler.now < given_up + 1.0
    host.start()
    world.network.heal_all()
    come_to_rest(world)


def test_who_writes_at_a_member_that_fails_is_told_what_makes_a_client_ask_another() -> None:
    world = begun()
    host = leads(world)
    node, told = cut_off_with_a_write(world, host)
    assert not node.proposer.idle
    node.fail(OSError("the disk is gone"))
    assert told.codes == [LOST.code] and LOST.code in REPEATED
    world.network.heal_all()


def test_who_was_removed_while_it_was_down_stops_when_all_others_refuse_it() -> None:
    world = begun()
    away = replica(world)
    away.crash(power=False)
    go_on(world, 1.0)
    remove(world, away)
    away.start()
    go_on(world, 3.0)
    assert isinstance(away.failure, RemovedError)
    come_to_rest(world)
    assert not world.counts[STOPPED]


def test_two_members_that_are_removed_one_right_after_the_other_both_stop() -> None:
    # Seed 802 of 39d6290: the second one was removed in the turn in which the removal of the first was committed, and
    # did not hear of that: it took the first for a voter, and waited for its word as well.
    world = begun()
    leader = leads(world)
    hosts = [host for host in world.hosts if host is not leader]
    answers = [act(world, leader, "remove", host.member_id) for host in hosts]
    go_on(world, 3.0)
    assert [[done for done, _ in one] for one in answers] == [[True], [True]]
    assert [type(host.failure) for host in hosts] == [RemovedError, RemovedError]
    come_to_rest(world)
    assert not world.counts[STOPPED]


def test_who_was_removed_and_hears_it_from_too_few_says_so_until_it_is_stopped() -> None:
    # Seed 802 of 39d6290, too: of three members two were removed. Of the two others that one of them knows, one is left
    # to say so. It does not stop by one's word, and whoever watches there waits until the operator has read the alarm
    # and stopped it.
    world = begun()
    away = replica(world)
    isolate(world, away)
    attend(world, world.clients[0], away)
    go_on(world, 1.0)
    remove(world, away)
    other = next(host for host in world.members() if host is not leads(world))
    remove(world, other)
    other.retired = True
    other.crash(power=False)
    world.network.heal_all()
    go_on(world, 3.0)
    assert away.node is not None
    (told,) = [line for line in health.alarms(away.node) if line.startswith("removed: ")]
    assert leads(world).member_id in told
    come_to_rest(world)
    assert world.counts[STOPPED] == 1
    assert away.retired


def test_who_says_that_it_was_removed_and_was_not_is_left_alone() -> None:
    world = begun()
    host = replica(world)
    assert host.node is not None
    isolate(world, host)
    go_on(world, 3.0)
    host.node.gate.dismissed(leads(world).member_id)
    assert host.node.engine.leader is None and host.node.dismissal.told is not None
    world._care()
    assert not host.retired
    world.network.heal_all()
    come_to_rest(world)
    assert not world.counts[STOPPED]
