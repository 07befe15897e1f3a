"""The dialling side of one connection: connect, shake hands, then send, each message in one piece and in order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, cast

from visord import addresses
from visord.peers.errors import HandshakeError, PeerRefusedError, no_answer
from visord.peers.frames import HANDSHAKE_LIMIT, MessageReader, Seal, cut, frame
from visord.peers.handshake import Dialler
from visord.peers.mistaken import WHO_ANSWERS, tls_problem, what_answers
from visord.peers.security import Security
from visord.tls.identity import is_of_member, not_of_member

DIAL_SECONDS: Final = 3.0
"""For resolving, connecting and shaking hands together."""
QUEUE_LIMIT: Final = 64 << 20
"""Bytes that may wait in this process for one connection."""
PIECE: Final = 64 << 10
"""A longer message is not copied to put its header before it."""


class OutgoingConnection(asyncio.Protocol):
    """Use `dial` to make one that has shaken hands."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, dialler: Dialler, security: Security, queue_limit: int
    ) -> None:
        self._loop = loop
        self._dialler = dialler
        self._security = security
        self._limit = queue_limit
        self._transport: asyncio.Transport | None = None
        self._seal: Seal | None = None
        self._reader: MessageReader | None = None
        self._buffer = bytearray()
        self._gathered: list[bytes] = []
        """What was said in this turn of the loop, and waits for its end."""
        self._gathered_bytes = 0
        self._written = 0
        self.welcomed: asyncio.Future[None] = loop.create_future()
        """Done when messages may be sent, or with what went wrong before."""
        self.lost: asyncio.Future[str] = loop.create_future()
        """Done, with the reason, when the connection is closed."""
        self.receive: Callable[[list[Any]], None] | None = None
        """Gets what the accepter answers; None: it should be silent."""

    # -- the handshake --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        tune(transport.get_extra_info("socket"))
        problem = self.wrong_certificate()
        if problem is not None:
            self._fail(PeerRefusedError("certificate", problem))
            return
        self._transport.write(frame(self._dialler.hello))

    def data_received(self, data: bytes) -> None:
        if self._reader is not None:
            self._messages(data)
            return
        self._buffer += data
        try:
            while not self._dialler.done:
                content = cut(self._buffer, HANDSHAKE_LIMIT)
                if content is None:
                    return
                answer = self._dialler.receive(content)
                if answer is not None and self._transport is not None:
                    self._transport.write(frame(answer))
        except (HandshakeError, PeerRefusedError) as error:
            self._fail(error)
            return
        except ValueError as error:
            self._fail(HandshakeError(what_answers(bytes(self._buffer)) or str(error)))
            return
        self._welcome()

    def _welcome(self) -> None:
        keys = self._dialler.keys
        self._seal = Seal(keys.to_accepter) if keys is not None else None
        self._reader = MessageReader(Seal(keys.to_dialler) if keys is not None else None)
        if not self.welcomed.done():
            self.welcomed.set_result(None)
        rest, self._buffer = bytes(self._buffer), bytearray()
        if rest:
            self._messages(rest)

    def _fail(self, error: Exception) -> None:
        if not self.welcomed.done():
            self.welcomed.set_exception(error)
        self.abort(str(error))

    def wrong_certificate(self) -> str | None:
        """Return why the certificate of the node at the other end is not good (any more); None when it is."""
        if self._transport is None:
            return None
        shown: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        certificate: Any = None if shown is None else shown.getpeercert()
        wrong = self._security.wrong_certificate(shown)
        return wrong or not_of_member(certificate or {}, *self._dialler.expects)

    def certified(self, cluster: str, member: str) -> bool:
        """Tell whether the node at the other end has shown a certificate that says itself that it is this member's."""
        shown: ssl.SSLObject | None = (
            None if self._transport is None else self._transport.get_extra_info("ssl_object")
        )
        certificate: Any = None if shown is None else shown.getpeercert()
        return is_of_member(certificate or {}, cluster, member)

    # -- messages ---------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> bool:
        """Send one packed message; False: too much waits already, or the connection is closing."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        waits = transport.get_write_buffer_size() + self._gathered_bytes
        if waits and waits + len(data) > self._limit:
            return False
        self._written += len(data)
        # All that is said in a turn goes out together: one system call, and the member is woken once.
        if not self._gathered:
            self._loop.call_soon(self._end_turn)
        self._gathered.extend(_pieces(data, self._seal))
        self._gathered_bytes += len(data)
        return True

    def _end_turn(self) -> None:
        if self._gathered and self._transport is not None:
            gathered, self._gathered, self._gathered_bytes = self._gathered, [], 0
            if (
                self._transport.is_closing()
            ):  # writing to it would raise until `connection_lost` has been called
                return
            if sum(map(len, gathered)) < PIECE:  # many small ones: a copy costs less than a list of hundreds
                self._transport.write(b"".join(gathered))
            else:
                self._transport.writelines(gathered)

    def _messages(self, data: bytes) -> None:
        assert self._reader is not None
        messages = self._reader.feed(data)
        if self.receive is None:
            self.abort("the accepter sent a message, which only the dialler may")
            return
        for message in messages:
            self.receive(message)
        if self._reader.violation is not None:
            self.abort(self._reader.violation)

    @property
    def waiting(self) -> int:
        """Bytes that wait in this process."""
        if self._transport is None:
            return 0
        return self._transport.get_write_buffer_size() + self._gathered_bytes

    @property
    def taken(self) -> int:
        """Bytes that the operating system has taken so far. Does not rise while the connection is stuck."""
        return self._written - self.waiting

    # -- the end ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close when what was sent is on its way."""
        self._end_turn()
        if self._transport is not None:
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Close at once; `lost` gets the reason."""
        if not self.lost.done():
            self.lost.set_result(reason)
        if self._transport is not None:
            self._transport.abort()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._gathered.clear()
        self._gathered_bytes = 0
        reason = f"the connection was closed{f': {exc}' if exc is not None else ''}"
        if not self.welcomed.done():
            self.welcomed.set_exception(exc if isinstance(exc, OSError) else ConnectionResetError(reason))
        if not self.lost.done():
            self.lost.set_result(reason)
        if not self.welcomed.cancelled():
            self.welcomed.exception()  # nobody may be waiting for it any more


async def dial(
    loop: asyncio.AbstractEventLoop,
    address: str,
    dialler: Dialler,
    security: Security,
    *,
    seconds: float = DIAL_SECONDS,
    queue_limit: int = QUEUE_LIMIT,
) -> OutgoingConnection:
    """Return a connection to `address` that may send. The name is resolved anew each time.

    Raises `PeerRefusedError`, `HandshakeError`, or OSError (TimeoutError among them) when there is none.
    """
    host, port = addresses.split(address)
    outgoing: OutgoingConnection | None = None

    def protocol() -> OutgoingConnection:
        nonlocal outgoing
        outgoing = OutgoingConnection(loop, dialler, security, queue_limit)
        return outgoing

    context = security.dialling
    try:
        async with asyncio.timeout(seconds):
            await loop.create_connection(
                protocol,
                host,
                port,
                ssl=context,
                server_hostname=host if context is not None else None,
            )
            assert outgoing is not None
            await outgoing.welcomed
    except TimeoutError as error:
        _abandon(outgoing)
        raise TimeoutError(no_answer(seconds)) from error
    except ssl.SSLError as error:  # one side does not like the other's certificate: that will not pass soon
        _abandon(outgoing)
        raise PeerRefusedError("certificate", f"TLS: {tls_problem(error, WHO_ANSWERS)}") from error
    except BaseException:
        _abandon(outgoing)
        raise
    return outgoing


def _abandon(outgoing: OutgoingConnection | None) -> None:
    if outgoing is not None:
        outgoing.welcomed.cancel()
        outgoing.abort("given up")


def tune(sock: socket.socket | None) -> None:
    """Send at once, and notice a peer that is gone: idle connections in 11 s, those with unread data in 3."""
    if sock is None:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 3000)


def _pieces(data: bytes, seal: Seal | None) -> tuple[bytes, ...]:
    """A small message in its frame; a large one behind its header, not joined, that would copy it."""
    if len(data) < PIECE:
        return (frame(data, seal),)
    if seal is None:
        return len(data).to_bytes(4, "big"), data
    stamp = seal.next(data)
    return (len(data) + len(stamp)).to_bytes(4, "big") + stamp, data
