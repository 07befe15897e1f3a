"""Takes connections that have to shake hands for TLS first: within a time, and with places of their own.

Who serves a connection hears of it once TLS is there. uvicorn would have asyncio shake hands, which gives everybody a
minute, counts nobody, and has a place for as many as there are descriptors.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

from visor._core.hosts import counted_as
from visor.gateway.certificate import Certificate
from visor.gateway.counts import Counts
from visor.gateway.handshakes import Handshakes

SECONDS: Final = 10.0
"""From the moment that somebody is connected to the last byte of the handshake: as long as a request may take."""
FULL: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
FULL_SECONDS: Final = 0.5
"""Until it is tried again where the system has no room for a connection."""
Make = Callable[[], asyncio.BaseProtocol]


class Acceptor:
    """All connections of a gateway until they speak TLS. `make` makes what serves one of them from then on."""

    def __init__(
        self, certificate: Certificate, make: Make, counts: Counts, seconds: float = SECONDS
    ) -> None:
        self.handshakes: Handshakes[asyncio.Task[None]] = Handshakes()
        self._certificate, self._make, self._counts, self._seconds = certificate, make, counts, seconds
        self._accepting: asyncio.Task[None] | None = None
        self._shaking: set[asyncio.Task[None]] = set()

    def start(self, bound: socket.socket, backlog: int) -> None:
        """Listen there."""
        bound.listen(backlog)
        bound.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(bound))

    async def close(self) -> None:
        """Take nobody any more, and end what has not shaken hands yet."""
        tasks = [*self._shaking, *([self._accepting] if self._accepting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, bound: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(bound)
            except OSError as error:  # ECONNABORTED and the like are of the one that has gone again
                await asyncio.sleep(FULL_SECONDS if error.errno in FULL else 0)
                continue
            self._take(connection, peer)
            await asyncio.sleep(0)  # where many wait, it is the others' turn after each

    def _take(self, connection: socket.socket, peer: Any) -> None:
        task = asyncio.create_task(self._shake(connection))
        self._shaking.add(task)
        task.add_done_callback(lambda done: self._over(done, connection))
        first = self.handshakes.begin(task, counted_as(str(peer[0])) if peer else "")
        if first is not None:
            self._counts.cut["crowded"] += 1
            self.handshakes.end(first)
            first.cancel()

    async def _shake(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._seconds):
                context = self._certificate.context()
                await loop.connect_accepted_socket(self._make, connection, ssl=context)
        except TimeoutError:
            self._counts.cut["slow_handshake"] += 1
        except ssl.SSLError:
            self._counts.cut["no_tls"] += 1
        except OSError:
            return  # it has gone by itself

    def _over(self, task: asyncio.Task[None], connection: socket.socket) -> None:
        self.handshakes.end(task)
        self._shaking.discard(task)
        if task.cancelled():
            connection.close()  # where it had not begun, nobody else does
