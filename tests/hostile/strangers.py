"""Connections at the peers' port, by somebody without the secret, with it, or with it and a place in the configuration.

    with Stranger(field, secret=True) as one:
        one.say([msg.VOTE, ...])             # as a member with an id of its own making
        one.join("n9", voter=False)          # becomes a configured learner

It uses the real handshake: what is hostile comes after it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.checkers.history import OUTSIDER
from tests.hostile.field import Field
from visord.peers import messages as msg
from visord.peers.asking import ask
from visord.peers.errors import HandshakeError, PeerRefusedError, PeerUnavailableError
from visord.peers.handshake import MEMBER, NONCE, Dialler, Introduction
from visord.peers.outgoing import OutgoingConnection, dial
from visord.peers.security import NOTHING, Security

T = TypeVar("T")
REFUSALS = (OSError, HandshakeError, PeerRefusedError, PeerUnavailableError, ValueError)


class Stranger:
    """One outsider, with a loop of its own. `connected` tells whether he was let in at the place-th member."""

    def __init__(self, field: Field, *, secret: bool, member: str | None = None, place: int = 0) -> None:
        self._field = field
        self._address = field.peers[place]
        self._security = Security(secrets=(field.secret.encode(),)) if secret and field.secret else NOTHING
        self._rng = random.Random(field.rng.random())
        self.member = member or f"{self._rng.getrandbits(64):016x}"
        self._loop = asyncio.new_event_loop()
        self._connections: list[OutgoingConnection] = []
        self.refused = ""

    @property
    def identity(self) -> Introduction:
        return Introduction(self.member, self._field.cluster, "127.0.9.9:9")

    def connect(self, member: str | None = None) -> OutgoingConnection | None:
        """Shake hands as `member`; None when that is refused (`refused` says how)."""
        identity = Introduction(member or self.member, self._field.cluster, "127.0.9.9:9")
        dialler = Dialler(
            identity,
            expect=None,
            purpose=MEMBER,
            secret=self._security.secret,
            nonce=self._rng.randbytes(NONCE),
        )
        try:
            connection = self.run(dial(self._loop, self._address, dialler, self._security))
        except REFUSALS as error:
            self.refused = str(error)
            return None
        self._connections.append(connection)
        return connection

    def say(self, *messages: list[Any], pause: float = 0.02) -> bool:
        """Send messages on a connection of their own; False when there was none, or it was closed meanwhile."""
        connection = self.connect()
        if connection is None:
            return False
        for message in messages:
            try:
                connection.send(msg.pack(message))
            except (ValueError, OverflowError):
                continue  # no msgpack
            self.run(asyncio.sleep(pause))
        return not connection.lost.done()

    def say_bytes(self, *pieces: bytes, pause: float = 0.02) -> bool:
        """The same with bytes that may be no message."""
        connection = self.connect()
        if connection is None:
            return False
        for piece in pieces:
            connection.send(piece)
            self.run(asyncio.sleep(pause))
        return not connection.lost.done()

    def question(self, message: list[Any]) -> list[Any] | None:
        """Ask as a node that is no member; None when there is no answer."""
        try:
            return self.run(
                ask(
                    self._loop,
                    self._address,
                    msg.pack(message),
                    me=Introduction(self.member, None, "127.0.9.9:9"),
                    security=self._security,
                    rng=self._rng,
                    timeout=3.0,
                )
            )
        except (*REFUSALS, Exception) as error:
            self.refused = str(error)
            return None

    def join(
        self, name: str, *, voter: bool = False, peer: str = "127.0.9.9:9", client: str = "127.0.9.9:8"
    ) -> bool:
        """Ask to be taken in; tell whether that was done."""
        answer = self.question([msg.JOIN, self.member, name, peer, client, voter])
        if answer is None or len(answer) < 3 or answer[1] is not True:
            self.refused = repr(answer)
            return False
        return True

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        for connection in self._connections:
            connection.abort("over")
        self.run(asyncio.sleep(0))
        self._loop.close()

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


EDGES = (0, 1, (1 << 31), (1 << 53) + 1, (1 << 62) - 1, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


def odd_messages(field: Field, term: int) -> list[list[Any]]:
    """Return messages of every kind between members with integers, texts and lists that nobody sends."""
    rng = field.rng
    edge = lambda: rng.choice(EDGES)  # noqa: E731
    near = lambda: rng.choice((term, term + 1, term + 5, edge()))  # noqa: E731
    junk = rng.choice(
        (b"\x00", b"\x07junk", b"\x02junk", b"\x00\x93\x09\x01\x90", b"\x00\x93\x01\x01\xc0", b"\x01")
    )
    here, committed, name = field.members[0] if field.members else "x", field.committed, OUTSIDER
    return [
        [msg.VOTE, near(), edge(), edge(), rng.random() < 0.5],
        [msg.VOTED, edge()],
        [msg.PREVOTE, edge(), edge(), edge()],
        [msg.PREVOTED, edge(), True, edge()],
        [msg.ROUND, near(), edge()],
        [msg.ROUNDED, near(), edge()],
        [msg.POSITION, near(), edge(), rng.random() < 0.5, rng.random() < 0.5, edge()],
        [msg.TIMEOUT_NOW, near()],
        [msg.INSTALL, near(), edge(), edge(), edge()],
        [msg.APPEND, near(), committed, term, committed + 1, edge(), [[near(), junk]]],
        [msg.APPEND, near(), edge(), edge(), edge(), edge(), []],
        [msg.APPEND, near(), 0, 0, edge(), 1, [[edge(), junk]]],
        [msg.FORWARD, [[edge(), None, 5, [], ""], [2, b"x" * 70, name, [5], ""], [3, {}, [], {}, []]]],
        [msg.FORWARD, [[edge(), None, name, [[]] * 3, ""], [5, None, "a" * 5000, [[]], ""], [6, None, name, [], 5]]],
        [msg.FORWARD, [[4, None, name, [[30, 1, 0, "/fuzz/forged", b""]], "10.0.9.9"]]],
        [msg.FORWARD, [[7, None, name, [[38, 1, 0, number, term] for number in range(1, 6)], ""]]],
        [msg.FORWARD, [[edge(), b"s" * 16, name, [[38, 1, 0, 1, edge()], [39, 1, [39, 1, []]], [30, edge()]], ""]]],
        [msg.PLACED, [[edge(), edge(), edge(), edge()], 5, [1, 2, 3, 4, 5]]],
        [msg.REFUSED, [None, {}, [], edge()], "x", "y", {}],
        [msg.READ_INDEX, edge()],
        [msg.READ_AT, edge(), "x"],
        [msg.READ_AT, edge(), edge()],
        [msg.KEEP, 1, 60, [[edge()]]],
        [msg.KEEP, 2, edge(), []],
        [msg.KEEP, 3, 61, [edge(), []]],
        [msg.KEPT, edge(), True, 5],
        [msg.CALL, 1, "hash", [rng.choice((None, "x", edge(), -1, 1.5, [], {}, [[]]))]],
        [msg.CALL, 2, "hash", []],
        [msg.CALL, 3, "update", [here, "127.0.9.1:1", "evil.example:1"]],
        [msg.CALL, 4, "add", ["x", "y\n", "", "", True]],
        [msg.CALL, 5, rng.choice(("promote", "transfer", "nothing", "\x1b[31m")), [rng.choice((None, 5, "x", []))]],
        [msg.RESULT, edge(), True, 5],
        [msg.OFFER, edge()],
        [msg.OFFERED, edge(), rng.choice(({}, 5, [], None))],
        [msg.FETCH, 1, rng.choice((None, 5, {}, [1])), "../../etc/passwd", 0, 10],
        [msg.FETCH, 1, "x", "/etc/passwd", edge(), edge()],
        [msg.CHUNK, edge(), rng.choice((5, b"x", [], None))],
        [msg.HASH, edge(), edge()],
        [msg.HASHED, edge(), edge(), rng.choice(([], "x", None)), "why\x1b]0;x\x07"],
        [msg.VERDICT, edge(), rng.choice(("x", None, 5)), [here, 1, None]],
        [msg.GONE, b"\x02\x93\x01\x90\x91\xb0" + here.encode()[:16]],
        [msg.GONE, b"junk"],
        [msg.WHO], [msg.IS, "x", "y"], [msg.JOINED, True, 5],
        [rng.randrange(-5, 200), *([edge()] * rng.randrange(6))],
    ]  # fmt: skip


def forged(message: list[Any], writes: Callable[[], bytes], rng: random.Random) -> bytes | None:
    """Return the bytes of an odd message; a FORWARD mostly carries mutated writes instead. None: no msgpack."""
    if message[0] == msg.FORWARD and rng.random() < 0.7:
        group = b"\x91\x95\x07\xc0" + msg.pack((OUTSIDER,))[1:] + b"\x93" + writes() + b"\xa810.0.9.9"
        return bytes([0x92, msg.FORWARD]) + group
    try:
        return msg.pack(message)
    except (ValueError, OverflowError):
        return None
