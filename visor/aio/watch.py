"""A watch: commits in order, without a gap or a repeat, whatever happens to the connection."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterable, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Generic

from visor._core.feed import Feed
from visor._core.generic import T
from visor._core.public import public
from visor.aio.snapshot import File
from visor.codecs import Codec
from visor.errors import ClientClosed
from visor.protocol import verbs
from visor.select import Selector
from visor.values import KIND_NUMBERS, Commit, Kind, commit_from_wire

if TYPE_CHECKING:
    from visor.aio.snapshot import Asks


class Watch(Generic[T]):
    """An endless iterable of commits; made by `Client.watch`.

        async with client.watch("/apps/**") as watch:
            async for commit in watch:
                for change in commit.changes: ...
        async for commit in client.watch("/apps/**"): ...

    It survives lost connections and goes on exactly after the last commit that was handed out. It ends
    by `close` (iteration stops) or with an error that says why: `Compacted` when history below its
    position is gone, ClientClosed, Denied. Unread commits take at most one window of memory and never
    hold up other calls.

    One that nobody holds any more is closed, too: without a word after a loop over it, otherwise with a
    ResourceWarning.
    """

    _open = False
    _in_loop = False

    def __init__(
        self,
        client: Asks[Any],
        codec: Codec[T],
        what: str | Selector,
        rev: int | None,
        previous: bool,
        kinds: Iterable[Kind | str] | None,
        state: bool,
        keys: bool,
        window: int,
    ) -> None:
        self._client = client
        self._codec = codec
        self._strip = client.channel.root.relative
        flags = verbs.W_PREVIOUS * previous + verbs.W_STATE * state + verbs.W_KEYS * keys
        # What `Client.rev` says of an empty registry: there is no commit 0, so it can only mean the beginning.
        start = 1 if rev == 0 else rev
        self._feed = Feed(client.channel.root.selector(what), start, flags, _mask(kinds), window)
        self._state: dict[str, File[T]] = {}

    async def open(self, timeout: float | None) -> Watch[T]:
        """Establish it, and return it; `Client.watch` does it."""
        feed = self._feed
        await self._client.channel.driver.subscribe(feed, timeout)
        self._open = True
        if feed.state_rev is not None:
            for full, version in feed.rows:
                path = self._strip(full)
                self._state[path] = File(self._client, path, feed.state_rev, version, self._codec)
            feed.rows = []
        return self

    @property
    def state(self) -> Mapping[str, File[T]]:
        """The files that matched at `state_rev`, by path; empty when not asked for."""
        return MappingProxyType(self._state)

    @property
    def state_rev(self) -> int | None:
        """The rev of `state`; None when not asked for."""
        return self._feed.state_rev

    @property
    def rev(self) -> int:
        """The rev up to which everything that matches has been handed out."""
        return self._feed.delivered

    def __aiter__(self) -> AsyncIterator[Commit[T]]:
        self._in_loop = True
        return self

    async def __anext__(self) -> Commit[T]:
        commit = await self._client.channel.driver.next(self._feed, None)
        if commit is None:
            raise StopAsyncIteration
        return commit_from_wire(commit, self._strip, self._codec)

    async def next(self, *, timeout: float | None = None) -> Commit[T]:
        """Return the next commit; DeadlineExceeded when none comes in time, ClientClosed after `close`.

        `timeout` in seconds; None waits for ever. The watch stays usable after DeadlineExceeded.
        """
        commit = await self._client.channel.driver.next(self._feed, timeout)
        if commit is None:
            raise ClientClosed("the watch is closed")
        return commit_from_wire(commit, self._strip, self._codec)

    async def progress(self, *, timeout: float | None = None) -> int:
        """Ask the server how far it is, and return the rev up to which everything has arrived here.

        What arrived before that and was not read yet is still to be read. DeadlineExceeded.
        """
        return await self._client.channel.driver.progress(self._feed, timeout)

    async def close(self) -> None:
        """End it: idempotent, never waits. Iteration stops."""
        await self._client.channel.driver.unwatch(self._feed)

    async def __aenter__(self) -> Watch[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if self._open and not self._feed.ended:
            self._client.channel.driver.drop(self._feed)
            if not self._in_loop:
                text = f"unclosed {self!r}: use it in a with block, or close it"
                warnings.warn(text, ResourceWarning, stacklevel=2, source=self)

    def __repr__(self) -> str:
        return f"<visor watch, delivered up to {self.rev}>"


def _mask(kinds: Iterable[Kind | str] | None) -> int:
    if kinds is None:
        return verbs.ALL_KINDS
    chosen = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    return sum({1 << KIND_NUMBERS[Kind(kind)] for kind in chosen})


public("visor.aio", Watch)
