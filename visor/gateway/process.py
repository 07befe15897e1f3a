"""The process: sockets, signals, and the application between them and the registry."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import uvicorn

from visor._core.address import parse
from visor._core.dataclass import dataclass
from visor._core.settings import Settings
from visor._core.token import check as check_token
from visor._core.token import may_be_told
from visor.aio import Client
from visor.codecs import BYTES
from visor.gateway import manual
from visor.gateway.acceptor import SECONDS, Acceptor
from visor.gateway.application import Gateway
from visor.gateway.arrivals import Arrivals
from visor.gateway.certificate import Certificate
from visor.gateway.counts import Counts
from visor.gateway.credential import Credential
from visor.gateway.once import Once
from visor.gateway.page import Page
from visor.gateway.receipt import Receipt
from visor.gateway.router import Router
from visor.gateway.routes import ROUTES
from visor.gateway.upstream import Dial, Upstream

GRACE_SECONDS: Final = 5
KEEP_SECONDS: Final = 30
BACKLOG: Final = 512
FILES: Final = 8192


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the gateway listens: an address, or the path of a Unix socket; and how it speaks TLS."""

    host: str = "127.0.0.1"
    port: int = 8048
    unix: str | None = None
    certificate: str | None = None
    key: str | None = None
    names: frozenset[str] = frozenset()
    """Host names that it answers for besides numbers and this machine."""


def dialler(settings: Settings) -> Dial:
    """Return what makes a client for a credential: all else of it is as in `settings`."""

    def dial(credential: Credential, session: bytes | None = None, member: str = "") -> Client[bytes]:
        mine = settings
        if member:
            mine = replace(settings, addresses=parse(member), discover=False)
            if member not in map(str, settings.addresses) and not _may_know(credential, mine):
                raise ValueError(f"{member} cannot prove that it may be told the token")
        token = check_token(credential.token, mine.addresses, mine.tls)
        mine = replace(mine, token=token, actor=credential.actor)
        if session is not None:
            mine = replace(mine, session=lambda: session, keeps_ids=True)
        return Client(mine, BYTES)

    return dial


def _may_know(credential: Credential, settings: Settings) -> bool:
    """Say whether a node of which only others told may be told the token."""
    (address,) = settings.addresses
    return credential.token is None or may_be_told(address, guess=True, tls=settings.tls)


def application(settings: Settings, names: frozenset[str] = frozenset()) -> Gateway:
    """Return the application for the registry that `settings` lead to."""
    counts = Counts()
    dial = dialler(settings)
    upstream = Upstream(dial, time.monotonic)
    pages = {
        **manual.pages(ROUTES),
        "/metrics": Page(lambda: counts.text(len(upstream)), "text/plain; version=0.0.4; charset=utf-8"),
        "/healthz": Page(lambda: b"ok\n", "text/plain; charset=utf-8"),
    }
    return Gateway(Router(ROUTES), upstream, Once(dial), pages=pages, hosts=names, counts=counts)


class Serving(uvicorn.Server):
    """uvicorn's, which lets streams say that they end before it waits for them, and shakes hands by our rules."""

    def __init__(
        self,
        config: uvicorn.Config,
        gateway: Gateway,
        ready: Callable[[str], None],
        certificate: Certificate | None,
    ) -> None:
        super().__init__(config)
        self._gateway, self._ready, self.certificate = gateway, ready, certificate
        self.handshake_seconds = SECONDS
        self.acceptor: Acceptor | None = None
        """Who takes connections where TLS is spoken."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        assert sockets is not None
        (bound,) = sockets
        certificate = self.certificate
        await super().startup(sockets if certificate is None else [])
        if not self.started:
            return
        if certificate is not None:
            counts, seconds = self._gateway.counts, self.handshake_seconds
            self.acceptor = Acceptor(certificate, self._connection, counts, seconds)
            self.acceptor.start(bound, BACKLOG)
        self._ready(where(bound, certificate is not None))

    def _connection(self) -> asyncio.BaseProtocol:
        """Return what serves one connection, as uvicorn makes it."""
        make: Any = self.config.http_protocol_class
        protocol: asyncio.BaseProtocol = make(self.config, self.server_state, self.lifespan.state)
        return protocol

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nobody any more, end the streams, then all else."""
        if self.acceptor is not None:
            await self.acceptor.close()
        await self._gateway.end_streams()
        await super().shutdown(sockets)


def where(bound: socket.socket, tls: bool) -> str:
    """Return the URL of a socket that listens."""
    if bound.family == socket.AF_UNIX:
        return f"unix:{bound.getsockname()}"
    host, port = bound.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def bind(listening: Listening) -> socket.socket:
    """Return a socket that is bound where the gateway listens; OSError where that cannot be."""
    if listening.unix is not None:
        with suppress(FileNotFoundError):
            if Path(listening.unix).is_socket():
                Path(listening.unix).unlink()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.bind(listening.unix)
    else:
        family = socket.AF_INET6 if ":" in listening.host else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((listening.host, listening.port))
    made.set_inheritable(True)
    return made


def _raise_limit() -> None:
    """Have as many sockets as the system lets this process have: a reader takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _wait_for_end(serving: Serving) -> None:
    while os.read(0, 4096):
        continue
    serving.should_exit = True


def server(settings: Settings, listening: Listening, ready: Callable[[str], None]) -> Serving:
    """Return the server of a gateway; `ready` is told where it listens. UnusableTlsError for files of TLS."""
    gateway = application(settings, listening.names)
    certificate = None
    if listening.certificate is not None and listening.key is not None:
        certificate = Certificate(listening.certificate, listening.key, time.monotonic, gateway.counts)
    protocol: Any = type("Connection", (Receipt,), {"counts": gateway.counts, "arrivals": Arrivals()})
    config = uvicorn.Config(
        gateway,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",  # what strangers send is counted, and fills no log
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return Serving(config, gateway, ready, certificate)


def run(
    settings: Settings, listening: Listening, ready: Callable[[str], None], *, until_eof: bool = False
) -> None:
    """Serve until a signal ends it, or with `until_eof` the end of standard input: so does whoever has started it."""
    _raise_limit()
    serving = server(settings, listening, ready)
    bound = bind(listening)
    if until_eof:
        threading.Thread(target=_wait_for_end, args=(serving,), daemon=True).start()
    try:
        serving.run(sockets=[bound])
    finally:
        bound.close()
        if listening.unix is not None:
            with suppress(OSError):
                Path(listening.unix).unlink()
