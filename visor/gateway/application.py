"""The ASGI application: one request from its scope to its last byte, and whatever may go wrong on the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from visor._core.log import log
from visor._core.steps import Misspelt
from visor.errors import BadRequest, VisorError
from visor.gateway import accept, credential, entrance, params, problems, signing_in
from visor.gateway.budget import Budget
from visor.gateway.counts import Counts
from visor.gateway.documents import write
from visor.gateway.once import Once
from visor.gateway.page import Page
from visor.gateway.problems import NotServed
from visor.gateway.router import IN, OUT, Route, Router
from visor.gateway.upstream import Lent, Upstream
from visor.gateway.visit import Answer, Streamed, Visit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MOST_BODY: Final = 4 << 20
MOST_HEARD: Final = 16 << 20
"""Bytes of a body that are read, though not kept: who still sends when the connection closes never sees the answer."""
MOST_STREAMS: Final = 2000
MOST_STREAMS_EACH: Final = 1024
SWEEP_SECONDS: Final = 10.0
ONCE: Final = frozenset((
    "host", "authorization", "cookie", "visor-session", "content-length", "content-type", "content-encoding",
    "if-match", "if-none-match", "idempotency-key", "last-event-id", "origin", "sec-fetch-site",
    "visor-actor", "visor-lease", "visor-note",
))  # fmt: skip
"""Headers that may not come twice: which of them counts, two readers would not agree."""
LARGE: Final = 64 << 10
"""Bytes of an answer that are worth counting while nobody takes them."""
ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
}
LOCKED: Final = "default-src 'none'; frame-ancestors 'none'"
LASTING: Final = "private, max-age=300, immutable"


class Exchange:
    """One request and what was said to it so far."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, budget: Budget) -> None:
        self.scope, self.receive, self._send = scope, receive, send
        self._budget, self._held = budget, 0
        self.method: str = scope["method"]
        self.headers = _headers(scope["headers"])
        self.route: Route | None = None
        self.known = False
        self.guarded = "if-match" in self.headers or "if-none-match" in self.headers
        self.begun = False
        self.status = 0
        self.told: dict[str, str] = {}
        """Headers of every answer: the cluster and the rev, once they are known."""

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of the answer."""
        self.begun, self.status = True, status
        told = {
            **ALWAYS,
            "content-security-policy": LOCKED,
            "cache-control": "no-store",
            **self.told,
            **headers,
        }
        rows = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in told.items()]
        await self._say({"type": "http.response.start", "status": status, "headers": rows})

    async def piece(self, data: bytes, *, more: bool) -> None:
        """Send some of the body."""
        await self._say({"type": "http.response.body", "body": data, "more_body": more})

    async def _say(self, message: MutableMapping[str, Any]) -> None:
        """Send some of the answer; ConnectionResetError when nobody listens any more."""
        try:
            await self._send(message)
        except RuntimeError:
            closing = self.scope.get("extensions", {}).get("visor.closing")
            if closing is not None and closing():
                raise ConnectionResetError from None
            raise

    async def whole(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        """Send an answer in one piece."""
        length = {} if status in (204, 304) else {"content-length": str(len(data))}
        said = b"" if self.method == "HEAD" or status in (204, 304) else data
        if len(said) <= LARGE:
            await self.begin(status, {**length, **headers})
            await self.piece(said, more=False)
            return
        self._hold(len(said))
        await self.begin(status, {**length, **headers})
        await self.piece(said, more=True)
        await self.piece(b"", more=False)  # once most of it was taken: until then it counts

    def _hold(self, size: int) -> None:
        """Count bytes of this request, or of its answer, until it is over; NotServed where there are too many."""
        self._budget.take(size)
        self._held += size

    def over(self) -> None:
        """Nothing of it is held any more."""
        self._budget.give(self._held)
        self._held = 0

    def abort(self) -> None:
        """Cut the connection."""
        cut = self.scope.get("extensions", {}).get("visor.abort")
        if cut is not None:
            cut()

    async def body(self, most: int) -> bytes:
        """Return what was sent with the request; NotServed for more than `most` bytes."""
        announced = self.headers.get("content-length", "0")
        size = int(announced) if announced.isdigit() and len(announced) < 19 else 1 << 62
        if size > most and ("expect" in self.headers or size > MOST_HEARD):
            raise _too_large(announced, most)
        pieces, size = [], 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            piece = message.get("body", b"")
            size += len(piece)
            if size <= most:
                self._hold(len(piece))
                pieces.append(piece)
            elif size > MOST_HEARD:
                raise _too_large(f"over {MOST_HEARD}", most)
            if not message.get("more_body"):
                break
        if size > most:
            raise _too_large(str(size), most)
        return b"".join(pieces)


def _too_large(size: str, most: int) -> NotServed:
    return NotServed("body_too_large", f"the body has {size[:20]} bytes, at most {most} are taken")


class Gateway:
    """The application. `hosts`: names that it answers for; `now`: what time it is."""

    def __init__(
        self,
        router: Router,
        upstream: Upstream,
        once: Once,
        *,
        pages: Mapping[str, Page],
        hosts: frozenset[str] = frozenset(),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        counts: Counts | None = None,
    ) -> None:
        self.router, self.upstream, self.once, self.pages = router, upstream, once, pages
        self.hosts, self.now = hosts, now
        self.counts = counts or Counts()
        self.budget = Budget()
        self._streams: set[Streamed] = set()
        self._closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the life of the process."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        exchange = Exchange(scope, receive, send, self.budget)
        try:
            await self._judged(exchange)
        except ConnectionResetError:
            return  # nobody listens
        finally:
            exchange.over()
        group = exchange.route.group if exchange.route is not None else ""
        self.counts.requests[group, exchange.method, exchange.status] += 1

    async def _judged(self, exchange: Exchange) -> None:
        try:
            await self._serve(exchange)
        except ConnectionResetError:
            raise
        except NotServed as refused:
            await self._problem(exchange, problems.of_refusal(refused))
        except Misspelt as wrong:
            await self._problem(exchange, problems.of_refusal(NotServed("usage", str(wrong))))
        except VisorError as error:
            found = problems.of_error(error, guarded=exchange.guarded, known=exchange.known)
            await self._problem(exchange, found)
        except (ValueError, TypeError) as error:  # an argument that a client's method does not take
            await self._problem(exchange, problems.of_error(BadRequest(str(error))))
        except Exception:
            log.exception("a request failed in an unforeseen way")
            await self._problem(exchange, problems.of_refusal(NotServed("defect")))

    async def _problem(self, exchange: Exchange, problem: dict[str, Any]) -> None:
        self.counts.refused[problem["code"]] += 1
        if exchange.begun:
            exchange.abort()  # half an answer must not look like a whole one
            return
        headers = {"content-type": problems.MEDIA_TYPE}
        status = problem["status"]
        if status in problems.WAITING:
            headers["retry-after"] = str(problems.RETRY_SECONDS)
        if status == 401:
            headers["www-authenticate"] = "Bearer"
            if signing_in.halves(exchange.headers) is not None:
                headers["set-cookie"] = signing_in.forgotten(exchange.headers.get("host", ""))
        if "allow" in problem:
            headers["allow"] = problem.pop("allow")
        if status in (408, 413):
            headers["connection"] = "close"  # the rest of the body is not read
        rev = exchange.told.get("visor-rev")
        if rev is not None:
            problem.setdefault("rev", int(rev))
        await exchange.whole(status, write(problem, accept.JSON), headers)

    async def _serve(self, exchange: Exchange) -> None:
        _check_once(exchange.scope["headers"])
        entrance.check_host(exchange.headers.get("host"), self.hosts)
        entrance.check_origin(exchange.method, exchange.headers)
        entrance.check_form(exchange.headers)
        raw_path: bytes = exchange.scope["raw_path"]
        page = self.pages.get(raw_path.decode("ascii", "replace"))
        if page is not None and exchange.method in ("GET", "HEAD"):
            await exchange.whole(*page.answer(exchange.headers))
            return
        if self._closing:
            raise NotServed("closing")
        route, names, path = self.router.match(exchange.method, raw_path)
        exchange.route = route
        query = params.split(exchange.scope.get("query_string", b""))
        values = params.read(query, route.params, self.now())
        proof = _proof(exchange, route)
        exchange.known = proof.token is not None
        body = b""
        if route.raw or route.body is not None:
            body = await exchange.body(MOST_BODY) if exchange.method not in entrance.SAFE else b""
        url = raw_path.decode("ascii", "replace")
        visit = Visit(
            *(exchange.method, url, query, names, path, values, exchange.headers, body, proof),
            now=self.now(),
            member=partial(self.upstream.lend, proof),
        )
        if route.signs == OUT:
            await _answer(exchange, visit, signing_in.sign_out(visit))
            return
        if route.signs == IN:
            proof = replace(proof, token=signing_in.token_of(visit))
            exchange.known = True
        async with self.upstream.lend(proof) as lent:
            _tell(exchange, lent)
            try:
                reply = await self._handled(route, visit, lent)
            finally:
                _tell(exchange, lent)
            if isinstance(reply, Streamed) and exchange.method == "HEAD":
                await _end(reply)
                reply = Answer(raw=b"", headers={"content-type": reply.form})
            elif isinstance(reply, Streamed):
                await self._stream(exchange, reply, lent)
                return
        # Who reads it slowly is none of the requests that are under way.
        await _answer(exchange, visit, reply)

    async def _handled(self, route: Route, visit: Visit, lent: Lent) -> Answer | Streamed:
        key = visit.headers.get("idempotency-key")
        if key is None or visit.method in entrance.SAFE:
            return await route.handler(visit, lent.client)
        if not route.once:
            raise NotServed(
                "usage", "Idempotency-Key is for what is one write: files, transactions, reverts, leases"
            )
        async with self.once.client(key, visit) as client:
            return await route.handler(visit, client)

    # -- streams --------------------------------------------------------------------------------------
    async def _stream(self, exchange: Exchange, stream: Streamed, lent: Lent) -> None:
        try:
            if lent.streams >= MOST_STREAMS_EACH or self.counts.streams >= MOST_STREAMS:
                raise NotServed(
                    "too_many", f"a caller has at most {MOST_STREAMS_EACH} streams, all {MOST_STREAMS}"
                )
        except NotServed:
            await _end(stream)
            raise
        if stream.rev is not None:
            exchange.told["visor-rev"] = str(stream.rev)
        lent.streams += 1
        self.counts.streams += 1
        self._streams.add(stream)
        leaving = asyncio.create_task(_until_gone(exchange, stream))
        try:
            await exchange.begin(200, {"content-type": stream.form, "x-accel-buffering": "no"})
            await self._pieces(exchange, stream)
        finally:
            leaving.cancel()
            self._streams.discard(stream)
            lent.streams -= 1
            self.counts.streams -= 1
            await _end(stream)

    async def _pieces(self, exchange: Exchange, stream: Streamed) -> None:
        async for piece in stream.pieces:
            await exchange.piece(piece, more=True)
            self.counts.events += 1
        await exchange.piece(b"", more=False)

    async def end_streams(self) -> None:
        """Take no more requests, and let every stream say that it ends; the process is about to."""
        self._closing = True
        for stream in list(self._streams):
            if stream.end is not None:
                await stream.end()

    # -- the life of the process ----------------------------------------------------------------------
    async def _live(self, receive: Receive, send: Send) -> None:
        sweeper: asyncio.Task[None] | None = None
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                sweeper = asyncio.create_task(self._sweep())
                await send({"type": "lifespan.startup.complete"})
            else:
                if sweeper is not None:
                    sweeper.cancel()
                await self.upstream.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.upstream.sweep()


def _proof(exchange: Exchange, route: Route) -> credential.Credential:
    """Return what a request proves itself by. A cookie counts only beside its key, and never from elsewhere.

    Who signs in or out needs to prove nothing by what it has, which may have expired.
    """
    headers = exchange.headers
    said = None if route.signs else headers.get("authorization")
    halves = None if route.signs or said is not None else signing_in.halves(headers)
    if halves is not None and not entrance.takes_cookie(exchange.method, headers):
        halves = None
    return credential.read(said, headers.get("visor-actor"), halves)


async def _answer(exchange: Exchange, visit: Visit, answer: Answer) -> None:
    headers = dict(answer.headers or {})
    if answer.rev is not None:
        headers["visor-rev"] = str(answer.rev)
    if answer.lasting and answer.status in (200, 304):
        headers["cache-control"] = LASTING
    if answer.raw is not None:
        await exchange.whole(answer.status, answer.raw, {"content-type": accept.RAW, **headers})
        return
    if answer.status in (204, 304):
        await exchange.whole(answer.status, b"", headers)
        return
    form = visit.form(accept.JSON, accept.MSGPACK) if answer.status < 300 else accept.JSON
    await exchange.whole(answer.status, write(answer.document, form), {"content-type": form, **headers})


async def _end(stream: Streamed) -> None:
    if stream.end is not None:
        await stream.end()
    close = getattr(stream.pieces, "aclose", None)
    if close is not None:
        with contextlib.suppress(RuntimeError):  # it is just being asked for its next piece
            await close()


async def _until_gone(exchange: Exchange, stream: Streamed) -> None:
    """End a stream when its reader has gone."""
    while (await exchange.receive())["type"] != "http.disconnect":
        continue
    if stream.end is not None:
        await stream.end()


def _tell(exchange: Exchange, lent: Lent) -> None:
    cluster = lent.client.cluster
    if cluster is not None:
        exchange.told["visor-cluster"] = cluster
        exchange.told["visor-rev"] = str(lent.client.channel.driver.rev)


def _headers(rows: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by their names in small letters; several of one name are one with commas."""
    found: dict[str, str] = {}
    for name, value in rows:
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        key = name.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _check_once(rows: list[tuple[bytes, bytes]]) -> None:
    names = [name.decode("latin-1") for name, _ in rows]
    for name in ONCE:
        if names.count(name) > 1:
            raise NotServed("usage", f"the header {name} is there twice")
