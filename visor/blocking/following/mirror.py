# Generated from visor/aio/following/mirror.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""A mirror: files of the registry in this process, kept in sync, read at memory speed.

with Mirror(client, "/apps/**") as mirror:
    mirror["/apps/web/head"].value          # no request: a look into a dict
    mirror.wait_for(rev)              # not older than that
    print(mirror.staleness)                 # at rev 812, 0 behind, at most 1.3 s old, connected
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from visor._core.following.delta import Batch
from visor._core.following.files import NOT_STARTED, BaseFiles, BaseMirror, weight
from visor._core.following.reader_queue import LIMIT, ReaderQueue
from visor._core.following.staleness import Staleness
from visor._core.generic import T
from visor._core.public import public
from visor.blocking.following.changes import Callback, Changes
from visor.blocking.following.local_copy import LocalCopy
from visor.blocking.snapshot import File
from visor.codecs import Codec
from visor.errors import VisorError
from visor.select import Selector

if TYPE_CHECKING:
    from visor.blocking.client import Client

D = TypeVar("D")


class Files(BaseFiles[File[T], T], Generic[T]):
    """Files by path, as a mirror or a snapshot of one has them: all at `rev`, without a request."""

    __slots__ = ()


class Mirror(BaseMirror[File[T], T], Generic[T]):
    """The files that match, as of `rev`, kept in sync while the mirror is open.

    `what` is a glob or a `visor.select` selector, `codec` for values (default: the client's). Every
    `confirm` seconds the registry is asked how far it is, so that `staleness` can tell the truth.

    Reading never waits and never fails, also when the registry is out of reach: it gives the last known
    state, and `staleness` says how old that may be (before the start there is none: RuntimeError). Lost
    connections, changes of leader and compaction are survived: what was missed is found by comparing, never
    passed over. Only an error that no retry can mend (Denied, WrongCluster, the client was closed) ends it: see
    `error`.

    A mirror may be read by any number of threads. Its dict of files moves on between two reads; for
    several reads at one rev, take a `snapshot`.
    """

    @overload
    def __init__(
        self, client: Client[T], what: str | Selector = ..., *, codec: None = ..., confirm: float = ...
    ) -> None: ...
    @overload
    def __init__(
        self, client: Client[Any], what: str | Selector = ..., *, codec: Codec[T], confirm: float = ...
    ) -> None: ...
    def __init__(
        self,
        client: Client[Any],
        what: str | Selector = "/**",
        *,
        codec: Codec[Any] | None = None,
        confirm: float = 5.0,
    ) -> None:
        chosen: Codec[Any] = codec or client.channel.codec

        def make(path: str, rev: int, version: list[Any]) -> File[T]:
            return File(client, path, rev, version, chosen)

        self._local_copy: LocalCopy[File[T]] = LocalCopy(client, what, make, File.__eq__, confirm=confirm)
        self._files: dict[str, File[T]] = NOT_STARTED
        self._driver = client.channel.driver
        self._clock = client.channel.settings.clock

    # -- life -----------------------------------------------------------------------------------------
    def start(self, *, timeout: float | None = None) -> Mirror[T]:
        """Fetch the files and keep them in sync from then on; `with` does it.

        DeadlineExceeded when no node answers within `timeout` (default: that of `dial`).
        """
        self._local_copy.start(timeout)
        self._files = self._local_copy.cache.entries
        return self

    def close(self) -> None:
        """End it: idempotent, bounded (a second). What it holds can still be read."""
        self._local_copy.close()

    def __enter__(self) -> Mirror[T]:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- reading --------------------------------------------------------------------------------------

    def snapshot(self) -> Files[T]:
        """Return the files held still at the present rev, as long as the result is kept."""
        len(self._files)  # RuntimeError before the start
        return Files(self._local_copy.view())

    # -- time -----------------------------------------------------------------------------------------
    @property
    def rev(self) -> int:
        """The rev at which the mirror equals the registry."""
        return self._local_copy.cache.rev

    @property
    def staleness(self) -> Staleness:
        """How far behind it is at least, how old at most, and whether there is a connection."""
        return self._local_copy.staleness

    @property
    def error(self) -> VisorError | None:
        """What ended it, if not `close`."""
        return self._local_copy.error

    def wait_for(self, rev: int, *, timeout: float | None = None) -> int:
        """Wait until the mirror is at `rev` or later, and return its rev.

        `timeout` in seconds (default: that of `dial`); DeadlineExceeded, or what ended the mirror.
        """
        return self._local_copy.wait_for(rev, timeout)

    def refresh(self, *, timeout: float | None = None) -> int:
        """Wait until the mirror holds all that was committed before this call, and return its rev."""
        return self._local_copy.refresh(timeout)

    # -- following ------------------------------------------------------------------------------------
    def changes(
        self,
        *,
        backlog: bool = False,
        coalesce: bool = False,
        limit: int | None = LIMIT,
        patience: float | None = None,
    ) -> Changes[File[T]]:
        """Return an iterator over what changes from now on, a batch for each commit.

        With `backlog` the files of now come first, in pieces of bounded size. With `coalesce` what waits is
        merged: the latest state, not each step. Otherwise `limit` changes may wait, for `patience` seconds;
        a reader that lets more wait is told so by ReaderDropped.
        """
        queue: ReaderQueue[File[T]] = ReaderQueue(
            self._clock, limit=limit, patience=patience, coalesce=coalesce
        )
        return Changes(self._local_copy, queue, weight, backlog=backlog)

    def on_change(
        self, callback: Callable[[Batch[File[T]]], object], *, backlog: bool = False, coalesce: bool = True
    ) -> Callback[Batch[File[T]]]:
        """Call `callback(batch)` for what changes from now on, one after another, until it returns False.

        Callbacks have a thread (under asyncio: a task) of their own and may use the mirror and the client.
        One that raises is logged, and the next batch follows. What happens during a call is merged into one
        batch, unless `coalesce` is false: then more than 10 000 changes end the callback with ReaderDropped.
        """
        changes = self.changes(backlog=backlog, coalesce=coalesce)
        return Callback(self._driver, changes, callback)

    def reader(self, *, coalesce: bool = False) -> Changes[File[T]]:
        """Return what `follow` reads: everything there is, then what changes."""
        return self.changes(backlog=True, coalesce=coalesce)

    def __repr__(self) -> str:
        if self._files is NOT_STARTED:
            return "<visor mirror, not started>"
        return f"<visor mirror of {len(self)} files, {self.staleness}>"


public("visor.following", Files, Mirror)
