"""Sockets for conversations: one asyncio protocol a connection, TCP or Unix.

Thin on purpose: it moves bytes between a transport and a `Conversation`, and turns the transport's
backpressure into the conversation's. With TLS that transport is a `SecureTransport`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Any, cast

from visor.protocol.limits import Limits
from visord.serving.backend import Backend
from visord.serving.conversation import Conversation
from visord.serving.owners import owner_of
from visord.serving.places import Places
from visord.serving.secure_transport import SecureTransport
from visord.tls.identity import Certified

HELLO_SECONDS = 5.0
"""A connection that has not said HELLO by then is closed."""
LINGER_SECONDS = 5.0
"""A closing connection whose peer has not closed its side by then is cut."""
GIVE_WAY_SECONDS = 0.5
"""The same for one that has to go for others."""
WRITE_HIGH = 1 << 20
"""Bytes that may wait for a slow peer before its conversation stops reading."""


class Connection(asyncio.Protocol):
    """One client's socket."""

    __slots__ = (
        "_complain",
        "_gone",
        "_owner",
        "_places",
        "_timer",
        "_transport",
        "conversation",
        "data_received",
        "write",
    )

    data_received: Callable[[bytes], None]  # type: ignore[assignment]
    """The conversation's `receive`, without a call in between, until the connection is lost."""
    write: Callable[[bytes], None]
    """The transport's `write`, from `connection_made` on."""

    def __init__(
        self,
        backend: Backend,
        limits: Limits,
        places: Places[Connection],
        complain: Callable[[str, str], None],
        owner: str | None = None,
    ) -> None:
        self._places = places
        self._owner = owner
        self._complain = complain
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._gone: asyncio.Event | None = None
        self.conversation = Conversation(backend, self, limits)
        # Loops look it up before `connection_made`, so this is the place.
        self.data_received = self.conversation.receive

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)
        _keep_alive(transport.get_extra_info("socket"))
        self.write = self._transport.write
        self.conversation.peer = _name(transport.get_extra_info("peername"))
        self.conversation.owner = self._owner or owner_of(transport)
        self._set_timer(HELLO_SECONDS, self._expect_hello)
        victim = self._places.enter(self, self.conversation.owner)
        if victim is not None:
            victim.give_way(self._places)

    def write_all(self, pieces: Sequence[bytes]) -> None:
        """Send the pieces of one message together."""
        if self._transport is not None:
            self._transport.writelines(pieces)

    @property
    def certificate(self) -> Certified | None:
        """Who the client has proven to be by a certificate; None without TLS, or when it shows none."""
        transport = self._transport
        return transport.identity if isinstance(transport, SecureTransport) else None

    def review_certificate(self) -> None:
        """Send the client away when its certificate was taken back, or has expired, since it came."""
        if isinstance(self._transport, SecureTransport) and not self.conversation.closed:
            self._transport.judge()

    def turn_away(self, why: str) -> None:
        """Its certificate is refused."""
        self.conversation.leave("denied", why)

    def give_way(self, places: Places[Connection]) -> None:
        """There is no place for this connection any more."""
        text = f"{places.total} connections are open, or {places.each} of one address: that is the limit"
        self.conversation.leave("overloaded", text)
        # A client that dials in a loop must not make the node keep what was closed.
        self._set_timer(GIVE_WAY_SECONDS, self.abort)
        places.leave(self)

    def _set_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, callback)

    def _expect_hello(self) -> None:
        if not self.conversation.greeted:
            self.conversation.leave("deadline", f"no HELLO within {HELLO_SECONDS:g} s")

    def pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """Say that nothing more comes, then wait for the peer to close.

        What it still sends is read and thrown away: closing a socket with unread bytes resets it, and the peer
        would lose the answers and the GOAWAY that are on their way to it.
        """
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            with contextlib.suppress(OSError):  # it was faster
                self._transport.write_eof()
            self._set_timer(LINGER_SECONDS, self.abort)

    @property
    def idle_since(self) -> float | None:
        """Since when it has asked for nothing; None while it is busy."""
        return self.conversation.idle_since

    async def gone(self) -> None:
        """Return when the socket is closed."""
        if self._transport is not None:
            if self._gone is None:  # made for those few who wait: thousands of connections are there
                self._gone = asyncio.Event()
            await self._gone.wait()

    def greeted(self) -> None:
        if (
            self._timer is not None and not self.conversation.closed
        ):  # else it is the one that ends this connection
            self._timer.cancel()
            self._timer = None
        self._places.known(self)

    def strange(self, why: str) -> None:
        """What came first is nothing that a client says."""
        self._complain(self.conversation.peer, why)

    def unsent(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def abort(self) -> None:
        """Close without waiting for the peer to take what was written."""
        if self._transport is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        self.conversation.writable(False)

    def resume_writing(self) -> None:
        self.conversation.writable(True)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._places.leave(self)
        if self._gone is not None:
            self._gone.set()
        if self._timer is not None:
            self._timer.cancel()
        self.conversation.lost()
        self._transport = None
        self.write = self.data_received = _ignore


def _ignore(_: bytes) -> None:
    """Nothing can be said or heard any more."""


def _keep_alive(sock: Any) -> None:
    if sock is None or sock.family == socket.AF_UNIX:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def _name(peername: Any) -> str:
    if isinstance(peername, tuple):
        return f"{peername[0]}:{peername[1]}"
    return "unix"
