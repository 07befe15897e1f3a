"""What a watcher of one file knows: what it has handed out, what there is, and why it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from visor._core.following.errors import WatcherClosed
from visor._core.following.marked_feed import State, is_mark
from visor._core.handles import BaseFile
from visor._core.shown import word
from visor.errors import NotFound, VisorError

V = TypeVar("V", bound=BaseFile[Any])
T = TypeVar("T")


class BaseWatcher(Generic[V, T]):
    """The files V, with values T, that one reader has seen and is to see."""

    def __init__(
        self,
        path: str,
        make: Callable[[int, list[Any]], V],
        where: Callable[[V], bool] | None,
        unwrap: Callable[[V], T],
        *,
        distinct: bool,
    ) -> None:
        self._path = path
        self._make = make
        self._where = where
        self._unwrap = unwrap
        self._distinct = distinct
        self._file: V | None = None
        """The last one that was handed out."""
        self._seen: V | None = None
        """The last one that there was."""
        self._fresh: V | None = None
        """The one to hand out next."""
        self._rev = 0
        self._error: VisorError | None = None

    @property
    def file(self) -> V:
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
        file = self._make(self._rev, version)
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

    def __repr__(self) -> str:
        return f"<visor watcher of {word(self._path)}, known up to rev {self._rev}>"
