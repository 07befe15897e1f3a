"""Health and metrics over HTTP, for those who watch and route: `listen.http`, off by default. GET and HEAD only.

    /livez     200 while the loop turns and the disk answers; needs no majority
    /readyz    200 while this node serves everything; /healthz is the same. 503 with the reasons as JSON otherwise
    /metrics   figures in the text format of Prometheus

There is no data of the registry here, nor a way to change anything, so no one is asked for a name. A request is one
small header; whatever else comes ends the connection.

A probe that gets no answer makes an orchestrator take the node out, so idle connections must keep none out: there are
so many places, and for a new one the oldest goes, of the address that has most. Request and answer have five
seconds together, however slowly the peer sends or reads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, cast

from visor._core.harmless import json_text
from visord.serving import health, metrics
from visord.serving.places import Places

logger = logging.getLogger("visord.web")

HEADER_BYTES: Final = 8192
REQUEST_SECONDS: Final = 5.0
"""For a whole request and its answer."""
CONNECTIONS: Final = 64
"""Open at once; for one more the oldest goes."""
STUCK_SECONDS: Final = 30.0
"""A sync of the log that takes so long: the disk does not answer any more."""
REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
Page = tuple[int, str, bytes]
"""Status, content type, body."""


class Pages:
    """What is told of one node. `connections()` counts those of clients."""

    def __init__(self, node: metrics.Node, connections: Callable[[], int], time: Callable[[], float]) -> None:
        self._node = node
        self._connections = connections
        self._time = time
        self._sync = (-1, 0.0)
        """Syncs that had ended when one was first seen under way, and when that was."""

    def page(self, path: str, query: str) -> Page:
        """Return the page at a path."""
        if path == "/metrics":
            return 200, metrics.CONTENT_TYPE, metrics.render(self._node, self._connections()).encode()
        if path == "/livez":
            return self._checked(
                {"running": health.checks(self._node)["running"], "disk": self._disk()}, query
            )
        if path in ("/readyz", "/healthz"):
            return self._checked(health.checks(self._node), query)
        return _text(404, "there are /livez, /readyz, /healthz and /metrics")

    def _disk(self) -> str:
        log, now = self._node.log, self._time()
        if not log.syncing or log.syncs != self._sync[0]:
            self._sync = (log.syncs, now)
            return ""
        waited = now - self._sync[1]
        return f"a sync of the log has taken {waited:.0f} s" if waited > STUCK_SECONDS else ""

    def _checked(self, checks: dict[str, str], query: str) -> Page:
        wrong = {name: why for name, why in checks.items() if why}
        if wrong:
            body = {"failed": wrong, "alarms": health.alarms(self._node)}
            return 503, "application/json", json_text(body).encode() + b"\n"
        if "verbose" in query.split("&"):
            return _text(200, *(f"[+] {name} ok" for name in checks))
        return _text(200, "ok")


def _text(status: int, *lines: str) -> Page:
    return status, "text/plain; charset=utf-8", "".join(f"{line}\n" for line in lines).encode()


class WebConnection(asyncio.Protocol):
    """One request, one answer."""

    def __init__(self, pages: Pages, places: Places[WebConnection]) -> None:
        self._pages = pages
        self._places = places
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle_since(self) -> float | None:
        """All here are strangers: the oldest goes, whatever it does."""
        return 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        victim = self._places.enter(self, str(peer[0]) if isinstance(peer, tuple) else "")
        self._timer = asyncio.get_running_loop().call_later(REQUEST_SECONDS, self.abort)
        if victim is not None:
            victim.abort()

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        self._received += data
        if not self._received[
            :1
        ].isalpha():  # a member, or a client of the registry: it is to hear at once who is here
            self._answer("GET", *_text(400, "not a request: this is the port of health and metrics (HTTP)"))
            return
        head, end, _ = self._received.partition(b"\r\n\r\n")
        if len(head) > HEADER_BYTES:
            self._answer("GET", *_text(431, "the request is too large"))
        elif end:
            self._request(head.split(b"\r\n", 1)[0])

    def _request(self, line: bytes) -> None:
        words = line.decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
            self._answer("GET", *_text(400, "not a request"))
            return
        method, target, _ = words
        if method not in ("GET", "HEAD"):
            self._answer(method, *_text(405, "GET and HEAD only"))
            return
        path, _, query = target.partition("?")
        try:
            page = self._pages.page(path, query)
        except Exception:
            logger.exception("%s cannot be told", path)
            page = _text(503, "failed")
        self._answer(method, *page)

    def eof_received(self) -> bool | None:
        return False

    def turn_away(self, why: str) -> None:
        """Its certificate is refused."""
        self._answer("GET", *_text(403, why))

    def _answer(self, method: str, status: int, content_type: str, body: bytes) -> None:
        assert self._transport is not None
        head = (
            f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        self._transport.write(head.encode() + (b"" if method == "HEAD" else body))
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._places.leave(self)
        if self._timer is not None:
            self._timer.cancel()

    def abort(self) -> None:
        """Cut the connection; its place is free at once."""
        self._places.leave(self)
        if self._transport is not None:
            self._transport.abort()
