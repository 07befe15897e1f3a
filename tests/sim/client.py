"""A simulated client: it speaks the protocol byte by byte, loses connections, comes back elsewhere and asks again.

It keeps the rules of visor/docs/protocol.md (ids rise, `acked` is the lowest unanswered write, RETRY for what may be
done, `min_rev` in HELLO) and, within them, is as inconvenient as it can: it leaves connections whose bytes are still
under way, repeats at another node at once, gives up, dies and returns under a new identity. Everything it asks and
hears goes into the history.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgpack

from tests.sim.randoms import log_uniform
from tests.sim.subscriber import Subscriber
from tests.sim.wires import Connection
from tests.sim.workload import TICK_SECONDS, Asked, Workload
from visor.protocol import codes, verbs
from visor.protocol.frames import Decoder

if TYPE_CHECKING:
    from tests.sim.host import Host
    from tests.sim.world import World

SILENCE_SECONDS: Final = 2.5
"""After this much silence, while something is awaited, a client leaves its connection."""
LOST: Final = "lost"


class Call:
    """One request until it is answered."""

    __slots__ = ("asked", "sent", "uncertain")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.sent = False
        """On this connection."""
        self.uncertain = False
        """It may have been delivered before, or its fate is not known."""


class Client(Workload):
    """See the module."""

    def __init__(self, world: World, number: int, rng: random.Random) -> None:
        super().__init__(world, number, rng)
        self.greeted = False
        self._session = rng.randbytes(16)
        self._last_id = 0
        self._hello_id = 0
        self._born: int | None = None
        self._calls: dict[int, Call] = {}
        self._keeping: dict[int, Callable[[str | None, Any], object]] = {}
        """Keep-alives on this connection, by id."""
        self._delayed = 0
        self._decoder = Decoder(1 << 24)
        self._heard_at = 0.0
        self._connecting = False
        self._subscribers: list[Subscriber] = []
        self._host: Host | None = None
        self._after(0.05 * rng.random(), self._connect)
        self._after(rng.random() * self.pause, self._think)
        self._after(TICK_SECONDS * rng.random(), self._tick)

    @property
    def subscribers(self) -> list[Subscriber]:
        """The watches."""
        return self._subscribers

    @property
    def busy(self) -> int:
        """How many requests are under way."""
        return len(self._calls) + self._delayed

    # -- life -----------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Ask nothing new; what waits for a rev that may never come waits no more."""
        self.closing = True
        for call in self._calls.values():
            if call.asked.operation.read is not None:
                call.asked.deadline = min(call.asked.deadline, self.now + 3.0)

    def _tick(self) -> None:
        if self.dead:
            return
        self._after(TICK_SECONDS, self._tick)
        for call in list(self._calls.values()):
            if call.asked.deadline <= self.now:
                self._give_up(call)
        if self.connection is not None:
            awaited = any(call.sent for call in self._calls.values()) or not self.greeted
            if self.now - self._heard_at > SILENCE_SECONDS and (awaited or self.subscribers):
                self.world.count("client left a silent connection")
                self._leave()
            elif self.now - self._heard_at > SILENCE_SECONDS / 3 and self.greeted:
                self._send([verbs.PING, self.new_id()])
        for subscriber in self.subscribers:
            subscriber.tick()
        for holder in list(self.holders):
            holder.tick()

    # -- the connection -------------------------------------------------------------------------------------

    def _connect(self) -> None:
        if self.dead or self.connection is not None:
            return
        hosts = [host for host in self.world.hosts if host is not self._host] or self.world.hosts
        host = self._host = self.rng.choice(hosts)
        connection = self.world.accept(host, self)
        if connection is None:
            self._connect_soon()
            return
        self.connection, self.greeted = connection, False
        self._heard_at = self.now
        self._decoder = Decoder(1 << 24)
        self._hello_id = self.new_id()
        self._send([verbs.HELLO, self._hello_id, self._hello()])

    def _hello(self) -> dict[str, Any]:
        return {
            "versions": [verbs.VERSION],
            "client": "sim",
            "actor": f"c{self.number}",
            "session": self._session,
            "min_rev": self.min_rev,
        }

    def _connect_soon(self) -> None:
        if not self._connecting:
            self._connecting = True
            self._after(log_uniform(self.rng, 0.005, 0.3), self._connect_now)

    def _connect_now(self) -> None:
        self._connecting = False
        self._connect()

    def _leave(self) -> None:
        if self.connection is not None:
            self.connection.abandon()
            self._lost()

    def hung_up(self, connection: Connection) -> None:
        """The connection is gone."""
        if connection is self.connection:
            self._lost()

    def _lost(self) -> None:
        self.connection = None
        self.greeted = False
        for call in self._calls.values():
            call.uncertain = call.uncertain or call.sent
            call.sent = False
        for subscriber in self.subscribers:
            subscriber.lost()
        keeping, self._keeping = self._keeping, {}
        for answer in keeping.values():
            answer(LOST, None)
        if not self.dead:
            self._connect_soon()

    def _send(self, *messages: list[Any]) -> None:
        if self.connection is not None:
            self.connection.send(b"".join([msgpack.packb(message) for message in messages]))

    def send(self, message: list[Any]) -> bool:
        """Send a message of a watch; false when there is no connection."""
        if self.connection is None or not self.greeted:
            return False
        self._send(message)
        return True

    def new_id(self) -> int:
        """Return an id that no message had."""
        self._last_id += 1
        return self._last_id

    # -- asking ---------------------------------------------------------------------------------------------

    def keep(self, lease: int, answer: Callable[[str | None, Any], object]) -> bool:
        """Keep a lease alive, on this connection; see `Workload.keep`."""
        number = self.new_id()
        if not self.send([verbs.KEEPALIVE, number, [lease]]):
            return False
        self._keeping[number] = answer
        return True

    def _watch(self) -> None:
        self._subscribers.append(Subscriber(self))

    def _submit(self, asked: Asked) -> None:
        self._submit_call(Call(asked))

    def _submit_call(self, call: Call) -> None:
        call.asked.frame[1] = self.new_id()
        self._calls[call.asked.frame[1]] = call
        if self.greeted:
            self._send_call(call)

    def _send_call(self, call: Call) -> None:
        frame, writes = call.asked.frame, call.asked.writes
        if writes:
            frame[2] = min(number for number, one in self._calls.items() if one.asked.writes)
            if call.uncertain:
                self.world.count("retry")
        call.sent = True
        self._send([verbs.RETRY, frame[1], frame, self._born] if writes and call.uncertain else frame)

    def _give_up(self, call: Call) -> None:
        asked = call.asked
        del self._calls[asked.frame[1]]
        self.world.count("request given up")
        if asked.writes and not call.uncertain and not call.sent:
            self.refused(asked, "unavailable", {})
        else:
            self.unknown(asked)

    # -- hearing --------------------------------------------------------------------------------------------

    def heard(self, connection: Connection, data: bytes) -> None:
        """Bytes of a connection."""
        if connection is not self.connection:
            return
        self._heard_at = self.now
        for message in self._decoder.feed(data):
            if connection is not self.connection:
                return
            self._message(message)
        if self._decoder.violation is not None:
            self.world.broken(f"a node sent what is no message: {self._decoder.violation}", None)

    def _message(self, message: list[Any]) -> None:
        kind = message[0]
        if kind == verbs.OK:
            if message[1] == self._hello_id and not self.greeted:
                self._welcomed(message[2])
            elif message[1] in self._calls:
                self._answered(self._calls.pop(message[1]), message[2])
            else:
                self._to_others(message)
        elif kind == verbs.ERROR:
            call = self._calls.pop(message[1], None)
            if call is not None:
                self._refused(call, message[2], message[4])
            elif message[1] == self._hello_id:
                self._leave()
            else:
                self._to_others(message)
        elif kind == verbs.GOAWAY:
            self.world.count(f"goaway {message[1]}")
            if message[1] == "bad_request":
                self.world.broken(f"a node refused a client's bytes: {message}", None)
        else:
            self._to_others(message)

    def _to_others(self, message: list[Any]) -> None:
        answer = self._keeping.pop(message[1], None)
        if answer is not None:
            kept = message[0] == verbs.OK
            answer(None if kept else message[2], message[2] if kept else None)
        for subscriber in self.subscribers:
            if subscriber.wire == message[1]:
                subscriber.heard(message)

    def _welcomed(self, welcome: dict[str, Any]) -> None:
        self.greeted = True
        if self._born is None:
            self._born = welcome["rev"]
        for call in list(self._calls.values()):
            self._send_call(call)
        for subscriber in self.subscribers:
            subscriber.subscribe()

    def _answered(self, call: Call, result: Any) -> None:
        if not self.took(call.asked, result):
            call.uncertain = False
            self._submit_call(call)

    def _refused(self, call: Call, code: str, details: dict[str, Any]) -> None:
        self.world.count(f"refused: {code}")
        family = codes.FAMILY.get(code)
        if family == codes.REJECTED:
            self.refused(call.asked, code, details)
        elif code == "session_lost":
            self.unknown(call.asked)
        else:
            self._put_off(call, code, family)

    def _put_off(self, call: Call, code: str, family: str | None) -> None:
        """A refusal that passes: ask again later."""
        if family == codes.UNKNOWN and call.asked.writes:
            call.uncertain = True
        call.sent = False
        self._delayed += 1
        self._after(log_uniform(self.rng, 0.01, 0.3), self._again, call)
        if code in ("not_leader", "closing") or self.rng.random() < 0.2:
            self._leave()

    def _again(self, call: Call) -> None:
        """Ask again: under the same id when it may have happened, under a new one when it did not."""
        self._delayed -= 1
        if self.dead:
            return
        asked = call.asked
        if asked.deadline <= self.now:
            self._calls[asked.frame[1]] = call
            self._give_up(call)
        elif asked.writes and call.uncertain:
            self._calls[asked.frame[1]] = call
            if self.greeted:
                self._send_call(call)
        else:
            self._submit_call(call)
