"""How a request may arrive: within ten seconds from its first byte, and with a head of 16 KiB at most.

uvicorn's own protocol has no such deadline: each byte that comes resets its only timer, so that a client that sends one
every few seconds holds a connection for ever.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from visor.gateway.counts import Counts
from visor.gateway.problems import MEDIA_TYPE, NotServed, of_refusal

RECEIPT_SECONDS: Final = 10.0
MOST_HEAD: Final = 16 << 10
MOST_FIELDS: Final = 100
MOST_CONNECTIONS: Final = 2048


class Receipt(HttpToolsProtocol):
    """One connection of a client."""

    counts = Counts()
    seconds = RECEIPT_SECONDS
    most_connections = MOST_CONNECTIONS
    _deadline: asyncio.TimerHandle | None = None
    _in_head = False
    _head = 0
    """Bytes of a head that is not whole yet."""
    _ended = 0
    """How many requests are whole."""
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has connected: the time for the first request begins."""
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            self._refuse("crowded")
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        if self._refused:
            return
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._arm()  # the first byte of another request
        ended = self._ended
        try:
            super().data_received(data)
        except httptools.HttpParserCallbackError:  # raised below, or by a URL that is none
            if not self._refused:
                self._refuse("usage")
            return
        if self._in_head and ended == self._ended:  # all of it was of this head, and none of a body before it
            self._head += len(data)
            if self._head > MOST_HEAD:
                self._refuse("head_too_large")

    def send_400_response(self, msg: str) -> None:
        """Say that what came is no HTTP, as a problem."""
        if not self._refused:
            self._refuse("usage", "what came is no HTTP request")

    # -- what the parser finds ------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._head = True, 0
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {"visor.abort": self.transport.abort}
        if self._deadline is None:
            self._arm()

    def on_url(self, url: bytes) -> None:
        """Some of its URL."""
        super().on_url(url)
        self._measure(len(self.url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers."""
        super().on_header(name, value)
        self._measure(sum(len(name) + len(value) + 4 for name, value in self.headers) + len(self.url))
        if len(self.headers) > MOST_FIELDS:
            self._refuse("head_too_large", f"a request has at most {MOST_FIELDS} headers")
            raise ValueError

    def _measure(self, size: int) -> None:
        if size > MOST_HEAD:
            self._refuse("head_too_large")
            raise ValueError

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._in_head = False
        if not self._refused:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it is here."""
        self._disarm()
        self._ended += 1
        if not self._refused:
            super().on_message_complete()

    # -- time -----------------------------------------------------------------------------------------
    def _arm(self) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(self.seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        self._refuse("too_slow")

    def _refuse(self, code: str, text: str | None = None) -> None:
        """Say no in one breath, where nothing was answered yet, and hang up."""
        self._refused = True
        self._disarm()
        self.counts.cut[code] += 1
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            body = of_refusal(NotServed(code, text))
            self.transport.write(_answer(body["status"], json.dumps(body).encode()))
            self.transport.close()
        else:
            self.transport.abort()  # the application is about to say something of its own


def _answer(status: int, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} \r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
        "cache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
