"""Where clients come in: their sockets from `accept` to the last close, on TCP and on the Unix socket.

Each client has a place from the first moment (`places`), says HELLO within `HELLO_SECONDS`, and is closed when it has
asked for nothing for long. Connections of the Unix socket have places of their own: an operator on the machine gets in
whatever comes from the network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from visor.protocol.limits import Limits
from visord.serving.backend import Backend
from visord.serving.listener import Connection
from visord.serving.memory import Memory, resident
from visord.serving.places import Places
from visord.serving.secure_transport import ListenerFactory

UNIX_CONNECTIONS: Final = 64
CONSOLE_CONNECTIONS: Final = 512
CONSOLE: Final = "console"
"""Whose the connections of the gateway beside this node are: nobody's that the system knows. Each says a token, or is
anonymous, though the process at the other end is of this node's own user."""
LOOK_SECONDS: Final = 2.0
"""Between two looks at the memory of this process."""
IDLE_LOOKS: Final = 5
"""Of them from one look for idle connections to the next."""

CERTIFICATE_LOOKS: Final = 5
"""The same of files of TLS, and of certificates that have expired or were taken back."""


class Door:
    """All connections of clients to one node. `each`: places of one address; `idle`: seconds, 0 never.

    `give_back()` gives memory that is free back to the system. `factory`: of the sockets; its credentials are kept up
    here, and complaints go to it.
    """

    def __init__(
        self,
        backend: Backend,
        limits: Limits,
        give_back: Callable[[], None],
        *,
        total: int,
        each: int,
        idle: float,
        factory: ListenerFactory,
    ) -> None:
        self._backend = backend
        self._give_back = give_back
        self._limits = limits
        self._idle = idle
        self._complain = factory.complain
        self._credentials = factory.credentials
        self.tcp: Places[Connection] = Places(total, each)
        self.unix: Places[Connection] = Places(UNIX_CONNECTIONS, UNIX_CONNECTIONS)
        self.console: Places[Connection] = Places(CONSOLE_CONNECTIONS, CONSOLE_CONNECTIONS)
        backend.shares.places = self.tcp
        backend.connections = self
        if self._credentials is not None:
            self._credentials.is_revoked = backend.authorization.is_revoked
            backend.on_rights.append(self.review_certificates)
        self._memory = Memory(resident())
        self._looks = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look for idle connections, and for what crowds leave behind."""
        self._timer = loop.call_later(LOOK_SECONDS, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(LOOK_SECONDS, self._tick, loop)
        if self._memory.due(resident(), self.tcp.left, self._backend.let_go):
            self._give_back()
        self._looks += 1
        if self._idle and self._looks % IDLE_LOOKS == 0:
            self._close_idle()
        if self._credentials is not None and self._looks % CERTIFICATE_LOOKS == 0:
            self._credentials.upkeep.tick()
            self.review_certificates()

    def review_certificates(self) -> None:
        """Send away whose certificate was taken back, or has expired, since it came."""
        for connection in self.tcp:
            connection.review_certificate()

    def _close_idle(self) -> None:
        before = self._backend.shares.now - self._idle
        for connection in self:
            since = connection.idle_since
            if since is not None and since < before:
                connection.conversation.leave("closing", f"nothing was asked for {self._idle:g} s")

    def make_tcp(self) -> Connection:
        """Return the protocol of a new connection over TCP."""
        return Connection(self._backend, self._limits, self.tcp, self._complain)

    def make_unix(self) -> Connection:
        """Return the protocol of a new connection to the Unix socket."""
        return Connection(self._backend, self._limits, self.unix, self._complain)

    def make_console(self) -> Connection:
        """Return the protocol of a new connection of the gateway beside this node."""
        return Connection(self._backend, self._limits, self.console, self._complain, CONSOLE)

    def __iter__(self) -> Iterator[Connection]:
        yield from self.tcp
        yield from self.unix
        yield from self.console

    def __len__(self) -> int:
        return len(self.tcp) + len(self.unix) + len(self.console)

    def __contains__(self, connection: object) -> bool:
        return any(connection is one for one in self)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
