"""`/v1/watch`: whole commits as they come, and marks in order, on one stream that goes on exactly where it was.

    state  (only with `state=1`)   the files that match, at one rev, in portions; the last one says so, and has the id
    commit                         all that one rev changed and that was asked for
    mark                           everything up to this rev was told: a quiet stream keeps a fresh id
    ended                          why no more comes, and up to which rev all was told

Several selectors with names are one watch of the registry, not several: one order, one id, and each change says
whose it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Final, Protocol

from visor import paths, select
from visor._core.steps import text
from visor.aio import Client, Watch
from visor.errors import ClientClosed, DeadlineExceeded, Denied, FutureRev, VisorError, WrongCluster
from visor.gateway import accept, sse
from visor.gateway.documents import Document, commit_of, file_of
from visor.gateway.params import At
from visor.gateway.problems import NotServed, of_error
from visor.gateway.reading import selector_of
from visor.gateway.visit import CALL_SECONDS, Answer, Streamed, Visit, first_of, there
from visor.protocol import verbs
from visor.protocol.limits import SELECTORS
from visor.select import Selector

MARK_SECONDS: Final = 10.0
PROGRESS_SECONDS: Final = 4.0
STATE_ROWS: Final = 500
MOST_WAIT: Final = 60.0
NAMED: Final = 32
MOST_NAME: Final = 100
"""Characters: it stands at each change of what it names."""
WINDOW: Final = 64 << 10
"""Bytes that may wait here for one reader; what is beyond waits at the registry, for nothing."""

Whose = Mapping[str, tuple[paths.Glob, ...]]
"""Names of selectors, where they have some, and what each matches."""


class Source(Protocol):
    """A watch, of files or of events."""

    @property
    def rev(self) -> int:
        """Up to which all was handed out."""

    async def progress(self, *, timeout: float | None = None) -> int:  # noqa: ASYNC109
        """Ask how far the registry is."""

    async def close(self) -> None:
        """End it."""


async def watch(visit: Visit, client: Client[bytes]) -> Answer | Streamed:
    """GET: follow what matches; with `after` and `wait` until something happens, once."""
    what = selector_of(visit)
    if visit["granted"]:
        what = await _granted(client, what)
    if visit["after"] is not None:
        return await _poll(visit, client, what)
    return await _begin(visit, client, what, {})


async def _granted(client: Client[bytes], what: str | Selector) -> Selector:
    """Return what of these files the caller may read, as long as that stays so; Denied where it is nothing."""
    found = await client.auth.granted(what, timeout=CALL_SECONDS)
    if found.selector is None:
        raise Denied(missing=f"read on any of {what}")
    return found.selector


async def watch_named(visit: Visit, client: Client[bytes]) -> Answer | Streamed:
    """POST: follow several selectors with names on one stream: `{"apps": "/apps/**", "mine": "/hosts/a/*"}`."""
    said = visit.json()
    if not 1 <= len(said) <= NAMED:
        raise NotServed("usage", f"1 to {NAMED} names with a glob each are expected, not {len(said)}")
    whose: dict[str, tuple[paths.Glob, ...]] = {}
    globs: list[str] = []
    for name in said:
        if len(name) > MOST_NAME:
            raise NotServed("usage", f"a name has at most {MOST_NAME} characters, not {len(name)}")
        glob = text(said, name, "the body")
        try:
            parts = paths.expand(glob)
            whose[name] = tuple(map(paths.Glob, parts))
        except ValueError as error:
            raise NotServed("usage", f"{name}: {glob[:80]!r} is no glob: {error}", field=name) from None
        globs += parts
    if len(globs) > SELECTORS:
        raise NotServed(
            "usage", f"{len(globs)} globs, braces spelled out, are over the {SELECTORS} of one stream"
        )
    return await _begin(visit, client, select.any_of(*globs), whose)


async def _begin(visit: Visit, client: Client[bytes], what: str | Selector, whose: Whose) -> Streamed:
    """Establish the watch, so that what keeps it from beginning is a problem and no stream."""
    form = visit.form(accept.EVENTS, accept.LINES)
    resumed = visit.headers.get("last-event-id")
    state = visit["state"] and resumed is None
    if resumed is not None:
        first = await resumed_rev(resumed, client) + 1
    elif state:
        first = await client.rev(timeout=CALL_SECONDS) + 1
    else:
        first = await first_rev(visit["from"], client)
    opened = await client.watch(
        what, first, previous=visit["previous"], keys=not visit["values"], window=WINDOW, timeout=CALL_SECONDS
    )
    begin = (what, first - 1) if state else None
    flow = _Commits(form, client, opened, visit, whose, begin)
    return Streamed(form, flow.pieces(), opened.rev, opened.close)


async def resumed_rev(text: str, client: Client[bytes]) -> int:
    """Return the rev that was told last; WrongCluster for that of another cluster, FutureRev for none of this one."""
    cluster, rev = sse.read_id(text)
    if cluster != client.cluster:
        why = f"the id is of cluster {cluster}, and this is {client.cluster}: begin anew (state=1 tells what is there)"
        raise WrongCluster(why, expected=cluster, actual=client.cluster)
    latest = await client.rev(timeout=CALL_SECONDS)
    if rev > latest:
        raise FutureRev(rev=latest, asked=rev)
    return rev


async def first_rev(asked: At | None, client: Client[bytes]) -> int:
    return await first_of(asked, client) or await client.rev(timeout=CALL_SECONDS) + 1


class Flow:
    """One stream: where it is, and what it says. `name`: that of its events."""

    def __init__(self, form: str, client: Client[bytes], watch: Source, *, name: str) -> None:
        self._form, self._client, self._source, self._name = form, client, watch, name
        self._told = watch.rev

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the whole stream, from its first byte to the word of why it ends."""
        try:
            if self._form == accept.EVENTS:
                yield sse.BEGINNING
            async for piece in self._before():
                yield piece
            while True:
                yield await self._next()
        except ClientClosed:
            yield self._event("ended", {"code": "closing", "rev": self._told})
        except VisorError as error:
            told = of_error(error)
            yield self._event("ended", {**told, "rev": self._told})
        finally:
            await self._source.close()

    async def _before(self) -> AsyncIterator[bytes]:
        """Yield what comes before all events."""
        nothing: tuple[bytes, ...] = ()
        for piece in nothing:
            yield piece

    async def _next(self) -> bytes:
        """Return the next event, or after a while a mark, or a sign of life."""
        try:
            rev, data = await self._take(MARK_SECONDS)
        except DeadlineExceeded:
            with contextlib.suppress(
                DeadlineExceeded
            ):  # no leader just now: the watch goes on when there is one
                await self._source.progress(timeout=PROGRESS_SECONDS)
            if self._source.rev <= self._told:
                return sse.HEARTBEAT if self._form == accept.EVENTS else b"\n"
            return self._at("mark", {}, self._source.rev)
        return self._at(self._name, data, rev)

    async def _take(self, seconds: float) -> tuple[int, Document]:
        """Return the rev of what happens next, and that; DeadlineExceeded when nothing does in time."""
        raise NotImplementedError

    def _at(self, name: str, data: Document, rev: int) -> bytes:
        self._told = rev
        cluster = self._client.cluster or ""
        return sse.event(self._form, name, {"rev": rev, **data}, sse.id_of(cluster, rev))

    def _event(self, name: str, data: Document) -> bytes:
        return sse.event(self._form, name, data)


class _Commits(Flow):
    """Commits of files, behind the state that they begin from where that was asked for."""

    def __init__(
        self,
        form: str,
        client: Client[bytes],
        watch: Watch[bytes],
        visit: Visit,
        whose: Whose,
        state: tuple[str | Selector, int] | None,
    ) -> None:
        super().__init__(form, client, watch, name="commit")
        self._watch, self._whose, self._begin = watch, whose, state
        self._previous, self._values = visit["previous"], visit["values"]

    async def _before(self) -> AsyncIterator[bytes]:
        """Yield the files at a rev, page by page: however many there are, no more than a page of them is here."""
        if self._begin is None:
            return
        what, rev = self._begin
        selector, relative = self._client.channel.root.selector(what), self._client.channel.root.relative
        options, mark = {} if self._values else {"keys": True}, None
        while True:
            message = [verbs.SCAN, 0, selector, rev, 0, mark, STATE_ROWS, options]
            _, rows, mark = (await self._client.channel.call(message, False, CALL_SECONDS))[:3]
            files = [self._owned(file_of(relative(full), version)) for full, version in rows]
            data = {"rev": rev, "files": files, "last": mark is None}
            if mark is None:
                yield self._at("state", data, rev)
                return
            yield self._event("state", data)

    async def _take(self, seconds: float) -> tuple[int, Document]:
        commit = await self._watch.next(timeout=seconds)
        told = commit_of(commit, self._previous)
        told["changes"] = [self._owned(change) for change in told["changes"]]
        return commit.rev, told

    def _owned(self, row: Document) -> Document:
        """Say by which names a file was asked for."""
        if not self._whose:
            return row
        named = [
            name for name, globs in self._whose.items() if any(glob.matches(row["path"]) for glob in globs)
        ]
        return {**row, "for": named}


async def _poll(visit: Visit, client: Client[bytes], what: str | Selector) -> Answer:
    """Answer the first commit after a rev, or after a while none: for shells, which have no streams."""
    after, wait = visit["after"], visit["wait"]
    await there(client, after)
    told: list[Document] = []
    options = {"previous": visit["previous"], "keys": not visit["values"]}
    async with client.watch(what, after + 1, **options, timeout=CALL_SECONDS) as opened:
        rev = after
        try:
            commit = await opened.next(timeout=wait)
            told, rev = [commit_of(commit, visit["previous"])], commit.rev
        except DeadlineExceeded:
            await opened.progress(timeout=CALL_SECONDS)
            rev = max(after, opened.rev)
    return Answer({"rev": rev, "commits": told}, rev=rev)
