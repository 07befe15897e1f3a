"""The objects of one kind, for `follow` and for watching one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from visor._core.following.reader_queue import ReaderQueue
from visor._core.public import public
from visor._core.store.history import reason
from visor._core.store.record import Record
from visor._core.store.specs import on, selection
from visor._core.store.tables import Tables
from visor.aio.following.changes import Changes
from visor.aio.following.watcher import Watcher
from visor.codecs import BYTES
from visor.errors import DecodeError

if TYPE_CHECKING:
    from visor._drivers.aio.driver import Driver
    from visor.aio.client import Client
    from visor.aio.following.local_copy import LocalCopy
    from visor.aio.snapshot import File

R = TypeVar("R", bound=Record)


class Collection(Generic[R]):
    """One kind of a store; made by `Store.collection`."""

    def __init__(
        self, client: Client[Any], local_copy: LocalCopy[Record], tables: Tables, kind: type[R]
    ) -> None:
        self._client = client
        self._driver: Driver = client.channel.driver
        self._local_copy = local_copy
        self._tables = tables
        self._kind = kind
        self._table = tables.of(kind)

    def reader(self, *, coalesce: bool = False) -> Changes[R]:
        """Return what `follow` reads: every object there is, then what changes."""
        chosen = selection((on(self._kind),), self._tables, False)
        queue: ReaderQueue[Any] = ReaderQueue(
            self._client.channel.settings.clock, coalesce=coalesce, select=chosen
        )
        return Changes(self._local_copy, queue, weight, backlog=True, below=self._table.directory)

    def watch_one(self, id: str) -> Watcher[R]:
        """Return a watcher of one object: blocks until it exists, gives its newest value, ends when it is removed."""
        table = self._table

        def unwrap(file: File[bytes]) -> R:
            try:
                record: R = table.kind.decode(id, file._version)
            except Exception as error:  # msgpack and the user's dataclass raise whatever they like
                raise DecodeError(f"{file.path}: {reason(error)}", path=file.path, codec="store") from error
            return record

        return Watcher(self._client, table.path(id), BYTES, None, False, False, unwrap)

    def __repr__(self) -> str:
        return f"<store collection of {self._kind.__name__}>"


def weight(record: Record) -> int:
    """Return about how many bytes an object takes."""
    sized = (value for value in vars(record).values() if isinstance(value, str | bytes | tuple | frozenset))
    return 300 + sum(map(len, sized))


public("visor.aio.store", Collection)
