"""An optimistic transaction: read at one rev, write into a buffer, commit if nothing read has changed.

    async with client.transaction() as tx:
        count = (await tx.get("/count")).value
        await tx.set("/count", count + 1)

Everything that the body learned becomes a guard: a file (or its absence) "not changed since the rev
read at", a listing "nothing below changed since". When a guard fails, the reads are done again: if all of
them give what the body saw (somebody changed a neighbour in a listed directory), the commit is simply
tried again at the new rev; otherwise it is a Conflict.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from visor._core.buffered import BaseTransaction
from visor._core.generic import T
from visor._core.public import public
from visor._core.requests import REQUIRED, changed_part, guards_of_reads, literal_parts, set_operation
from visor.aio.snapshot import File
from visor.codecs import Codec
from visor.errors import Conflict, Exists, NotFound, VisorError
from visor.op import Leased, lease_id
from visor.paths import below
from visor.protocol import verbs
from visor.select import Selector
from visor.values import Entry

if TYPE_CHECKING:
    from visor.aio.snapshot import Asks

U = TypeVar("U")
R = TypeVar("R")


class Transaction(BaseTransaction, Generic[T]):
    """One attempt; made by `Client.transaction`, `attempts` or `update`. Not for use by several threads or tasks.

    Reads see the buffered writes of the same transaction; a directory must be listed before anything is
    written below it. Once it was committed, or has failed, or its block was left, it takes nothing any more:
    RuntimeError.
    """

    def __init__(
        self, client: Asks[Any], note: str | None, timeout: float | None, *, keep_conflict: bool = False
    ) -> None:
        self._client = client
        self._note = note
        self._timeout = timeout
        self._keep_conflict = keep_conflict
        super().__init__()
        self._reads: dict[tuple[str, object], tuple[Callable[[], Awaitable[object]], object]] = {}
        self._scanned: dict[object, list[str]] = {}
        """What is fixed in each of the paths of a scan that has several."""
        self._guarded: dict[str, bool] = {}
        self.conflict: Conflict | None = None
        """What kept it from committing."""

    # -- reading --------------------------------------------------------------------------------------
    @overload
    async def get(self, path: str) -> File[T]: ...
    @overload
    async def get(self, path: str, *, codec: Codec[U]) -> File[U]: ...
    @overload
    async def get(self, path: str, default: R) -> File[T] | R: ...
    @overload
    async def get(self, path: str, default: R, *, codec: Codec[U]) -> File[U] | R: ...
    async def get(self, path: str, default: Any = REQUIRED, *, codec: Codec[Any] | None = None) -> Any:
        """Return the file; `default` where there is none, or NotFound when none was given; IsDirectory."""
        self._check_open()
        if path in self._buffer or self._written_over(path):
            version = self._buffered(path)
        else:
            version = await self._read(path, "get", lambda: self._version(path))
        if version is not None:
            return File(self._client, path, self._rev or 0, version, codec or self._client.channel.codec)
        if default is not REQUIRED:
            return default
        raise NotFound(path=path, rev=self._rev)

    @overload
    async def get_value(self, path: str, default: R) -> T | R: ...
    @overload
    async def get_value(self, path: str, default: R, *, codec: Codec[U]) -> U | R: ...
    async def get_value(self, path: str, default: Any, *, codec: Codec[Any] | None = None) -> Any:
        """Return the value of the file, or `default` when there is none."""
        try:
            return (await self.get(path, codec=codec or self._client.channel.codec)).value
        except NotFound:
            return default

    async def exists(self, path: str) -> bool:
        """Whether there is a file or directory."""
        self._check_open()
        if any(below(other, path) and kept is not None for other, kept in self._buffer.items()):
            return True
        if self._written_over(path):
            return False
        return path == "/" or bool(await self._read(path, "exists", lambda: self._exists(path)))

    async def ls(self, path: str = "/", *, missing_ok: bool = False) -> list[Entry]:
        """Return the direct entries, guarded by everything below, also where there is nothing.

        NotFound, NotDirectory and `missing_ok` as for `Client.ls`.
        """
        self._check_open()
        self._refuse_late_listing(path)
        rows = await self._read(path, "ls", lambda: self._names(path), tree=True)
        if rows is None and not missing_ok:
            raise NotFound(path=path, rev=self._rev)
        return [Entry(*row) for row in rows or ()]

    async def names(self, path: str = "/", *, missing_ok: bool = False) -> list[str]:
        """Return the names of the direct entries, guarded by everything below; see `ls`."""
        return [entry.name for entry in await self.ls(path, missing_ok=missing_ok)]

    async def scan(self, what: str | Selector) -> list[File[T]]:
        """Return the files that match, guarded by everything below the fixed part of the path.

        Of several selectors, or globs in braces, by that of each.
        """
        self._check_open()
        self._client.channel.root.selector(what)  # what is none is refused here, in words
        bases = literal_parts(what)
        for base in bases:
            self._refuse_late_listing(base)
        rows = await self._read(bases[0], what, lambda: self._files(what), tree=True)
        self._guarded.update(dict.fromkeys(bases, True))
        if len(bases) > 1:
            self._scanned[what] = bases
        codec = self._client.channel.codec
        return [File(self._client, path, self._rev or 0, version, codec) for path, version in rows]

    async def _read(
        self, path: str, kind: object, fetch: Callable[[], Awaitable[Any]], *, tree: bool = False
    ) -> Any:
        known = self._reads.get((path, kind))
        if known is not None:
            return known[1]
        result = await fetch()
        self._reads[path, kind] = fetch, result
        self._guarded[path] = tree or self._guarded.get(path, False)
        return result

    async def _version(self, path: str) -> list[Any] | None:
        root = self._client.channel.root
        rev, version = await self._call([verbs.GET, 0, root.path(path), self._rev])
        self._at(rev)
        return None if version is None else list(version)

    async def _exists(self, path: str) -> bool:
        root = self._client.channel.root
        rev, kind = (await self._call([verbs.STAT, 0, root.path(path), self._rev]))[:2]
        self._at(rev)
        return bool(kind != verbs.N_MISSING)

    async def _names(self, path: str) -> list[tuple[Any, ...]] | None:
        await self._fix_rev()
        try:
            entries = await self._client.ls(path, at=self._rev, timeout=self._timeout)
        except NotFound:
            return None
        return [(entry.name, entry.path, entry.kind, entry.size, entry.mod_rev) for entry in entries]

    async def _files(self, what: str | Selector) -> list[tuple[str, list[Any]]]:
        await self._fix_rev()
        files = self._client.scan(what, at=self._rev, timeout=self._timeout)
        return [(file.path, file._version) async for file in files]

    async def _fix_rev(self) -> None:
        if self._rev is None:
            self._rev = await self._client.rev(timeout=self._timeout)

    async def _call(self, message: list[Any]) -> Any:
        return await self._client.channel.call(message, False, self._timeout)

    # -- writing --------------------------------------------------------------------------------------
    @overload
    async def set(self, path: str, value: T, *, lease: Leased | int | None = None) -> None: ...
    @overload
    async def set(
        self, path: str, value: U, *, codec: Codec[U], lease: Leased | int | None = None
    ) -> None: ...
    async def set(
        self,
        path: str,
        value: Any,
        *,
        codec: Codec[Any] | None = None,
        lease: Leased | int | None = None,
    ) -> None:
        """Write the file at commit, attached to `lease` if one is given."""
        self._check_open()
        chosen = codec or self._client.channel.codec
        data = chosen.encode(value)
        self._operations.append(set_operation(self._client.channel.root.path(path), data, lease_id(lease)))
        self._buffer[path] = data, value

    @overload
    async def create(self, path: str, value: T, *, lease: Leased | int | None = None) -> None: ...
    @overload
    async def create(
        self, path: str, value: U, *, codec: Codec[U], lease: Leased | int | None = None
    ) -> None: ...
    async def create(
        self,
        path: str,
        value: Any,
        *,
        codec: Codec[Any] | None = None,
        lease: Leased | int | None = None,
    ) -> None:
        """Write a file that must not exist; Exists when it does at the rev read at."""
        if await self._file_there(path):
            raise Exists(path=path, actual=self._rev)
        await self.set(path, value, codec=codec or self._client.channel.codec, lease=lease)

    @overload
    async def replace(self, path: str, value: T, *, lease: Leased | int | None = None) -> None: ...
    @overload
    async def replace(
        self, path: str, value: U, *, codec: Codec[U], lease: Leased | int | None = None
    ) -> None: ...
    async def replace(
        self,
        path: str,
        value: Any,
        *,
        codec: Codec[Any] | None = None,
        lease: Leased | int | None = None,
    ) -> None:
        """Write a file that must exist; NotFound when it does not at the rev read at."""
        if not await self._file_there(path):
            raise NotFound(path=path, rev=self._rev)
        await self.set(path, value, codec=codec or self._client.channel.codec, lease=lease)

    async def delete(self, path: str, *, recursive: bool = False) -> None:
        """Delete at commit; NotFound when there is nothing at the rev read at."""
        if not await self.exists(path):
            raise NotFound(path=path, rev=self._rev)
        self._operations.append([verbs.T_DELETE, self._client.channel.root.path(path), recursive])
        for other in [other for other in self._buffer if below(other, path)]:
            del self._buffer[other]
        self._buffer[path] = None

    async def _file_there(self, path: str) -> bool:
        try:
            await self.get(path)
        except NotFound:
            return False
        return True

    # -- the end --------------------------------------------------------------------------------------
    async def commit(self) -> int:
        """Commit now (leaving the block does), return the rev; Conflict when what was read has changed.

        Whatever it raises, the transaction is over. Called again, it returns the same rev.
        """
        if self._committed is not None:
            return self._committed
        self._check_open()
        self._over = "has failed to commit"
        try:
            rev = await self._commit()
        except Conflict as conflict:
            self.conflict = conflict
            raise
        self._over = f"was committed at rev {rev}"
        self._committed = rev
        return rev

    async def _commit(self) -> int:
        if not self._operations:
            await self._fix_rev()
            return self._rev or 0
        # From here on all requests share it, also those that do the reads again.
        self._timeout = timeout = self._client.channel.driver.deadline(self._timeout).timeout
        pause = self._client.channel.driver.pauses(timeout)
        while True:
            guards = guards_of_reads(self._client.channel.root, self._guarded, self._rev)
            message = [verbs.TXN, 0, 0, guards, self._operations, [], self._note]
            rev, succeeded, _ = await self._client.channel.call(message, True, timeout)
            if succeeded:
                return int(rev)
            await self._look_again(rev)
            if not await pause.next():
                raise Conflict(f"others kept changing what was read until rev {rev}", path=None)

    async def _look_again(self, rev: int) -> None:
        """Do all reads again at `rev`; Conflict when one of them gives something else than before."""
        self._rev = rev
        for (path, what), (fetch, before) in self._reads.items():
            try:
                now: object = await fetch()
            except VisorError as error:
                raise Conflict(f"{path}: changed while the transaction ran", path=path) from error
            if now != before:
                part = changed_part(self._scanned.get(what, [path]), before, now)
                raise Conflict(f"{part}: changed while the transaction ran", path=part, actual=rev)

    async def __aenter__(self) -> Transaction[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None:
            self._over = self._over or "was left with an error"
            if isinstance(error, Conflict) and self._keep_conflict and not isinstance(error, Exists):
                self.conflict = error
                return True
            return False
        if self._over is not None:
            return False  # committed in the block, or it failed there and the body knows
        try:
            await self.commit()
        except Conflict:
            if not self._keep_conflict:
                raise
        return False


public("visor.aio", Transaction)
