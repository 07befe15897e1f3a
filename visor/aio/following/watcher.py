"""Watching one thing: its latest value, and the next one when there is one.

async with watch_one(client, "/leader") as watcher:
    while await watcher.next():
        print(watcher.value)
    print(watcher.error)        # /leader: not found ...: it was deleted
"""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, overload

from visor import select
from visor._core.following.errors import BacklogDone, WatcherClosed
from visor._core.following.marked_feed import State
from visor._core.following.watcher import BaseWatcher
from visor._core.generic import T
from visor._core.public import public
from visor.aio.following.stream import Stream
from visor.aio.snapshot import File
from visor.codecs import Codec
from visor.errors import DeadlineExceeded, NotFound, VisorError

if TYPE_CHECKING:
    from visor.aio.client import Client


@overload
def watch_one(
    client: Client[T],
    what: str | File[T],
    *,
    where: Callable[[File[T]], bool] | None = ...,
    distinct: bool = ...,
    backlog_only: bool = ...,
) -> Watcher[T]: ...
@overload
def watch_one(
    client: Client[Any],
    what: str | File[T],
    *,
    codec: Codec[T],
    where: Callable[[File[T]], bool] | None = ...,
    distinct: bool = ...,
    backlog_only: bool = ...,
) -> Watcher[T]: ...
def watch_one(
    client: Client[Any],
    what: str | File[Any],
    *,
    codec: Codec[Any] | None = None,
    where: Callable[[File[Any]], bool] | None = None,
    distinct: bool = False,
    backlog_only: bool = False,
) -> Watcher[Any]:
    """Return a watcher of one file, named by its path or by a `File` of it.

    `where` leaves out values for which it is false; `distinct` those whose bytes equal the last one's;
    `backlog_only` ends with BacklogDone where it would wait for something to happen.
    """
    path = what if isinstance(what, str) else what.path
    return Watcher(client, path, codec or client.channel.codec, where, distinct, backlog_only, _value)


def _value(file: File[Any]) -> Any:
    return file.value


class Watcher(BaseWatcher[File[Any], T], Generic[T]):
    """The values of one file, for one reader; made by `watch_one`.

    `next` waits until there is a value that is newer than the last one and returns whether there is; then
    it is in `value`. Values that came and went between two calls are skipped. It ends when the file is
    deleted (also when it was created again since), by `close`, or by an error: then `next` is false and
    `error` says why.
    """

    def __init__(
        self,
        client: Client[Any],
        path: str,
        codec: Codec[Any],
        where: Callable[[File[Any]], bool] | None,
        distinct: bool,
        backlog_only: bool,
        unwrap: Callable[[File[Any]], T],
    ) -> None:

        def make(rev: int, version: list[Any]) -> File[Any]:
            return File(client, path, rev, version, codec)

        super().__init__(path, make, where, unwrap, distinct=distinct)
        self._backlog_only = backlog_only
        self._stream = Stream(client, select.path(path))
        self._busy = False

    async def next(self, *, timeout: float | None = None) -> bool:
        """Wait for a value newer than the last; false when it has ended.

        DeadlineExceeded when none comes within `timeout` seconds; the next call goes on. RuntimeError when
        another thread or task is waiting in `next`.
        """
        if self._busy:
            raise RuntimeError("this watcher has one reader at a time: make another watcher")
        self._busy = True
        try:
            await self._advance(timeout)
        except DeadlineExceeded:
            raise
        except VisorError as error:
            self._end(error)
        finally:
            self._busy = False
        if self._error is not None:
            await self._stream.close()
            return False
        self._file, self._fresh = self._fresh, None
        return True

    async def _advance(self, timeout: float | None) -> None:
        """Take steps until there is something to hand out and nothing waits that is newer."""
        while self._error is None and (self._fresh is None or self._stream.ready()):
            if self._backlog_only and self._rev and not self._stream.ready():
                self._end(BacklogDone(rev=self._rev))
                return
            step = await self._stream.next(timeout)
            if isinstance(step, State):
                self._take_state(step)
            else:
                self._take(step)

    async def close(self) -> None:
        """End it: idempotent, never waits; `next` returns false and `error` is WatcherClosed."""
        self._end(WatcherClosed())
        await self._stream.close()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        """Return the next value; iteration stops when the file is deleted or the watcher closed."""
        if await self.next():
            return self.value
        if isinstance(self._error, NotFound | WatcherClosed | BacklogDone):
            raise StopAsyncIteration
        assert self._error is not None
        raise self._error

    async def __aenter__(self) -> Watcher[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


public("visor.aio.following", Watcher, watch_one)
