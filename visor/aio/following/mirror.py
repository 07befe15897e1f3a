"""A mirror: files of the registry in this process, kept in sync, read at memory speed.

async with Mirror(client, "/apps/**") as mirror:
    mirror["/apps/web/head"].value          # no request: a look into a dict
    await mirror.wait_for(rev)              # not older than that
    print(mirror.staleness)                 # at rev 812, 0 behind, at most 1.3 s old, connected
"""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, overload

from visor._core.following.cache import View
from visor._core.following.delta import Batch
from visor._core.following.reader_queue import LIMIT, ReaderQueue
from visor._core.following.staleness import Staleness
from visor._core.generic import T
from visor._core.public import public
from visor.aio.following.changes import Callback, Changes
from visor.aio.following.local_copy import LocalCopy
from visor.aio.snapshot import File
from visor.codecs import Codec
from visor.errors import NotFound, VisorError
from visor.select import Selector

if TYPE_CHECKING:
    from visor.aio.client import Client

D = TypeVar("D")


class Files(Generic[T]):
    """Files by path, as a mirror or a snapshot of one has them: all at `rev`, without a request."""

    __slots__ = ("_held",)

    def __init__(self, held: View[File[T]]) -> None:
        self._held = held

    @property
    def rev(self) -> int:
        """The rev at which these are the files."""
        return self._held.rev

    def __getitem__(self, path: str) -> File[T]:
        """Return the file; KeyError when there is none."""
        file = self._held.get(path)
        if file is None:
            raise KeyError(path)
        return file

    @overload
    def get(self, path: str) -> File[T] | None: ...
    @overload
    def get(self, path: str, default: D) -> File[T] | D: ...
    def get(self, path: str, default: Any = None) -> Any:
        """Return the file, or `default` when there is none."""
        file = self._held.get(path)
        return default if file is None else file

    def value(self, path: str) -> T:
        """Return the value of the file; NotFound when there is none."""
        file = self._held.get(path)
        if file is None:
            raise NotFound(path=path, rev=self.rev)
        return file.value

    def __contains__(self, path: object) -> bool:
        return self._held.get(str(path)) is not None

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths())

    def paths(self, below: str = "/") -> list[str]:
        """Return the paths of the files at or below a directory, in path order."""
        inside = "/" if below == "/" else below + "/"
        found = self._held.starting(inside)
        return [below, *found] if below in self else found

    def files(self, below: str = "/") -> list[File[T]]:
        """Return the files at or below a directory, in path order."""
        found = (self._held.get(path) for path in self.paths(below))
        return [file for file in found if file is not None]

    def names(self, directory: str = "/") -> list[str]:
        """Return the names directly in a directory, in order, files and directories alike."""
        inside = "/" if directory == "/" else directory + "/"
        cut = len(inside)
        return list(dict.fromkeys(path[cut:].split("/", 1)[0] for path in self._held.starting(inside)))

    def __repr__(self) -> str:
        return f"<{len(self)} files at rev {self.rev}>"


class _NotStarted:
    """The files of a mirror that has not been started: to read it as empty would be a lie."""

    def _refuse(self, *_: object) -> NoReturn:
        raise RuntimeError(
            "this mirror is not started, so it has nothing yet: use it in a with block, or call start()"
        )

    __getitem__ = __iter__ = __len__ = __contains__ = get = _refuse


NOT_STARTED: Any = _NotStarted()


class Mirror(Generic[T]):
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
    async def start(self, *, timeout: float | None = None) -> Mirror[T]:
        """Fetch the files and keep them in sync from then on; `with` does it.

        DeadlineExceeded when no node answers within `timeout` (default: that of `dial`).
        """
        await self._local_copy.start(timeout)
        self._files = self._local_copy.cache.entries
        return self

    async def close(self) -> None:
        """End it: idempotent, bounded (a second). What it holds can still be read."""
        await self._local_copy.close()

    async def __aenter__(self) -> Mirror[T]:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- reading --------------------------------------------------------------------------------------
    def __getitem__(self, path: str) -> File[T]:
        """Return the file; KeyError when there is none."""
        return self._files[path]

    @overload
    def get(self, path: str) -> File[T] | None: ...
    @overload
    def get(self, path: str, default: D) -> File[T] | D: ...
    def get(self, path: str, default: Any = None) -> Any:
        """Return the file, or `default` when there is none."""
        return self._files.get(path, default)

    def value(self, path: str) -> T:
        """Return the value of the file; NotFound when there is none."""
        file = self._files.get(path)
        if file is None:
            raise NotFound(path=path, rev=self.rev)
        return file.value

    def __contains__(self, path: object) -> bool:
        return path in self._files

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths())

    def paths(self, below: str = "/") -> list[str]:
        """Return the paths of the files at or below a directory, in path order."""
        return self.snapshot().paths(below)

    def files(self, below: str = "/") -> list[File[T]]:
        """Return the files at or below a directory, in path order, all at one rev."""
        return self.snapshot().files(below)

    def names(self, directory: str = "/") -> list[str]:
        """Return the names directly in a directory, in order, files and directories alike."""
        return self.snapshot().names(directory)

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

    async def wait_for(self, rev: int, *, timeout: float | None = None) -> int:
        """Wait until the mirror is at `rev` or later, and return its rev.

        `timeout` in seconds (default: that of `dial`); DeadlineExceeded, or what ended the mirror.
        """
        return await self._local_copy.wait_for(rev, timeout)

    async def refresh(self, *, timeout: float | None = None) -> int:
        """Wait until the mirror holds all that was committed before this call, and return its rev."""
        return await self._local_copy.refresh(timeout)

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


def weight(file: File[Any]) -> int:
    """Return about how many bytes a file takes."""
    return 100 + len(file.path) + len(file._version[1] or b"")


public("visor.aio.following", Files, Mirror)
