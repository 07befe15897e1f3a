"""Three whole members in one process, on virtual time: hostile clients and a learner, then everything is compared.

Conversations, proposers, forwarding, logs, checkpoints and the raft are the real ones; only sockets and disks are
simulated (`tests.sim`). After each part of the traffic all members come to rest and have equal accounts; now and then
one is killed and started again from its log alone, or from a checkpoint and the log behind it.
"""

from __future__ import annotations

import time
from random import Random
from typing import Any, Final

from tests.hostile.accounts import Account
from tests.hostile.field import Field
from tests.hostile.mutants import Mutants
from tests.hostile.strangers import forged, odd_messages
from tests.hostile.twins import Found
from tests.sim.host import Host
from tests.sim.wires import Connection
from tests.sim.world import Plan, World
from visord.peers import frames as peer_frames

PARTS: Final = 40
"""Parts of traffic in one life of a cluster."""
REST_SECONDS: Final = 10.0
"""Virtual seconds in which all members must have come to the same place."""


class _Deaf:
    """A client that takes what it is told and thinks nothing of it."""

    def __init__(self) -> None:
        self.gone = False

    def heard(self, connection: Connection, data: bytes) -> None: ...

    def hung_up(self, connection: Connection) -> None:
        self.gone = True


class Inside:
    """One life of a cluster."""

    def __init__(self, seed: int, found: Found) -> None:
        self._found = found
        self._rng = Random(f"inside/{seed}")
        self._mutants = Mutants(self._rng)
        self._world = World(seed, Plan(nodes=3, faults=False))
        self._world.hash_seconds = 600.0
        self._learner = ""

    def live(self, end: float) -> None:
        """Attack and compare until something differs, or time (of this machine) is up."""
        if not self._world.form():
            self._found.problem("the cluster did not form")
            return
        self._take_a_learner_in()
        for part in range(PARTS):
            if time.monotonic() > end or self._broken():
                return
            self._attack()
            if not self._compare(f"part {part}"):
                return
            if part % 4 == 3 and not self._restart(checkpoint=part % 8 == 7):
                return
        self._found.counts["clusters"] += 1

    # -- traffic --------------------------------------------------------------------------------------

    def _attack(self) -> None:
        rng, world = self._rng, self._world
        connections = []
        for host in world.running():
            for _ in range(rng.randint(1, 3)):
                connection = world.accept(host, _Deaf())
                if connection is None:
                    continue
                connections.append(connection)
                connection.send(self._mutants.encoded_hello())
                data = b"".join(self._mutants.message() for _ in range(rng.choice((3, 20, 60))))
                self._found.counts["messages of clients"] += 1
                for piece in _cut(data, rng):
                    connection.send(piece)
        if rng.random() < 0.6:
            self._forge()
        world.scheduler.run_until(world.scheduler.now + rng.choice((0.02, 0.1, 0.5)))
        for connection in connections:
            connection.abandon()

    def _take_a_learner_in(self) -> None:
        """A member that may not vote, whose machine is somebody else's."""
        host = self._world.add_host(votes=False)
        self._world.scheduler.run_until(self._world.scheduler.now + 3.0, lambda: self._knows(host))
        self._learner = host.member_id
        host.crash(power=False)
        self._world.hosts.remove(host)
        self._found.counts["learners"] += self._knows(host)

    def _knows(self, host: Host) -> bool:
        leader = self._world.leader()
        if leader is None or leader.node is None:
            return False
        return any(one.id == host.member_id for one in leader.node.engine.configuration.members)

    def _forge(self) -> None:
        """Say in the learner's name what no member says. It goes through the same reading as from a socket."""
        rng = self._rng
        leader = self._world.leader()
        if leader is None or leader.node is None:
            return
        term, committed = leader.node.engine.term, leader.node.engine.commit_index
        ids = [host.member_id for host in self._world.hosts]
        field = Field(clients=[], members=ids, term=term, committed=committed, seed=rng.getrandbits(32))
        messages = rng.sample(odd_messages(field, term), 6)
        for host in self._world.running():
            for message in messages:
                data = self._packed(message)
                if data is not None and host.process is not None and host.process.peers is not None:
                    host.process.peers.arrive(self._learner, [data])
                    self._found.counts["messages of a learner"] += 1

    def _packed(self, message: list[Any]) -> bytes | None:
        writes = lambda: b"".join(self._mutants.write() for _ in range(3))  # noqa: E731
        data = forged(message, writes, self._rng)
        if data is None:
            return None
        try:
            peer_frames.decode(data)
        except ValueError:
            self._found.counts["cut at the peers' door"] += 1
            return None
        return data

    # -- judgement ------------------------------------------------------------------------------------

    def _broken(self) -> bool:
        for violation in self._world.violations[:3]:
            self._found.problem(f"{violation} {violation.__cause__!r}")
        return bool(self._world.violations)

    def _compare(self, when: str) -> bool:
        world = self._world
        rested = world.scheduler.run_until(
            world.scheduler.now + REST_SECONDS, lambda: bool(world.violations) or self._level()
        )
        if self._broken():
            return False
        if not rested:
            places = [
                (host.name, host.node.machine.index, host.node.store.rev) for host in world.hosts if host.node
            ]
            self._found.problem(f"{when}: members do not come to the same place: {places}")
            return False
        accounts = {host.name: Account().take(host.node.machine) for host in world.hosts if host.node}
        self._found.counts["comparisons"] += 1
        if len(set(accounts.values())) != 1:
            self._found.problem(f"{when}: members differ: {accounts}")
            return False
        return True

    def _level(self) -> bool:
        nodes = [host.node for host in self._world.hosts]
        if any(node is None or node.engine.leader is None for node in nodes):
            return False
        places = {(node.machine.index, node.engine.commit_index) for node in nodes if node is not None}
        return len(places) == 1 and all(node is not None and node.proposer.idle for node in nodes)

    def _restart(self, *, checkpoint: bool) -> bool:
        """Kill one, or all, and start them again; they have what they had."""
        world, rng = self._world, self._rng
        hosts = world.hosts if rng.random() < 0.3 else [rng.choice(world.hosts)]
        for host in hosts:
            if checkpoint and host.node is not None:
                host.node.maintenance.checkpoint_now()
        world.scheduler.run_until(world.scheduler.now + (2.0 if checkpoint else 0.0))
        for host in hosts:
            host.crash(power=False)
        for host in hosts:
            if not host.start():
                self._found.problem(f"{host.name} does not start again: {host.failure!r}")
                return False
        self._found.counts["restarts with a checkpoint" if checkpoint else "restarts from the log"] += len(
            hosts
        )
        return self._compare("after a restart")


def _cut(data: bytes, rng: Random) -> list[bytes]:
    """Cut bytes as a network may."""
    if rng.random() < 0.5:
        return [data]
    place = rng.randrange(len(data) + 1)
    return [piece for piece in (data[:place], data[place:]) if piece]


def run(seconds: float, seed: int, found: Found | None = None, *, lives: int = 1 << 30) -> Found:
    """Go on for so long, or for so many lives of a cluster, or until something differs."""
    found = Found() if found is None else found
    end, life = time.monotonic() + seconds, 0
    while time.monotonic() < end and life < lives and not found.problems:
        Inside(seed * 1000 + life, found).live(end)
        if found.problems:
            found.problems.append(f"(inside, seed {seed}, life {life})")
        life += 1
    return found
