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

from tests.checkers.history import (
    LINEARIZABLE,
    OK,
    PAST,
    REJECTED,
    STALE,
    UNKNOWN,
    Operation,
    Read,
    Write,
)
from tests.sim.holder import Holder
from tests.sim.randoms import log_uniform
from tests.sim.subscriber import Subscriber
from tests.sim.wires import Connection
from visor.protocol import codes, verbs
from visor.protocol.frames import Decoder

if TYPE_CHECKING:
    from tests.sim.host import Host
    from tests.sim.world import World

KEYS: Final = tuple(f"/k/{name}" for name in "abcdef")
GROUPS: Final = tuple(f"/g/{group}" for group in "pq")
LEAVES: Final = ("x", "y", "z")
DEPTH: Final = 4
"""Requests of one client under way."""
TICK_SECONDS: Final = 0.25
SILENCE_SECONDS: Final = 2.5
"""After this much silence, while something is awaited, a client leaves his connection."""
SIZES: Final = (10, 60, 300, 3000)


class Call:
    """One request until it is answered."""

    __slots__ = ("answer", "deadline", "frame", "more", "operation", "sent", "uncertain")

    def __init__(self, operation: Operation, frame: list[Any], deadline: float) -> None:
        self.operation = operation
        self.frame = frame
        self.deadline = deadline
        self.sent = False
        """On this connection."""
        self.uncertain = False
        """It may have been delivered before, or its fate is not known."""
        self.answer: Callable[[Any], object] | None = None
        """Gets the result of OK, or None when it is refused or given up."""
        self.more: dict[str, Any] = {}
        """Of a SCAN: the rows of the pages so far."""

    @property
    def writes(self) -> bool:
        """It is a write."""
        return self.operation.write is not None


class Client:
    """See the module. `number` is its place in the history."""

    def __init__(self, world: World, number: int, rng: random.Random) -> None:
        self.world = world
        self.number = number
        self.rng = rng
        self.connection: Connection | None = None
        self.greeted = False
        self.closing = False
        """It asks nothing new."""
        self.dead = False
        self.pause = log_uniform(rng, 0.01, 0.12)
        """Mean seconds between two requests."""
        self.min_rev = 0
        self._session = rng.randbytes(16)
        self._last_id = 0
        self._hello_id = 0
        self._born: int | None = None
        self._calls: dict[int, Call] = {}
        self._delayed = 0
        self._decoder = Decoder(1 << 24)
        self._heard_at = 0.0
        self._connecting = False
        self._tokens = 0
        self._known: dict[str, int] = {}
        """The last rev of each path that was read: for compare-and-set."""
        self.subscribers: list[Subscriber] = []
        self.holders: list[Holder] = []
        self._host: Host | None = None
        self._after(0.05 * rng.random(), self._connect)
        self._after(rng.random() * self.pause, self._think)
        self._after(TICK_SECONDS * rng.random(), self._tick)

    def _after(self, delay: float, callback: Any, *args: Any) -> None:
        self.world.scheduler.after(delay, callback, *args)

    @property
    def now(self) -> float:
        """The time."""
        return self.world.scheduler.now

    @property
    def idle(self) -> bool:
        """Nothing is awaited."""
        return not self._calls and not self._delayed

    # -- life -----------------------------------------------------------------------------------------------

    def die(self) -> None:
        """The client's process ends: nobody waits for what it asked for."""
        self.dead = True
        self._calls.clear()
        if self.connection is not None:
            self.connection.abandon()
            self.connection = None

    def finish(self) -> None:
        """Ask nothing new; what waits for a rev that may never come waits no more."""
        self.closing = True
        for call in self._calls.values():
            if call.operation.read is not None:
                call.deadline = min(call.deadline, self.now + 3.0)

    def _tick(self) -> None:
        if self.dead:
            return
        self._after(TICK_SECONDS, self._tick)
        for call in list(self._calls.values()):
            if call.deadline <= self.now:
                self._give_up(call)
        if self.connection is not None:
            awaited = any(call.sent for call in self._calls.values()) or not self.greeted
            if self.now - self._heard_at > SILENCE_SECONDS and (awaited or self.subscribers):
                self.world.count("client left a silent connection")
                self._leave()
            elif self.now - self._heard_at > SILENCE_SECONDS / 3 and self.greeted:
                self._say([verbs.PING, self._new_id()])
        for subscriber in self.subscribers:
            subscriber.tick()
        for holder in self.holders:
            holder.tick()

    def _think(self) -> None:
        if self.dead or self.closing:
            return
        self._after(self.pause * 2 * self.rng.random(), self._think)
        if len(self._calls) + self._delayed < DEPTH:
            self._ask_something()

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
        hello = {
            "versions": [verbs.VERSION],
            "client": "sim",
            "actor": f"c{self.number}",
            "session": self._session,
            "min_rev": self.min_rev,
        }
        self._last_id += 1
        self._hello_id = self._last_id
        self._say([verbs.HELLO, self._hello_id, hello])

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
        for holder in self.holders:
            holder.lost()
        if not self.dead:
            self._connect_soon()

    def _say(self, *messages: list[Any]) -> None:
        if self.connection is not None:
            self.connection.send(b"".join([msgpack.packb(message) for message in messages]))

    def say(self, message: list[Any]) -> bool:
        """Send a message of a watch; false when there is no connection."""
        if self.connection is None or not self.greeted:
            return False
        self._say(message)
        return True

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    new_id = _new_id

    # -- asking ---------------------------------------------------------------------------------------------

    def _ask_something(self) -> None:
        choices, weights = self.world.mix
        kind = self.rng.choices(choices, weights)[0]
        getattr(self, f"_ask_{kind}")()

    def token(self) -> str:
        """Return the name of a new write."""
        self._tokens += 1
        return f"c{self.number}-{self._tokens}"

    def _value(self, token: str) -> bytes:
        return f"{token}.".encode() + b"-" * self.rng.choice(SIZES)

    def _ask_set(self) -> None:
        token, path = self.token(), self.rng.choice(KEYS)
        value = self._value(token)
        guard, arg = self.rng.choice(
            (
                (verbs.G_NONE, 0),
                (verbs.G_NONE, 0),
                (verbs.G_REV, self._known.get(path, 0)),
                (verbs.G_SINCE, self._known.get(path, 0)),
                (verbs.G_MISSING, 0),
                (verbs.G_EXISTS, 0),
            )
        )
        frame: list[Any] = [verbs.SET, 0, 0, path, value]
        shape = self.rng.choice((5, 5, 7, 9))
        frame += [guard, arg, 0, token][: 4 if shape == 9 else 2 if guard or shape == 7 else 0]
        guards = ((guard, path, arg),) if guard else ()
        self.ask(Write(token, guards, ((verbs.T_SET, path, value),), (), True), frame)

    def _ask_delete(self) -> None:
        token, path = self.token(), self.rng.choice(KEYS)
        guard, arg = self.rng.choice(((verbs.G_NONE, 0), (verbs.G_REV, self._known.get(path, 0))))
        frame = [verbs.DELETE, 0, 0, path, False, guard, arg, token]
        guards = ((guard, path, arg),) if guard else ()
        self.ask(Write(token, guards, ((verbs.T_DELETE, path),), (), True), frame)

    def _ask_txn(self) -> None:
        """A group's leaves all get the same token, or a few keys change together."""
        token, rng = self.token(), self.rng
        value = self._value(token)
        if rng.random() < 0.6:
            group = rng.choice(GROUPS)
            paths = [f"{group}/{leaf}" for leaf in LEAVES]
        else:
            paths = rng.sample(KEYS, 2)
        then: list[tuple[Any, ...]] = [(verbs.T_SET, path, value) for path in paths]
        then.insert(rng.randrange(len(then) + 1), (verbs.T_GET, rng.choice(paths)))
        guards = tuple(
            (rng.choice((verbs.G_REV, verbs.G_SINCE)), path, self._known.get(path, 0))
            for path in rng.sample(paths, rng.choice((0, 0, 1, 2)))
        )
        otherwise = ((verbs.T_GET, paths[0]), (verbs.T_GET, paths[1]))
        write = Write(token, guards, tuple(then), otherwise)
        rows = [[list(row) for row in part] for part in (guards, then, otherwise)]
        self.ask(write, [verbs.TXN, 0, 0, *rows, token])

    def _ask_nop(self) -> None:
        self.ask(Write(self.token(), (), ()), [verbs.NOP, 0, 0])

    def _ask_get(self) -> None:
        self._ask_read(self.rng.choice(KEYS), LINEARIZABLE, None)

    def _ask_stale(self) -> None:
        self._ask_read(self.rng.choice(KEYS), STALE, None)

    def _ask_past(self) -> None:
        # A rev that is not there yet is waited for.
        rev = self.rng.randint(max(0, self.min_rev - 60), self.min_rev + 3)
        self._ask_read(self.rng.choice(KEYS), PAST, rev)

    def _ask_read(self, path: str, mode: str, at: int | None) -> None:
        frame: list[Any] = [verbs.GET, 0, path]
        if mode != LINEARIZABLE or self.rng.random() < 0.2:
            frame += [at, verbs.STALE if mode == STALE else verbs.LINEARIZABLE]
        self.ask(Read(path, False, mode), frame, at)

    def _ask_scan(self) -> None:
        path = self.rng.choice(("/k", "/g/p", "/g"))
        limit = self.rng.choice((0, 0, 2))
        frame = [verbs.SCAN, 0, [verbs.SEL_TREE, path], None, verbs.LINEARIZABLE, None, limit]
        self.ask(Read(path, True, LINEARIZABLE), frame)

    def _ask_watch(self) -> None:
        """A watch is no request that ends: it is looked after by itself."""
        if len(self.subscribers) < 3:
            self.subscribers.append(Subscriber(self))

    def _ask_lease(self) -> None:
        if len(self.holders) < 2:
            self.holders.append(Holder(self))

    def ask(
        self,
        what: Write | Read,
        frame: list[Any],
        at: int | None = None,
        answer: Callable[[Any], object] | None = None,
    ) -> None:
        """Ask something that goes into the history."""
        operation = Operation(self.number, what, self.now, asked=at)
        self.world.history.operations.append(operation)
        call = Call(operation, frame, self.now + log_uniform(self.rng, 0.5, 12.0))
        call.answer = answer
        self._submit(call)

    def _submit(self, call: Call) -> None:
        call.frame[1] = self._new_id()
        self._calls[call.frame[1]] = call
        if self.greeted:
            self._send(call)

    def _send(self, call: Call) -> None:
        frame = call.frame
        if call.writes:
            frame[2] = min(number for number, one in self._calls.items() if one.writes)
            if call.uncertain:
                self.world.count("retry")
        call.sent = True
        self._say([verbs.RETRY, frame[1], frame, self._born] if call.writes and call.uncertain else frame)

    def _give_up(self, call: Call) -> None:
        del self._calls[call.frame[1]]
        self.world.count("request given up")
        if call.answer is not None:
            call.answer(None)
        if call.writes and not call.uncertain and not call.sent:
            call.operation.outcome = REJECTED
            call.operation.end = self.now
            call.operation.result = ("unavailable", {})

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
        for holder in self.holders:
            if holder.wire == message[1]:
                holder.heard(message)
        for subscriber in self.subscribers:
            if subscriber.wire == message[1]:
                subscriber.heard(message)

    def _welcomed(self, welcome: dict[str, Any]) -> None:
        self.greeted = True
        if self._born is None:
            self._born = welcome["rev"]
        for call in list(self._calls.values()):
            self._send(call)
        for subscriber in self.subscribers:
            subscriber.subscribe()

    def _answered(self, call: Call, result: Any) -> None:
        operation = call.operation
        read = operation.read
        if read is None:
            rev = result if type(result) is int else result[0]
            if type(result) is not int and call.answer is None:
                operation.result = (result[1], result[2])
        elif read.tree:
            rev = result[0]
            call.more |= {path: tuple(version) for path, version in result[1]}
            if result[2] is not None:
                # The next page, of the same rev; at whichever node.
                call.frame[3], call.frame[5], call.uncertain = rev, result[2], False
                self._submit(call)
                return
            operation.result = call.more
        else:
            rev, version = result
            operation.result = {} if version is None else {read.path: tuple(version)}
            if read.mode != PAST:
                self._known[read.path] = 0 if version is None else version[0]
        operation.rev, operation.end, operation.outcome = rev, self.now, OK
        if read is None or read.mode != PAST:
            self.saw(rev)
        if call.answer is not None:
            call.answer(result)

    def saw(self, rev: int) -> None:
        """A rev was seen: no answer may be older from now on."""
        self.min_rev = max(self.min_rev, rev)

    def _refused(self, call: Call, code: str, details: dict[str, Any]) -> None:
        self.world.count(f"refused: {code}")
        operation, family = call.operation, codes.FAMILY.get(code)
        if family == codes.REJECTED:
            operation.end, operation.outcome, operation.result = self.now, REJECTED, (code, details)
            if (
                code == "rev_mismatch" and operation.write is not None and "path" in details
            ):  # a retry has none
                self._known[details["path"]] = details["actual"]
        elif code == "session_lost":
            operation.outcome = UNKNOWN
        else:
            self._put_off(call, code, family)
            return
        if call.answer is not None:
            call.answer(None)

    def _put_off(self, call: Call, code: str, family: str | None) -> None:
        """A refusal that passes: ask again later."""
        if family == codes.UNKNOWN and call.writes:
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
        if call.deadline <= self.now:
            self._calls[call.frame[1]] = call
            self._give_up(call)
        elif call.writes and call.uncertain:
            self._calls[call.frame[1]] = call
            if self.greeted:
                self._send(call)
        else:
            self._submit(call)
