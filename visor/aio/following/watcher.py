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
from visor._core.following.marked_feed import is_mark
from visor._core.generic import T
from visor._core.public import public
from visor._core.shown import word
from visor.aio.following.stream import State, Stream
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


class Watcher(Generic[T]):
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
        self._client = client
        self._path = path
        self._codec = codec
        self._where = where
        self._distinct = distinct
        self._backlog_only = backlog_only
        self._unwrap = unwrap
        self._stream = Stream(client, select.path(path))
        self._file: File[Any] | None = None
        """The last one that was handed out."""
        self._seen: File[Any] | None = None
        """The last one that there was."""
        self._fresh: File[Any] | None = None
        """The one to hand out next."""
        self._rev = 0
        self._busy = False
        self._error: VisorError | None = None

    @property
    def file(self) -> File[Any]:
        """The file as `next` found it last; the error of `next` when it found none."""
        if self._file is None:
            raise self._error or WatcherClosed("there is no value yet: call next first")
        return self._file

    @property
    def value(self) -> T:
        """The value that `next` found last; DecodeError when the codec cannot read it."""
        return self._unwrap(self.file)

    @property
    def rev(self) -> int:
        """The rev up to which the file is known."""
        return self._rev

    @property
    def error(self) -> VisorError | None:
        """Why it ended: NotFound when the file was deleted, WatcherClosed, BacklogDone, or what failed."""
        return self._error

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

    def _take_state(self, state: State) -> None:
        self._rev = state.rev
        version = state.rows[0][1] if state.rows else None
        seen = self._seen
        if seen is not None and (version is None or version[2] != seen.created):
            self._deleted(state.rev)  # whether or not there is another by now
        elif version is not None and (seen is None or version[0] != seen.mod_rev):
            self._offer(version)

    def _take(self, item: list[Any]) -> None:
        self._rev = item[0]
        if is_mark(item):
            return
        version = item[4][0][2]
        if version[1] is not None:
            self._offer(version)
        elif self._seen is not None:
            self._deleted(item[0])

    def _offer(self, version: list[Any]) -> None:
        file: File[Any] = File(self._client, self._path, self._rev, version, self._codec)
        self._seen = file
        if self._where is not None and not self._where(file):
            return
        if self._distinct and self._file is not None and self._file.data == file.data:
            self._fresh = None
            return
        self._fresh = file

    def _deleted(self, rev: int) -> None:
        self._end(NotFound(path=self._path, rev=rev))

    def _end(self, error: VisorError) -> None:
        if self._error is None:
            self._error = error

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

    def __repr__(self) -> str:
        return f"<visor watcher of {word(self._path)}, known up to rev {self._rev}>"


public("visor.aio.following", Watcher, watch_one)
