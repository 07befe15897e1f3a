"""The network between members: connections that delay, stall, break and forget, as TCP's do.

Every member dials every other one; its connection carries what it says, in order. What can go wrong:

- a link (one direction between two machines) is **cut**: nothing gets through. What was sent waits, as TCP sends again;
  after a while the connection breaks. If the cut ends before, everything comes at once, late. Dialling needs both
  directions;
- a link is **clogged**: bytes pass one a microsecond or slower, `send` returns False when too many wait;
- a connection **breaks**: what was not delivered is lost from some point on; what is left of it may also come
  **late**, from the receiver's buffer of the old connection, when a new one is already in use;
- a process ends: the others hear of it at once, or only after a while.

Within one connection nothing is reordered or changed. What Raft says may come **again** some time later, which no TCP
does: the algorithm promises to bear it. All else relies on a connection that repeats nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgpack

from tests.sim.randoms import log_uniform
from tests.sim.scheduler import NodeLoop, Scheduler, Timer
from visord.peers.errors import AnswerLostError, PeerUnavailableError
from visord.peers.outgoing import DIAL_SECONDS
from visord.raft.engine import is_for_engine
from visord.state.formats import FORMAT

BOUND: Final = 1 << 20
"""Bytes that may wait on one connection before `send` drops."""
NOTICE_SECONDS: Final = (0.0005, 3.0)
"""How long it takes to notice that a peer is gone: at once (a reset), or never hearing from it again."""
STALL_SECONDS: Final = (0.5, 20.0)
"""How long bytes stall before the connection is given up."""
REDIAL_SECONDS: Final = (0.01, 0.6)


class Link:
    """One direction between two machines."""

    __slots__ = ("bandwidth", "cut", "high", "jitter", "low")

    def __init__(self, low: float, high: float, jitter: float) -> None:
        self.low = low
        self.high = high
        self.jitter = jitter
        """Chance that one message takes much longer than usual."""
        self.cut = False
        self.bandwidth: float | None = None
        """Bytes a second; None: no bound."""

    def delay(self, rng: random.Random, size: int) -> float:
        """Return the seconds that a message takes."""
        delay = self.low + (self.high - self.low) * rng.random()
        if rng.random() < self.jitter:
            delay += log_uniform(rng, 0.005, 0.3)
        return delay if self.bandwidth is None else delay + size / self.bandwidth


class Network:
    """All machines, by address, and the links between them."""

    def __init__(self, scheduler: Scheduler, rng: random.Random, counts: Counter[str]) -> None:
        self.scheduler = scheduler
        self.rng = rng
        self.counts = counts
        self.latency = (0.0002, 0.001, 0.0)
        """Of new links: least, most, chance of much more."""
        self.late_chance = 0.0
        """Chance that what a broken connection still held arrives when the next one is in use."""
        self.repeat_chance = 0.0
        """Chance that a message of Raft's comes a second time."""
        self.silent_chance = 0.2
        """Chance that nobody is told when a process ends."""
        self.questions = Questions(self)
        self.endpoints: dict[str, SimPeers] = {}
        """Who listens, by address."""
        self._links: dict[tuple[str, str], Link] = {}

    def link(self, source: str, target: str) -> Link:
        """Return the direction from one address to another."""
        link = self._links.get((source, target))
        if link is None:
            link = self._links[source, target] = Link(*self.latency)
        return link

    def links(self) -> list[Link]:
        """Return all directions that were ever used."""
        return list(self._links.values())

    def cut(self, source: str, target: str) -> None:
        """Let nothing through in this direction."""
        self.link(source, target).cut = True
        self._touch(source, target)

    def heal(self, source: str, target: str) -> None:
        """Let everything through again, also what waited."""
        link = self.link(source, target)
        link.cut, link.bandwidth = False, None
        self._touch(source, target)

    def clog(self, source: str, target: str, bandwidth: float) -> None:
        """Let so many bytes a second through."""
        self.link(source, target).bandwidth = bandwidth

    def heal_all(self) -> None:
        """End all cuts and clogs, for links to come too."""
        for source, target in list(self._links):
            self.heal(source, target)
        self.late_chance = self.repeat_chance = 0.0

    def break_connections(self, source: str, target: str) -> None:
        """Reset the connection that `source` dialled."""
        endpoint = self.endpoints.get(source)
        connection = endpoint.connection_to(target) if endpoint is not None else None
        if connection is not None and connection.up:
            self.counts["connection reset"] += 1
            connection.lose()

    def listen(self, endpoint: SimPeers) -> None:
        """Take part; a former process at this address is forgotten."""
        self.endpoints[endpoint.address] = endpoint

    def gone(self, endpoint: SimPeers) -> None:
        """The process at this address ended: everybody's connections to it break, sooner or later."""
        if self.endpoints.get(endpoint.address) is endpoint:
            del self.endpoints[endpoint.address]
        for other in list(self.endpoints.values()):
            connection = other.connection_to(endpoint.address)
            if connection is not None and connection.up and connection.peer is endpoint:
                connection.peer_ended()

    def review(self, endpoint: SimPeers) -> None:
        """Hang up on those whom a process does not let in any more."""
        for other in list(self.endpoints.values()):
            connection = other.connection_to(endpoint.address)
            if (
                connection is not None
                and connection.peer is endpoint
                and endpoint.admit(other.member, other.address)
            ):
                connection.lose()

    def _touch(self, source: str, target: str) -> None:
        for one, other in ((source, target), (target, source)):
            endpoint = self.endpoints.get(one)
            connection = endpoint.connection_to(other) if endpoint is not None else None
            if connection is not None:
                connection.look()


class Connection:
    """What one member says to another over one TCP connection after the other."""

    def __init__(self, network: Network, owner: SimPeers, member: str, address: str) -> None:
        self._network = network
        self._owner = owner
        self._queue: deque[tuple[float, bytes]] = deque()
        """(when it may arrive, message), undelivered."""
        self._timer: Timer | None = None
        self._stall: Timer | None = None
        self._closed = False
        self.member = member
        self.address = address
        self.up = False
        self.epoch = 0
        """Which connection to this member it is, from 1."""
        self.peer: SimPeers | None = None
        """The process that accepted."""
        self.waiting = 0
        """Undelivered bytes."""
        self._dial_soon()

    # -- making ---------------------------------------------------------------------------------------------

    def _dial_soon(self) -> None:
        rng = self._network.rng
        self._after(log_uniform(rng, *REDIAL_SECONDS) * rng.random(), self._dial)

    def _dial(self) -> None:
        network, here, there = self._network, self._owner.address, self.address
        if self._closed or self._owner.closed:
            return
        if there not in network.endpoints or self._cut():
            self._dial_soon()
            return
        link = network.link(here, there)
        self._after(2 * link.delay(network.rng, 0), self._accepted)

    def _accepted(self) -> None:
        owner, peer = self._owner, self._network.endpoints.get(self.address)
        if self._closed or owner.closed:
            return
        if (
            peer is None
            or peer.closed
            or self._cut()
            or peer.member != self.member
            or peer.cluster != owner.cluster
            or not self._admitted(peer)
        ):
            self._dial_soon()
            return
        self.up, self.peer = True, peer
        self.epoch += 1
        owner.tell(self.member, self.epoch)

    def _admitted(self, peer: SimPeers) -> bool:
        """Tell whether a process lets this one in; where not because it was removed, it hears so."""
        owner = self._owner
        if peer.admit(owner.member, owner.address) is None:
            return True
        if peer.removed(owner.member):
            owner.refused(self.member)
        return False

    def _cut(self) -> bool:
        network, here, there = self._network, self._owner.address, self.address
        return network.link(here, there).cut or network.link(there, here).cut

    # -- carrying -------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> bool:
        """Take a message, unless too much waits."""
        network = self._network
        if not self.up or (self.waiting and self.waiting + len(data) > BOUND):
            network.counts["send refused"] += self.up
            return False
        link = network.link(self._owner.address, self.address)
        now = network.scheduler.now
        last = self._queue[-1][0] if self._queue else now
        start = now if link.bandwidth is None else max(now, last)
        at = max(last, start + link.delay(network.rng, len(data)))
        self._queue.append((at, data))
        self.waiting += len(data)
        if link.cut:
            network.counts["message stalled"] += 1
            self._begin_to_stall()
        elif self._timer is None:
            self._timer = network.scheduler.at(at, self._deliver)
        return True

    def look(self) -> None:
        """A link was cut or healed."""
        if not self.up:
            return
        if self._cut():
            self._begin_to_stall()
        elif self._stall is not None:
            self._stall.cancel()
            self._stall = None
        network = self._network
        link = network.link(self._owner.address, self.address)
        if link.bandwidth is None and self._queue:
            soon = network.scheduler.now + link.high
            self._queue = deque((min(at, soon), data) for at, data in self._queue)
        self._deliver()

    def _deliver(self) -> None:
        """Hand over what has arrived by now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        network, peer, queue = self._network, self.peer, self._queue
        if not self.up or peer is None or network.link(self._owner.address, self.address).cut:
            return
        now = network.scheduler.now
        arrived = []
        while queue and queue[0][0] <= now:
            data = queue.popleft()[1]
            self.waiting -= len(data)
            arrived.append(data)
        if queue:
            self._timer = network.scheduler.at(queue[0][0], self._deliver)
        if arrived:
            network.counts["messages"] += len(arrived)
            peer.arrive(self._owner.member, arrived)
            if network.repeat_chance and network.rng.random() < network.repeat_chance:
                self._repeat(peer, arrived)

    def _repeat(self, peer: SimPeers, messages: list[bytes]) -> None:
        again = [data for data in messages if is_for_engine(msgpack.unpackb(data)[0])]
        self._network.counts["repeated delivery"] += len(again)
        delay = log_uniform(self._network.rng, 0.001, 2.0)
        self._network.scheduler.after(delay, peer.arrive, self._owner.member, again)

    # -- breaking -------------------------------------------------------------------------------------------

    def _begin_to_stall(self) -> None:
        if self._stall is None:
            self._stall = self._after(log_uniform(self._network.rng, *STALL_SECONDS), self._give_up)

    def _give_up(self) -> None:
        self._stall = None
        if self.up:
            self._network.counts["connection timed out"] += 1
            self.lose()

    def peer_ended(self) -> None:
        """The process at the other end is gone: what is under way is lost."""
        network = self._network
        self._queue.clear()
        self.peer = None
        quick, slow = NOTICE_SECONDS
        silent = network.rng.random() < network.silent_chance
        network.counts["peer's end not noticed"] += silent
        self._after(slow * network.rng.random() if silent else quick, self._notice)

    def _notice(self) -> None:
        if self.up and self.peer is None:
            self.lose()

    def lose(self) -> None:
        """The connection breaks, for its owner now; a beginning of what is under way still arrives, perhaps late."""
        if not self.up:
            return
        network, peer = self._network, self.peer
        self.up, self.peer = False, None
        for timer in (self._timer, self._stall):
            if timer is not None:
                timer.cancel()
        self._timer = self._stall = None
        rest = [data for _, data in self._queue]
        self._queue.clear()
        self.waiting = 0
        if rest and peer is not None and not network.link(self._owner.address, self.address).cut:
            rest = rest[: network.rng.randrange(len(rest) + 1)]
            if rest and network.rng.random() < network.late_chance:
                network.counts["late delivery"] += len(rest)
                delay = log_uniform(network.rng, 0.005, 2.0)
                network.scheduler.after(delay, peer.arrive, self._owner.member, rest)
            elif rest:
                peer.arrive(self._owner.member, rest)
        if not self._owner.closed:
            self._owner.tell(self.member, 0)
            if not self._closed:
                self._dial_soon()

    def close(self) -> None:
        """Hang up for good."""
        self._closed = True
        self.lose()

    def _after(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        return self._network.scheduler.after(delay, callback, *args)


class Questions:
    """Questions of nodes that are no members, to an address: a connection each, as `visord.peers.asking` makes."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.rng = network.rng
        self._open: list[tuple[SimPeers, SimPeers, asyncio.Future[list[Any]]]] = []
        """Who has it, who waits for the answer, and where that goes."""

    async def ask(self, asker: SimPeers, address: str, data: bytes, seconds: float) -> list[Any]:
        """Return the answer. Raises as `asking.ask` does."""
        network = self._network
        network.counts["join asked"] += 1
        answer: asyncio.Future[list[Any]] = asker.loop.create_future()
        there, back = network.link(asker.address, address), network.link(address, asker.address)
        if there.cut or back.cut:
            await asyncio.sleep(min(seconds, DIAL_SECONDS))
            raise PeerUnavailableError(f"{address}: nothing is heard")
        network.scheduler.after(there.delay(self.rng, len(data)), self._arrive, asker, address, data, answer)
        try:
            return await asyncio.wait_for(answer, seconds)
        except TimeoutError:
            raise AnswerLostError(f"{address}: no answer within {seconds:g} s") from None

    def _arrive(self, asker: SimPeers, address: str, data: bytes, answer: asyncio.Future[list[Any]]) -> None:
        found = self._network.endpoints.get(address)
        if found is None:
            self._fail(asker, answer, PeerUnavailableError(f"{address}: nobody listens"))
            return
        self._open.append((found, asker, answer))
        host = asker.address.rpartition(":")[0]
        reply = partial(self._answered, found, asker, answer)
        found.loop.call_soon(found.answer, msgpack.unpackb(data, raw=False), reply, host)

    def _answered(
        self, found: SimPeers, asker: SimPeers, answer: asyncio.Future[list[Any]], data: bytes
    ) -> None:
        back = self._network.link(found.address, asker.address)
        if (found, asker, answer) not in self._open or back.cut:
            return  # the asker waits until its patience is over
        self._open.remove((found, asker, answer))
        delay = back.delay(self.rng, len(data))
        asker.loop.call_later(delay, self._tell, answer, data)

    def _tell(self, answer: asyncio.Future[list[Any]], data: bytes) -> None:
        if not answer.done():
            answer.set_result(msgpack.unpackb(data, raw=False))

    def _fail(self, asker: SimPeers, answer: asyncio.Future[list[Any]], error: Exception) -> None:
        delay = log_uniform(self.rng, *NOTICE_SECONDS)
        asker.loop.call_later(delay, self._failed, answer, error)

    def _failed(self, answer: asyncio.Future[list[Any]], error: Exception) -> None:
        if not answer.done():
            answer.set_exception(error)

    def gone(self, endpoint: SimPeers) -> None:
        """The process at an address ended: who waits for its answer notices."""
        lost = [one for one in self._open if endpoint in one[:2]]
        self._open = [one for one in self._open if endpoint not in one[:2]]
        for found, asker, answer in lost:
            if found is endpoint:
                self._fail(asker, answer, AnswerLostError(f"{found.address}: the connection was lost"))


class SimPeers:
    """One process's end of the network: `visord.peers.network.Peers`.

    What the process believes of its connections changes only when its loop runs: a frozen process still sends into
    connections that are long gone.
    """

    receive: Callable[[str, list[Any]], None]
    changed: Callable[[str, bool], None]

    def __init__(self, network: Network, loop: NodeLoop, member: str, cluster: str, address: str) -> None:
        self._network = network
        self.loop = loop
        self._connections: dict[str, Connection] = {}
        self._believed: dict[str, int] = {}
        """The epoch of the connection that the process believes in; 0: none."""
        self.member = member
        self.cluster = cluster
        self.address = address
        self.closed = False
        self.admit: Callable[[str, str], str | None] = lambda member, address: None
        """Why a member may not connect; None when it may."""
        self.removed: Callable[[str], bool] = lambda member: False
        """Whether a member was removed: it is told so."""
        self.dismissed: Callable[[str], None] = lambda member: None
        """Called with who was dialled and says that this process was removed."""
        self.answer: Callable[[list[Any], Callable[[bytes], None], str], None] = lambda message, reply, host: (
            None
        )
        """Answers a question of a node that is no member: `answer(message, reply, host)`."""
        network.listen(self)

    def set_members(self, addresses: Mapping[str, str]) -> None:
        for member in [one for one in self._connections if one not in addresses]:
            self._drop(member)
        for member, address in addresses.items():
            known = self._connections.get(member)
            if known is not None and known.address != address:
                self._drop(member)
            if member not in self._connections:
                self._connections[member] = Connection(self._network, self, member, address)
        self._network.review(self)

    def _drop(self, member: str) -> None:
        self._connections.pop(member).close()
        self._believed.pop(member, None)

    def send(self, member: str, data: bytes) -> bool:
        epoch = self._believed.get(member, 0)
        if not epoch:
            return False
        connection = self._connections[member]
        if connection.epoch != epoch or not connection.up:
            return True  # into a connection that is gone
        return connection.send(data)

    async def ask(self, address: str, data: bytes, seconds: float) -> list[Any]:
        """Ask whoever is at an address, as no member."""
        return await self._network.questions.ask(self, address, data, seconds)

    def queued(self, member: str) -> int:
        connection = self._connections.get(member)
        return 0 if connection is None else connection.waiting

    def reachable(self, member: str) -> bool:
        return self._believed.get(member, 0) > 0

    def reads(self, member: str) -> int:
        return FORMAT

    def require(self, form: int) -> None:
        pass

    def certified(self, member: str) -> bool:
        return False

    def hang_up(self, member: str) -> None:
        for other in list(self._network.endpoints.values()):
            connection = other.connection_to(self.address) if other.member == member else None
            if connection is not None and connection.up and connection.peer is self:
                connection.lose()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._network.gone(self)
            self._network.questions.gone(self)
            for connection in self._connections.values():
                connection.close()

    # -- from the network -----------------------------------------------------------------------------------

    def connection_to(self, address: str) -> Connection | None:
        """Return the connection that this process keeps to an address."""
        for connection in self._connections.values():
            if connection.address == address:
                return connection
        return None

    def arrive(self, member: str, messages: list[bytes]) -> None:
        """Messages came in one piece: hand them over within one callback of the loop."""
        if not self.closed:
            self.loop.call_soon(self._hand_over, member, messages)

    def tell(self, member: str, epoch: int) -> None:
        """A connection was made, the member's so-manieth, or broke (0)."""
        self.loop.call_soon(self._changed, member, epoch)

    def refused(self, member: str) -> None:
        """A member does not let this process in: it was removed."""
        self.loop.call_soon(self._refused, member)

    def _refused(self, member: str) -> None:
        if not self.closed and member in self._connections:
            self.dismissed(member)

    def _changed(self, member: str, epoch: int) -> None:
        if self.closed or member not in self._connections:
            return
        if epoch:
            self._believed[member] = epoch
            self.changed(member, True)
        elif self._believed.pop(member, 0):
            self.changed(member, False)

    def _hand_over(self, member: str, messages: list[bytes]) -> None:
        receive = self.receive
        for data in messages:
            if self.closed:
                return
            receive(member, msgpack.unpackb(data, raw=False))
