"""People who mean harm, in some seeds: a vandal at the clients' port, a stranger and a learner at the peers'.

The learner says nonsense, speaks of later terms, and leads a node that it has cut off from all others.

They speak through the real conversation and through the node's real reading of messages, beside the faults of the
seed. Nothing that they say may break a promise to anybody else, stop a node, or keep the cluster from coming to rest.

What they may do by right is left out where it would be judged as somebody else's fault: ending leases of others,
deciding how much history is kept, deleting everything. What they write is named `OUTSIDER`, so that the checkers ask no
client for it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from tests.checkers.history import OUTSIDER
from tests.hostile.field import Field
from tests.hostile.mutants import Mutants
from tests.hostile.strangers import forged, odd_messages
from tests.sim.randoms import log_uniform
from tests.sim.wires import Connection
from visor.protocol import verbs
from visord.peers import frames as peer_frames
from visord.peers import messages as msg
from visord.state.command import encode

if TYPE_CHECKING:
    from tests.sim.host import Host
    from tests.sim.world import World

VANDAL: Final = "hostile: a client"
STRANGER: Final = "hostile: a stranger"
LEARNER: Final = "hostile: a learner"
USURPER: Final = "hostile: who cuts a node off and leads it"
LEAPER: Final = "hostile: who speaks of later terms"
KINDS: Final = (VANDAL, STRANGER, LEARNER, USURPER, LEAPER)
SHARE: Final = 0.2
"""Part of all seeds that has them."""
ADDRESS: Final = "10.0.9.9:8047"
CLIENT_ADDRESS: Final = "10.0.9.9:8046"
SIEGE_SECONDS: Final = 6.0
"""How long a node is cut off at most by somebody who wants to lead it."""
REST_SECONDS: Final = 2.0
"""Between two sieges."""


class Hostile:
    """All three, from one stream of random numbers. They go on until `end`, in virtual seconds."""

    def __init__(self, world: World, rng: random.Random, end: float) -> None:
        self._world = world
        self._rng = rng
        self._end = end
        self._mutants = Mutants(rng, spare=True)
        self._pause = log_uniform(rng, 0.05, 1.0)
        self._learner = f"{rng.getrandbits(64):016x}"
        self._siege_until = 0.0
        self._later()

    def _later(self) -> None:
        world, delay = self._world, self._pause * 2 * self._rng.random()
        if world.scheduler.now + delay < self._end:
            world.scheduler.after(delay, self._act)

    def _act(self) -> None:
        self._later()
        acts = (
            self._shout,
            self._shout,
            self._forge_as_stranger,
            self._forge_as_learner,
            self._leap,
            self._usurp,
        )
        self._rng.choice(acts)()

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
        if self._taken_in():
            self._forge(self._learner, LEARNER)

    def _taken_in(self) -> bool:
        """Tell whether the learner is one; have it taken in when it is not."""
        leader = self._world.leader()
        if leader is None or leader.node is None or leader.process is None:
            return False
        if leader.node.engine.configuration.find(self._learner) is not None:
            return True
        arguments = [self._learner, "hostile", ADDRESS, CLIENT_ADDRESS, False]
        leader.process.loop.call_soon(leader.node.membership.act, "add", arguments, lambda ok, result: None)
        return False

    def _leap(self) -> None:
        """Tell a leader, or who is none, of a term that is not there yet."""
        host = self._rng.choice(self._world.hosts)
        if self._taken_in() and host.node is not None:
            self._world.count(LEAPER)
            term = host.node.engine.term + self._rng.choice((1, 2, 63, 64, 65, 1 << 19, 1 << 20))
            self._say(host, self._learner, [msg.POSITION, term, 1, False, True, 1])

    def _usurp(self) -> None:
        """Cut a node off from all others for longer than elections take, and tell it what was never committed."""
        rng, world, now = self._rng, self._world, self._world.scheduler.now
        seconds = rng.uniform(1.0, SIEGE_SECONDS)
        if not self._taken_in() or now + seconds > self._end or now < self._siege_until:
            return
        self._siege_until = now + seconds + REST_SECONDS
        host = rng.choice(world.hosts)
        world.count(USURPER)
        for other in world.hosts:
            if other is not host:
                for pair in ((host.address, other.address), (other.address, host.address)):
                    world.network.cut(*pair)
                    world.scheduler.after(seconds, world.network.heal, *pair)
        member = self._learner if rng.random() < 0.7 else f"{rng.getrandbits(64):016x}"
        self._lead(host, member, now + seconds)

    def _lead(self, host: Host, member: str, until: float) -> None:
        world = self._world
        if world.scheduler.now >= until:
            return
        world.scheduler.after(0.2, self._lead, host, member, until)
        node = host.node
        if node is None or node.failure is not None:
            return
        node.gate.admit(member, ADDRESS)
        log, term = node.log, node.engine.term + 1
        last = log.last_index
        entry = bytes(
            encode(world.next_number(), [[None, OUTSIDER, [[verbs.SET, 1, 0, "/usurped", b"x"]], ""]])
        )
        voters = sorted({member, *node.engine.configuration.voters})
        for message in (
            [msg.PREVOTE, term, last + 9, term - 1],
            [msg.VOTE, term, last + 9, term - 1, True],
            [msg.VOTERS, self._rng.getrandbits(48), voters],
            [msg.APPEND, term, last, log.term_at(last), last + 1, 1, [[term, entry]]],
        ):
            self._say(host, member, message)

    def _say(self, host: Host, member: str, message: list[Any]) -> None:
        if host.process is not None and host.process.peers is not None:
            host.process.peers.arrive(member, [msg.pack(message)])

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
