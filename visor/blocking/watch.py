# Generated from visor/aio/watch.py by tests/hygiene/unasync.py.
"""A watch: commits in order, without a gap or a repeat, whatever happens to the connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Generic

from visor._feed import Feed
from visor._generic import T
from visor._public import public
from visor.blocking.snapshot import File
from visor.codecs import Codec
from visor.errors import ClientClosed
from visor.protocol import verbs
from visor.select import Selector
from visor.values import KIND_NUMBERS, Commit, Kind, commit_from_wire

if TYPE_CHECKING:
    from visor.blocking.client import Client


class Watch(Generic[T]):
    """An endless iterable of commits; made by `Client.watch`.

        with client.watch("/apps/**") as watch:
            for commit in watch:
                for change in commit.changes: ...

    It survives lost connections and goes on exactly after the last commit that was handed out. It ends
    by `close` (iteration stops) or with an error that says why: `Compacted` when history below its
    position is gone, ClientClosed, Denied. Unread commits take at most one window of memory and never
    hold up other calls.
    """

    def __init__(
        self,
        client: Client[Any],
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
        self._strip = client._root.relative
        flags = verbs.W_PREVIOUS * previous + verbs.W_STATE * state + verbs.W_KEYS * keys
        self._feed = Feed(client._root.selector(what), rev, flags, _mask(kinds), window)
        self._state: dict[str, File[T]] = {}

    def start(self, timeout: float | None) -> None:
        """Establish it; `Client.watch` has done it."""
        feed = self._feed
        self._client._driver.subscribe(feed, timeout)
        if feed.state_rev is not None:
            for full, version in feed.rows:
                path = self._strip(full)
                self._state[path] = File(self._client, path, feed.state_rev, version, self._codec)
            feed.rows = []

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

    def __iter__(self) -> Iterator[Commit[T]]:
        return self

    def __next__(self) -> Commit[T]:
        commit = self._client._driver.next(self._feed, None)
        if commit is None:
            raise StopIteration
        return commit_from_wire(commit, self._strip, self._codec)

    def next(self, *, timeout: float | None = None) -> Commit[T]:
        """Return the next commit; DeadlineExceeded when none comes in time, ClientClosed after `close`.

        `timeout` in seconds; None waits for ever. The watch stays usable after DeadlineExceeded.
        """
        commit = self._client._driver.next(self._feed, timeout)
        if commit is None:
            raise ClientClosed("the watch is closed")
        return commit_from_wire(commit, self._strip, self._codec)

    def progress(self, *, timeout: float | None = None) -> int:
        """Ask the server how far it is, and return the rev up to which everything has arrived here.

        What arrived before that and was not read yet is still to be read. DeadlineExceeded.
        """
        return self._client._driver.progress(self._feed, timeout)

    def close(self) -> None:
        """End it: idempotent, never waits. Iteration stops."""
        self._client._driver.unwatch(self._feed)

    def __enter__(self) -> Watch[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<visor watch, delivered up to {self.rev}>"


def _mask(kinds: Iterable[Kind | str] | None) -> int:
    if kinds is None:
        return verbs.ALL_KINDS
    chosen = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    return sum({1 << KIND_NUMBERS[Kind(kind)] for kind in chosen})


public("visor", Watch)
