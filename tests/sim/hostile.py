"""People who mean harm, in some seeds: a vandal at the clients' port, a stranger and a learner at the peers'.

They speak through the real conversation and through the node's real reading of messages, beside the faults of the
seed. Nothing that they say may break a promise to anybody else, stop a node, or keep the cluster from coming to rest.

What they may do by right is left out where it would be judged as somebody else's fault: ending leases of others,
deciding how much history is kept, deleting everything. What they write is named `OUTSIDER`, so that the checkers ask no
client for it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from tests.hostile.field import Field
from tests.hostile.mutants import Mutants
from tests.hostile.strangers import forged, odd_messages
from tests.sim.randoms import log_uniform
from tests.sim.wires import Connection
from visord.peers import frames as peer_frames

if TYPE_CHECKING:
    from tests.sim.world import World

VANDAL: Final = "hostile: a client"
STRANGER: Final = "hostile: a stranger"
LEARNER: Final = "hostile: a learner"
KINDS: Final = (VANDAL, STRANGER, LEARNER)
SHARE: Final = 0.2
"""Part of all seeds that has them."""
ADDRESS: Final = "10.0.9.9:8047"
CLIENT_ADDRESS: Final = "10.0.9.9:8046"


class Hostile:
    """All three, from one stream of random numbers. They go on until `end`, in virtual seconds."""

    def __init__(self, world: World, rng: random.Random, end: float) -> None:
        self._world = world
        self._rng = rng
        self._end = end
        self._mutants = Mutants(rng, spare=True)
        self._pause = log_uniform(rng, 0.05, 1.0)
        self._learner = f"{rng.getrandbits(64):016x}"
        self._later()

    def _later(self) -> None:
        world, delay = self._world, self._pause * 2 * self._rng.random()
        if world.scheduler.now + delay < self._end:
            world.scheduler.after(delay, self._act)

    def _act(self) -> None:
        self._later()
        self._rng.choice((self._shout, self._shout, self._forge_as_stranger, self._forge_as_learner))()

    # -- the clients' port ----------------------------------------------------------------------------------

    def _shout(self) -> None:
        """Connect, say a lot of nonsense, leave somehow."""
        rng, world = self._rng, self._world
        connection = world.accept(rng.choice(world.hosts), _Deaf())
        if connection is None:
            return
        world.count(VANDAL)
        if rng.random() < 0.9:
            connection.send(self._mutants.encoded_hello())
        for _ in range(rng.choice((1, 3, 10))):
            data = b"".join(self._mutants.message() for _ in range(rng.choice((1, 5, 20))))
            connection.send(data if rng.random() < 0.8 else data[: rng.randrange(len(data) + 1)])
        world.scheduler.after(
            log_uniform(rng, 0.001, 2.0), rng.choice((connection.abandon, connection.sever))
        )

    # -- the peers' port ------------------------------------------------------------------------------------

    def _forge_as_stranger(self) -> None:
        self._forge(f"{self._rng.getrandbits(64):016x}", STRANGER)

    def _forge_as_learner(self) -> None:
        """Somebody who was taken in, and says what no member says; he never answers anybody."""
        world = self._world
        leader = world.leader()
        if leader is None or leader.node is None or leader.process is None:
            return
        if leader.node.engine.configuration.find(self._learner) is None:
            arguments = [self._learner, "hostile", ADDRESS, CLIENT_ADDRESS, False]
            leader.process.loop.call_soon(leader.node.members.act, "add", arguments, lambda ok, result: None)
            return
        self._forge(self._learner, LEARNER)

    def _forge(self, member: str, what: str) -> None:
        rng, world = self._rng, self._world
        host = rng.choice(world.hosts)
        if host.node is None or host.process is None or host.process.peers is None:
            return
        engine = host.node.engine
        field = Field(
            clients=[],
            members=[one.member_id for one in world.hosts],
            committed=engine.commit_index,
            seed=rng.getrandbits(32),
        )
        messages = rng.sample(odd_messages(field, engine.term), rng.randint(1, 6))
        for data in (forged(one, self._writes, rng) for one in messages):
            if data is None:
                continue
            try:
                peer_frames.decode(data)
            except ValueError:
                continue  # the door hangs up
            world.count(what)
            host.process.peers.arrive(member, [data])

    def _writes(self) -> bytes:
        return b"".join(self._mutants.write() for _ in range(3))


class _Deaf:
    """Takes what he is told and thinks nothing of it."""

    def heard(self, connection: Connection, data: bytes) -> None: ...

    def hung_up(self, connection: Connection) -> None: ...
