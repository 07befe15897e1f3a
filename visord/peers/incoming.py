"""The accepting side: connections that strangers, members and askers open to this node.

A connection is in one of three places: among the strangers until its handshake is done, then with its member (of whom
the newest connection counts, so that what it sent before cannot come after what it sends now) or among the askers.
Strangers are few and have little time, from `accept` on, also while TLS shakes hands, until the socket is closed: when
there are too many, the oldest goes of the host that has most (`crowd`).

Connections are accepted a few at a time, with a pause while more wait: a flood of them takes a part of a processor, all
else has its turns, and who shakes hands has a moment for it before it is the oldest of 64 strangers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from visord.peers.crowd import Crowd
from visord.peers.errors import HandshakeError, PeerRefusedError
from visord.peers.frames import HANDSHAKE_LIMIT, MessageReader, Seal, cut, frame
from visord.peers.handshake import ASK, Accepter, Hello, refusal
from visord.peers.mistaken import WHO_DIALS, tls_problem, what_dials
from visord.peers.outgoing import tune
from visord.peers.probation import Probation
from visord.peers.security import Security
from visord.peers.telling import Seldom

logger = logging.getLogger("visord.peers")

HANDSHAKE_SECONDS: Final = 3.0
LINGER_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 120.0
"""How long an asker is kept."""
STRANGERS: Final = 64
ASKERS: Final = 256
COMPLAINTS: Final = 256
"""Kinds of complaints about peers that are logged within a minute, each once."""
BACKLOG: Final = 1024
"""Connections that the system keeps for this node until they are accepted."""
ACCEPTS: Final = 8
"""Connections that are accepted at once."""
LOOKED_AT: Final = 64
"""The same with those that their dialler has closed already: they cost next to nothing."""
BREATH_SECONDS: Final = 0.008
"""Before more are, when so many came: so a thousand a second."""
ACCEPT_PAUSE: Final = 0.2
"""The same when the system has no more descriptors."""

Reply = Callable[[bytes], None]
"""`reply(data)`: send the answer, one packed message. Once; nothing happens when the asker has gone."""


class House(Protocol):
    """What the connections need of the node's network."""

    def accepter(self) -> Accepter:
        """Return the handshake of a new connection."""

    def misbound(self, hello: Hello, certificate: dict[str, Any] | None) -> str | None:
        """Return why this certificate does not speak for the one that says hello; None when it does."""

    def receive(self, member: str, message: list[Any]) -> None:
        """Take a member's message."""

    def answer(self, hello: Hello, message: list[Any], reply: Reply, host: str) -> None:
        """Take the message of an asker who connects from `host`."""

    def arrived(self, member: str) -> None:
        """A member has dialled and was let in."""

    def refuse(self, host: str, why: str) -> None:
        """Something is wrong with a connection from `host`: mostly, it was not let in."""


class IncomingConnection(asyncio.Protocol):
    """One connection that another node opened."""

    def __init__(self, door: PeerDoor, house: House) -> None:
        self._door = door
        self._house = house
        self._accepter = house.accepter()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._buffer = bytearray()
        self._reader: MessageReader | None = None
        self._seal: Seal | None = None
        self._refused = False
        self._asked = False
        self._member = ""
        self._socket: socket.socket | None = None
        """While TLS shakes hands, and nothing else can close it."""
        self.peer = "?"
        """Address of the other end."""
        self.host = "?"

    @property
    def is_open(self) -> bool:
        """The loop reads it, or has closed it: it is told of the end."""
        return self._socket is None

    @property
    def hello(self) -> Hello | None:
        """Who it is; None while it is a stranger."""
        return self._accepter.hello if self._accepter.done else None

    def arrived(self, accepted: socket.socket, address: object) -> None:
        """The socket was accepted: it counts from now on."""
        self._socket = accepted
        if isinstance(address, tuple):
            self.host, self.peer = str(address[0]), f"{address[0]}:{address[1]}"
        self._set_timer(HANDSHAKE_SECONDS, lambda: self.abort(f"no handshake within {HANDSHAKE_SECONDS:g} s"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._socket = cast(asyncio.Transport, transport), None
        tune(transport.get_extra_info("socket"))
        problem = self.wrong_certificate()
        if problem is not None:
            self._refuse(PeerRefusedError("certificate", problem))

    def wrong_certificate(self) -> str | None:
        """Return why the certificate of this connection is not good (any more); None when it is."""
        if self._transport is None:
            return None
        return self._door.security.wrong_certificate(self._transport.get_extra_info("ssl_object"))

    def _set_timer(self, seconds: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._door.loop.call_later(seconds, then)

    def _write(self, data: bytes) -> None:
        """Write unless the connection is closing: then it would be lost, and loops complain of it."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # -- the handshake ----------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._reader is not None:
            self._messages(data)
            return
        if self._refused:
            return
        self._buffer += data
        try:
            while not self._accepter.done:
                content = cut(self._buffer, HANDSHAKE_LIMIT)
                if content is None:
                    return
                answer = self._accepter.receive(content)
                if self._transport is None:
                    return  # admitting it has closed this connection
                if self._accepter.done:
                    self._open()  # before WELCOME is sent: it can still be refused here
                self._write(frame(answer))
        except PeerRefusedError as error:
            self._refuse(error)
            return
        except (HandshakeError, ValueError) as error:
            self._no_member(str(error))
            return
        self._welcomed()

    def _no_member(self, why: str) -> None:
        """Hang up; a client that was given the wrong port is told so in its own words."""
        answer = what_dials(bytes(self._buffer))
        if answer is None:
            self.abort(why)
            return
        self._door.complain(self, "a client dialled the port of the members")
        self._refused = True
        self._write(answer)
        self._set_timer(LINGER_SECONDS, self.close)

    def _refuse(self, error: PeerRefusedError) -> None:
        """Say why, and leave it to the dialler to hang up: closing with unread bytes would lose the reason."""
        hello = self._accepter.hello
        self._door.complain(self, f"refused member {hello.member}: {error}" if hello else f"refused: {error}")
        self._refused = True
        self._reader = None
        if self._transport is not None:
            self._write(frame(self._accepter.farewell or refusal(error.code, error.text)))
            self._set_timer(LINGER_SECONDS, self.close)

    def _open(self) -> None:
        keys, hello = self._accepter.keys, self._accepter.hello
        assert hello is not None
        certificate = None if self._transport is None else self._transport.get_extra_info("peercert")
        problem = self._house.misbound(hello, certificate)
        if problem is not None:
            raise PeerRefusedError("certificate", problem)
        self._seal = Seal(keys.to_dialler) if keys is not None else None
        self._reader = MessageReader(Seal(keys.to_accepter) if keys is not None else None)
        self._member = hello.member or ""
        if hello.purpose == ASK:
            self._set_timer(ANSWER_SECONDS, self.close)
        elif self._timer is not None:
            self._timer.cancel()
        self._door.known(self, hello)

    def _welcomed(self) -> None:
        hello = self._accepter.hello
        if hello is not None and hello.purpose != ASK:
            self._house.arrived(self._member)
        rest, self._buffer = bytes(self._buffer), bytearray()
        if rest:
            self._messages(rest)

    # -- messages -----------------------------------------------------------------------------------------------

    def _messages(self, data: bytes) -> None:
        reader, hello = self._reader, self._accepter.hello
        assert reader is not None and hello is not None
        messages = reader.feed(data)
        if hello.purpose == ASK:
            self._ask(hello, messages)
        else:
            receive, member = self._house.receive, self._member
            for message in messages:
                if self._transport is None:
                    return  # closed by what the message did
                receive(member, message)
        if reader.violation is not None:
            self.abort(reader.violation)

    def _ask(self, hello: Hello, messages: list[list[Any]]) -> None:
        if messages and (self._asked or len(messages) > 1):
            self.abort("more than one question")
        elif messages:
            self._asked = True
            self._house.answer(hello, messages[0], self._reply, self.host)

    def _reply(self, data: bytes) -> None:
        """Answer, and leave it to the asker to hang up: closing now could lose the answer."""
        if self._transport is not None:
            self._write(frame(data, self._seal))
            self._set_timer(ANSWER_SECONDS, self.close)

    # -- the end --------------------------------------------------------------------------------------------------

    def send_away(self, why: str) -> None:
        """Refuse, without a moment to hang up."""
        self._shut()
        self._refuse(PeerRefusedError("overloaded", why))
        if self._transport is not None:
            self._transport.close()

    def abort(self, why: str) -> None:
        """Close at once."""
        if self._socket is not None or self._transport is not None:
            self._door.complain(self, why)
        self.close()

    def close(self) -> None:
        """Close at once, without a word."""
        self._shut()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _shut(self) -> None:
        """End a connection that TLS has not handed over yet: the loop that shakes hands sees its end, and closes it."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._door.left(self)


def _is_over(accepted: socket.socket) -> bool:
    """Tell whether the dialler has closed this connection without a word."""
    try:
        return not accepted.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


class PeerDoor:
    """All incoming connections of one node."""

    def __init__(self, loop: asyncio.AbstractEventLoop, house: House, security: Security) -> None:
        self.loop = loop
        self.security = security
        self._house = house
        self._strangers: Crowd[IncomingConnection] = Crowd()
        self._askers: Crowd[IncomingConnection] = Crowd()
        self._members: dict[str, IncomingConnection] = {}
        self._probation = Probation(loop.time)
        self._seldom: Seldom[str] = Seldom(loop.time, COMPLAINTS)
        self._connecting: set[asyncio.Task[None]] = set()
        self._listening: socket.socket | None = None
        self._breath: asyncio.TimerHandle | None = None
        """The end of a pause in which nothing is accepted."""
        self.sent_away = 0
        """Strangers that had to go for others, since the start."""

    @property
    def strangers(self) -> int:
        """Connections that have not shaken hands, from `accept` on."""
        return len(self._strangers)

    def serve(self, listening: socket.socket) -> None:
        """Accept connections until `close`, which closes the socket."""
        listening.setblocking(False)
        listening.listen(BACKLOG)
        self._listening = listening
        self.loop.add_reader(listening, self._accept)

    def _accept(self) -> None:
        """Connections wait: accept some of them."""
        listening = self._listening
        if listening is None:
            return
        room = ACCEPTS
        for _ in range(LOOKED_AT):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue  # it has gone meanwhile
            except OSError as error:  # too many open files
                logger.warning("no connection of a member can be accepted: %s", error)
                self._pause(ACCEPT_PAUSE)
                return
            accepted.setblocking(False)
            if _is_over(accepted):
                accepted.close()
                continue
            self._arrived(accepted, address)
            room -= 1
            if not room:
                break
        self._pause(BREATH_SECONDS)

    def _pause(self, seconds: float) -> None:
        if self._listening is not None:
            self.loop.remove_reader(self._listening)
            self._breath = self.loop.call_later(seconds, self._breathed)

    def _breathed(self) -> None:
        if self._listening is not None:
            self.loop.add_reader(self._listening, self._accept)

    def _arrived(self, accepted: socket.socket, address: object) -> None:
        incoming = IncomingConnection(self, self._house)
        incoming.arrived(accepted, address)
        oldest = self._strangers.enter(incoming, incoming.host, STRANGERS)
        if oldest is not None:
            self._strangers.leave(oldest)
            self.sent_away += 1
            oldest.send_away(f"{STRANGERS} connections are shaking hands")
        task = self.loop.create_task(self._connect(incoming, accepted))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, incoming: IncomingConnection, accepted: socket.socket) -> None:
        """Let the loop read the connection, and shake the hands of TLS first where it is used."""
        tls = self.security.accepting
        try:
            await self.loop.connect_accepted_socket(
                lambda: incoming,
                accepted,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else HANDSHAKE_SECONDS,
            )
        except (OSError, ssl.SSLError, EOFError) as error:
            self.complain(incoming, f"no TLS of a member: {tls_problem(error, WHO_DIALS)}")
        finally:
            if not incoming.is_open:  # it never came to `connection_made`
                accepted.close()
                incoming.connection_lost(None)

    def known(self, incoming: IncomingConnection, hello: Hello) -> None:
        """A stranger was let in."""
        self._strangers.leave(incoming)
        if hello.purpose == ASK:
            oldest = self._askers.enter(incoming, incoming.host, ASKERS)
            if oldest is not None and self._askers.host(oldest) == incoming.host:
                self._askers.leave(incoming)
                raise PeerRefusedError("overloaded", f"{ASKERS} questions wait for their answers")
            if oldest is not None:
                self._askers.leave(oldest)
                oldest.close()
            return
        assert hello.member is not None
        if self._probation.wait(hello.member, incoming.host):
            raise PeerRefusedError("overloaded", "it said what no member says, and has to wait for a while")
        before = self._members.get(hello.member)
        self._members[hello.member] = incoming
        if before is not None:
            before.close()

    def left(self, incoming: IncomingConnection) -> None:
        """A connection is closed."""
        self._strangers.leave(incoming)
        self._askers.leave(incoming)
        hello = incoming.hello
        if hello is not None and hello.member is not None and self._members.get(hello.member) is incoming:
            del self._members[hello.member]

    def hello(self, member: str) -> Hello | None:
        """Return what a connected member said of itself."""
        incoming = self._members.get(member)
        return None if incoming is None else incoming.hello

    def review(self, reason: Callable[[str, Hello], str | None]) -> None:
        """Hang up on members that would not be let in any more."""
        for member, incoming in list(self._members.items()):
            hello = incoming.hello
            why = None if hello is None else reason(member, hello)
            if why is not None:
                incoming.abort(f"member {member} is not let in any more: {why}")

    def review_certificates(self) -> None:
        """Hang up on those whose certificate is not good any more."""
        for incoming in [*self._askers, *self._members.values()]:
            why = incoming.wrong_certificate()
            if why is not None:
                incoming.abort(why)

    def hang_up(self, member: str) -> None:
        """Close the connection of a member, and let it wait before it comes again."""
        incoming = self._members.get(member)
        if incoming is not None:
            self._probation.hung_up(member, incoming.host)
            incoming.abort(f"member {member} says what no member says")

    def complain(self, incoming: IncomingConnection, what: str) -> None:
        """Log what is wrong with a connection; the same of the same host seldom."""
        host = incoming.peer.rpartition(":")[0]
        self._house.refuse(host, what)
        if self._seldom.may(f"{host} {what:.120}"):
            logger.warning("connection from %s: %s", incoming.peer, what)

    def close(self) -> None:
        """Accept no more, and hang up everywhere."""
        listening, self._listening = self._listening, None
        if self._breath is not None:
            self._breath.cancel()
        if listening is not None:
            self.loop.remove_reader(listening)
            listening.close()
        for incoming in [*self._strangers, *self._askers, *self._members.values()]:
            incoming.close()
        for task in self._connecting:
            task.cancel()

    def ending(self) -> set[asyncio.Task[None]]:
        """Return what of connections that were just accepted has not ended yet."""
        return self._connecting
