"""How a request may arrive: within ten seconds, with a head of 16 KiB at most, and readable in one way only.

uvicorn's own protocol has no deadline: each byte that comes resets its only timer, so that a client that sends one
every few seconds holds a connection for ever. It has none for answers either: who reads nothing holds one, too. And it
takes any number of requests at once, and headers that come behind a body for headers of its head.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from visor.gateway.arrivals import Arrivals
from visor.gateway.counts import Counts
from visor.gateway.problems import MEDIA_TYPE, NotServed, of_refusal

RECEIPT_SECONDS: Final = 10.0
SLOW_SECONDS: Final = 60.0
"""For which a reader may take nothing of what waits for it."""
MOST_HEAD: Final = 16 << 10
MOST_BYTES: Final = 20 << 20
"""Of one request as it is sent: a body in chunks may be mostly what stands between them."""
MOST_FIELDS: Final = 100
MOST_AHEAD: Final = 64
"""Requests that are sent before the one before them is answered."""
MOST_CONNECTIONS: Final = 2048
CHUNKED: Final = b"chunked"


class Receipt(HttpToolsProtocol):
    """One connection of a client."""

    counts = Counts()
    arrivals: Arrivals[Receipt] = Arrivals()
    seconds = RECEIPT_SECONDS
    slow_seconds = SLOW_SECONDS
    most_connections = MOST_CONNECTIONS
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _ending: asyncio.TimerHandle | None = None
    _in_head = False
    _whole = True
    """No request is arriving."""
    _bytes = 0
    """Of the request that arrives, as they were sent."""
    _head = 0
    """Bytes of a head that is not whole yet."""
    _ended = 0
    """How many requests are whole."""
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has connected: the time for the first request begins."""
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            longest = self.arrivals.first()
            (self if longest is None else longest)._refuse("crowded")
            if longest is None:
                return
        self.arrivals.wait(self, known=False)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._disarm()
        for timer in (self._stalled, self._ending):
            if timer is not None:
                timer.cancel()
        self.arrivals.done(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        if self._refused:
            return
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._arm()  # the first byte of another request
        ended = self._ended
        self._bytes += len(data)
        try:
            super().data_received(data)
        except httptools.HttpParserCallbackError:  # raised below, or by a URL that is none
            if not self._refused:
                self._refuse("usage", "what the request asks for is no URL")
            return
        if ended != self._ended:
            self._bytes = len(data)
        elif self._in_head:  # all of it was of this head, and none of a body before it
            self._head += len(data)
            if self._head > MOST_HEAD:
                self._refuse("head_too_large")
        elif self._bytes > MOST_BYTES:
            self._refuse(
                "body_too_large", f"the request has over {MOST_BYTES} bytes with what stands between"
            )

    def send_400_response(self, msg: str) -> None:
        """Say that what came is no HTTP, as a problem."""
        if not self._refused:
            self._refuse("usage", f"what came is no HTTP request: {sys.exception()}")

    # -- what the parser finds ------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._whole, self._head = True, False, 0
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {"visor.abort": self._abort, "visor.closing": self.transport.is_closing}
        if self._deadline is None:
            self._arm()

    def on_url(self, url: bytes) -> None:
        """Some of its URL."""
        super().on_url(url)
        self._measure(len(self.url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers."""
        if not self._in_head:
            self._stop("ambiguous", f"the header {name[:40]!r} comes behind the body")
        super().on_header(name, value)
        self._measure(sum(len(name) + len(value) + 4 for name, value in self.headers) + len(self.url))
        if len(self.headers) > MOST_FIELDS:
            self._stop("head_too_large", f"a request has at most {MOST_FIELDS} headers")

    def _measure(self, size: int) -> None:
        if size > MOST_HEAD:
            self._stop("head_too_large")

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._in_head = False
        if self._refused:
            return
        why = ambiguity(self.url, self.headers, self.parser.get_http_version())
        if why is not None:
            self._stop("ambiguous", why)
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False  # to the parser whatever comes behind it is another protocol
        if len(self.pipeline) > MOST_AHEAD:
            self._stop("pipelined")

    def on_message_complete(self) -> None:
        """All of it is here."""
        self._disarm()
        self._ended += 1
        self._whole = True
        if self._refused:
            return
        super().on_message_complete()
        self.arrivals.done(self)
        if self.cycle is not None and self.cycle.response_complete:
            self.arrivals.wait(self, known=True)  # it was answered before it was here

    def _stop(self, code: str, text: str | None = None) -> None:
        """Refuse it, and have the parser stop."""
        self._refuse(code, text)
        raise ValueError

    # -- what is answered -----------------------------------------------------------------------------
    def on_response_complete(self) -> None:
        """It is answered: the time for the next one begins, or the connection ends."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._linger()
        elif not self.pipeline:
            self.arrivals.wait(self, known=True)

    def timeout_keep_alive_handler(self) -> None:
        """Nothing has come for a while."""
        super().timeout_keep_alive_handler()
        self._linger()

    def pause_writing(self) -> None:
        """The reader is slower than what is said to it."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _watch(self, before: int) -> None:
        self._stalled = self.loop.call_later(self.slow_seconds, self._look, before)

    def _look(self, before: int) -> None:
        """Cut a reader that has taken nothing since the last look."""
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._watch(left)
            return
        self.counts.cut["slow_reader"] += 1
        self._abort()

    def _linger(self) -> None:
        """Give what was said last some time to go; then the connection ends, whether it was read or not."""
        if self._ending is None:
            self._ending = self.loop.call_later(self.slow_seconds, self.transport.abort)

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
        self.arrivals.done(self)
        self.counts.cut[code] += 1
        if self.transport.is_closing():
            return
        if self.pipeline or (self.cycle is not None and self.cycle.response_started and not self._answered):
            self._abort()  # what is said now would be taken for an answer to another request
        elif self._whole and not self._answered:
            self.cycle.keep_alive = (
                False  # it is what came behind a request that is under way: that one is answered
            )
        else:
            self._hang_up(code, text)

    def _abort(self) -> None:
        """Cut it."""
        self._leave()
        self.transport.abort()

    def _leave(self) -> None:
        """Tell whoever works for it, or waits for the rest of its body, that nobody is there any more."""
        if not self._answered:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    @property
    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _hang_up(self, code: str, text: str | None) -> None:
        self._leave()
        body = of_refusal(NotServed(code, text))
        self.transport.write(_answer(body["status"], json.dumps(body).encode()))
        self.transport.close()
        self._linger()


def ambiguity(url: bytes, headers: list[tuple[bytes, bytes]], version: str) -> str | None:
    """Return why two readers could take a request for different ones; None: it can be read in one way only.

    >>> ambiguity(b"/a", [(b"host", b"localhost")], "1.1")
    >>> ambiguity(b"http://other/a", [], "1.1")
    "it must ask for a path that begins with /, not for b'http://other/a'"
    """
    if version not in ("1.0", "1.1"):
        return f"it must be HTTP/1.1, not HTTP/{version}"
    if not url.startswith(b"/"):
        return f"it must ask for a path that begins with /, not for {url[:60]!r}"
    if b"#" in url or not url.isascii() or b" " in url:
        return f"its URL has what must be percent-encoded: {url[:60]!r}"
    lengths = [value for name, value in headers if name == b"content-length"]
    coded = [value for name, value in headers if name == b"transfer-encoding"]
    if coded and (lengths or version != "1.1" or len(coded) > 1 or coded[0].strip().lower() != CHUNKED):
        return (
            "a body has a Content-Length, or else Transfer-Encoding: chunked in HTTP/1.1 and nothing besides"
        )
    return None


def _answer(status: int, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} \r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
        "cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
