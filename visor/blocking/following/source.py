# Generated from visor/aio/following/source.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""What can be followed, and reading it straight from the registry, at the reader's own pace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

from visor._core.following.cache import Cache
from visor._core.following.delta import Batch, Origin, merged
from visor._core.following.files import weight
from visor._core.following.ingest import Ingest
from visor._core.following.marked_feed import State
from visor._core.following.pages import cut
from visor._core.following.reader_queue import LIMIT
from visor._core.generic import E_co, T
from visor._core.public import public
from visor._core.shown import PATH, shown
from visor.blocking.following.stream import Stream
from visor.blocking.snapshot import File
from visor.codecs import Codec
from visor.select import Selector

if TYPE_CHECKING:
    from visor._drivers.blocking.driver import Driver
    from visor.blocking.client import Client

E = TypeVar("E")


class Reader(Protocol[E_co]):
    """Gives batches one after another: a backlog first, then what changes."""

    def next(self) -> Batch[E_co]:
        """Return the next batch; raise what ended it."""
        ...

    def close(self) -> None:
        """End it; who waits in `next` gets WatcherClosed."""
        ...


class Followable(Protocol[E_co]):
    """What `follow` follows: a `Source`, a `Mirror`, a collection of a `Store`."""

    @property
    def _driver(self) -> Driver: ...

    def reader(self, *, coalesce: bool = False) -> Reader[E_co]:
        """Return a new reader of it."""
        ...


class StreamReader(Generic[E]):
    """Batches straight from the registry: nothing is fetched ahead of what the reader takes.

    A slow reader is never dropped: the server stops sending when a window is full, and goes on from history.
    Only when that history was compacted meanwhile, the difference comes as one batch, marked REBUILT.
    """

    def __init__(
        self,
        client: Client[Any],
        what: str | Selector,
        make: Callable[[str, int, list[Any]], E | None],
        same: Callable[[E, E], bool],
        weigh: Callable[[E], int],
        coalesce: bool,
    ) -> None:
        self._stream = Stream(client, what)
        self._cache: Cache[E] = Cache(same)
        self._ingest = Ingest(self._cache, client.channel.root.relative, make)
        self._weigh = weigh
        self._coalesce = coalesce
        self._pieces: Iterator[Batch[E]] = iter(())
        self._begun = False

    def next(self) -> Batch[E]:
        """Return the next batch; raise what ended it."""
        while True:
            piece = next(self._pieces, None)
            if piece is not None:
                return piece
            batch = self._batch()
            if batch is not None:
                self._pieces = cut(batch, self._weigh)

    def _batch(self) -> Batch[E] | None:
        batch = self._step()
        while self._coalesce and self._stream.ready() and (batch is None or len(batch) < LIMIT):
            if batch is not None and batch.origin is Origin.BACKLOG:
                break
            more = self._step()
            batch = more if batch is None or more is None else merged(batch, more)
        return batch

    def _step(self) -> Batch[E] | None:
        """Return what the next step changes; None for one that only says how far it is."""
        step = self._stream.next()
        if isinstance(step, State):
            origin = Origin.REBUILT if self._begun else Origin.BACKLOG
            self._begun = True
            return self._ingest.reset(step.rev, self._ingest.entries(step.rev, step.rows), origin)
        return self._ingest.apply(step, self._ingest.changes(step))

    def close(self) -> None:
        """End it; who waits in `next` gets WatcherClosed. Idempotent, never waits."""
        self._stream.close()


class Source(Generic[T]):
    """The files that match, to be followed: `follow(Source(client, "/nodes/*"), follower)`."""

    @overload
    def __init__(self, client: Client[T], what: str | Selector, *, codec: None = ...) -> None: ...
    @overload
    def __init__(self, client: Client[Any], what: str | Selector, *, codec: Codec[T]) -> None: ...
    def __init__(self, client: Client[Any], what: str | Selector, *, codec: Codec[Any] | None = None) -> None:
        self._client = client
        self._driver: Driver = client.channel.driver
        self._what = what
        self._codec: Codec[Any] = codec or client.channel.codec
        client.channel.root.selector(what)  # a wrong one is refused here, not in the midst of following

    def _make(self, path: str, rev: int, version: list[Any]) -> File[T]:
        return File(self._client, path, rev, version, self._codec)

    def reader(self, *, coalesce: bool = False) -> StreamReader[File[T]]:
        """Return a new reader of it."""
        return StreamReader(self._client, self._what, self._make, File.__eq__, weight, coalesce)

    def __repr__(self) -> str:
        return f"<visor source of {shown(self._what, PATH)}>"


public("visor.following", Reader, Followable, Source)
