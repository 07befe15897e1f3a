# Generated from visor/aio/snapshot.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""The registry at one rev, and a file of it: immutable, and a write gives the next one.

snapshot = client.snapshot()        # snapshot.rev == 42
one = snapshot.get("/path")         # one.rev == 42
two = one.update("bob")             # two.rev == 43; `one` still says what it said
one.update("eve")                   # RevMismatch: changed since 42; `one` stays usable
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

from visor._core.generic import T
from visor._core.handles import NO_CLIENT, BaseFile, BaseSnapshot
from visor._core.public import public
from visor._core.requests import REQUIRED, create_message, set_message
from visor.codecs import Codec
from visor.errors import Exists
from visor.guard import Guard, since
from visor.op import Leased
from visor.select import Selector
from visor.values import Entry, Stat

U = TypeVar("U")
R = TypeVar("R")

if TYPE_CHECKING:
    from visor.blocking._channel import Channel

    class Asks(Protocol[T]):
        """What a file and a snapshot ask of the client that they are of."""

        channel: Channel[T]

        @overload
        def get(
            self, path: str, *, codec: Codec[U], at: int | None = ..., timeout: float | None = ...
        ) -> File[U]: ...
        @overload
        def get(
            self,
            path: str,
            default: R,
            *,
            codec: Codec[U],
            at: int | None = ...,
            timeout: float | None = ...,
        ) -> File[U] | R: ...

        def set(
            self,
            path: str,
            value: Any,
            *,
            codec: Codec[Any],
            guard: Guard | None = ...,
            lease: Leased | int | None = ...,
            note: str | None = ...,
            timeout: float | None = ...,
        ) -> int: ...

        def delete(
            self,
            path: str,
            *,
            recursive: bool = ...,
            guard: Guard | None = ...,
            note: str | None = ...,
            timeout: float | None = ...,
        ) -> int: ...

        def rev(self, *, timeout: float | None = ...) -> int: ...

        def stat(self, path: str, *, at: int | None = ..., timeout: float | None = ...) -> Stat: ...

        def exists(self, path: str, *, at: int | None = ..., timeout: float | None = ...) -> bool: ...

        def ls(
            self,
            path: str = ...,
            *,
            at: int | None = ...,
            limit: int | None = ...,
            missing_ok: bool = ...,
            timeout: float | None = ...,
        ) -> list[Entry]: ...

        def names(
            self,
            path: str = ...,
            *,
            at: int | None = ...,
            missing_ok: bool = ...,
            timeout: float | None = ...,
        ) -> list[str]: ...

        def count(
            self, what: str | Selector = ..., *, at: int | None = ..., timeout: float | None = ...
        ) -> int: ...

        @overload
        def scan(
            self,
            what: str | Selector = ...,
            *,
            at: int | None = ...,
            keys: bool = ...,
            reverse: bool = ...,
            limit: int | None = ...,
            timeout: float | None = ...,
        ) -> Iterator[File[T]]: ...
        @overload
        def scan(
            self,
            what: str | Selector = ...,
            *,
            codec: Codec[U],
            at: int | None = ...,
            keys: bool = ...,
            reverse: bool = ...,
            limit: int | None = ...,
            timeout: float | None = ...,
        ) -> Iterator[File[U]]: ...


class File(BaseFile[T]):
    """A file as it was at a rev. Immutable; the value is decoded when it is first asked for."""

    __slots__ = ()
    _client: Asks[Any]

    def update(self, value: T, *, note: str | None = None, timeout: float | None = None) -> File[T]:
        """Write `value` if the file has not changed since `.rev`, and return the new file.

        RevMismatch when it has; this object stays as it is.
        """
        data = self._codec.encode(value)
        rev = self._client.set(
            self._path, value, codec=self._codec, guard=since(self._rev), note=note, timeout=timeout
        )
        version = [rev, data, self.created, self.count + 1, 0]
        return File(self._client, self._path, rev, version, self._codec)

    def delete(self, *, note: str | None = None, timeout: float | None = None) -> Snapshot[Any]:
        """Delete it if it has not changed since `.rev`, and return the snapshot of that; else RevMismatch."""
        rev = self._client.delete(self._path, guard=since(self._rev), note=note, timeout=timeout)
        return Snapshot(self._client, rev)

    def fast_forward(self, rev: int = -1, *, timeout: float | None = None) -> File[T]:
        """Return the file at `rev`, or at the latest rev; itself when that is not newer than `.rev`.

        NotFound when it has been deleted by then.
        """
        if 0 <= rev <= self._rev:
            return self
        newer = self._client.get(self._path, codec=self._codec, at=rev if rev >= 0 else None, timeout=timeout)
        return newer if newer.rev > self._rev else self

    def detached(self) -> File[T]:
        """Return the same file without a client, as pickling gives it: all of it can be read, also elsewhere.

        What needs a client (`update`, `delete`, `fast_forward` to a later rev) raises Detached.
        """
        return File(NO_CLIENT, self._path, self._rev, self._version, self._codec)


class Snapshot(BaseSnapshot, Generic[T]):
    """The registry at one rev: reads are always at `.rev`, writes fail on what has changed since."""

    __slots__ = ()
    _client: Asks[T]

    @overload
    def get(self, path: str, *, timeout: float | None = None) -> File[T]: ...
    @overload
    def get(self, path: str, *, codec: Codec[U], timeout: float | None = None) -> File[U]: ...
    @overload
    def get(self, path: str, default: R, *, timeout: float | None = None) -> File[T] | R: ...
    @overload
    def get(self, path: str, default: R, *, codec: Codec[U], timeout: float | None = None) -> File[U] | R: ...
    def get(
        self,
        path: str,
        default: Any = REQUIRED,
        *,
        codec: Codec[Any] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Return the file; `default` where there is none at this rev, or NotFound when none was given."""
        client = self._client
        return client.get(path, default, codec=codec or client.channel.codec, at=self._rev, timeout=timeout)

    def stat(self, path: str, *, timeout: float | None = None) -> Stat:
        """Return what the path is."""
        return self._client.stat(path, at=self._rev, timeout=timeout)

    def exists(self, path: str, *, timeout: float | None = None) -> bool:
        """Whether there is a file or directory."""
        return self._client.exists(path, at=self._rev, timeout=timeout)

    def ls(
        self,
        path: str = "/",
        *,
        limit: int | None = None,
        missing_ok: bool = False,
        timeout: float | None = None,
    ) -> list[Entry]:
        """Return the direct entries in order; NotFound, NotDirectory and `missing_ok` as for `Client.ls`."""
        return self._client.ls(path, at=self._rev, limit=limit, missing_ok=missing_ok, timeout=timeout)

    def names(self, path: str = "/", *, missing_ok: bool = False, timeout: float | None = None) -> list[str]:
        """Return the names of the direct entries in order; see `ls`."""
        return self._client.names(path, at=self._rev, missing_ok=missing_ok, timeout=timeout)

    @overload
    def scan(
        self,
        what: str | Selector = ...,
        *,
        keys: bool = False,
        reverse: bool = False,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[File[T]]: ...
    @overload
    def scan(
        self,
        what: str | Selector = ...,
        *,
        codec: Codec[U],
        keys: bool = False,
        reverse: bool = False,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[File[U]]: ...
    def scan(
        self,
        what: str | Selector = "/**",
        *,
        codec: Codec[Any] | None = None,
        keys: bool = False,
        reverse: bool = False,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[File[Any]]:
        """Iterate over the files that match, in path order."""
        client = self._client
        return client.scan(
            what,
            codec=codec or client.channel.codec,
            at=self._rev,
            keys=keys,
            reverse=reverse,
            limit=limit,
            timeout=timeout,
        )

    def count(self, what: str | Selector = "/**", *, timeout: float | None = None) -> int:
        """Return how many files match."""
        return self._client.count(what, at=self._rev, timeout=timeout)

    @overload
    def set(
        self, path: str, value: T, *, note: str | None = None, timeout: float | None = None
    ) -> File[T]: ...
    @overload
    def set(
        self, path: str, value: U, *, codec: Codec[U], note: str | None = None, timeout: float | None = None
    ) -> File[U]: ...
    def set(
        self,
        path: str,
        value: Any,
        *,
        codec: Codec[Any] | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> File[Any]:
        """Write the file if it has not changed since `.rev`, and return it at its new rev; else RevMismatch."""
        client = self._client
        chosen = codec or client.channel.codec
        message = set_message(client.channel.root, path, chosen.encode(value), self._rev, note)
        rev, succeeded, results = client.channel.call(message, True, timeout)
        if succeeded:
            return File(client, path, rev, results[1], chosen)
        raise self._changed(path, results[0])

    @overload
    def create(
        self, path: str, value: T, *, note: str | None = None, timeout: float | None = None
    ) -> File[T]: ...
    @overload
    def create(
        self, path: str, value: U, *, codec: Codec[U], note: str | None = None, timeout: float | None = None
    ) -> File[U]: ...
    def create(
        self,
        path: str,
        value: Any,
        *,
        codec: Codec[Any] | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> File[Any]:
        """Write a file that exists neither at `.rev` nor later, and return it at its new rev.

        Exists when there is one; RevMismatch when one was created and deleted since.
        """
        client = self._client
        chosen = codec or client.channel.codec
        data = chosen.encode(value)
        message = create_message(client.channel.root, path, data, self._rev, note)
        rev, succeeded, results = client.channel.call(message, True, timeout)
        if succeeded:
            return File(client, path, rev, [rev, data, rev, 1, 0], chosen)
        if results[0] is not None:
            raise Exists(path=path, actual=results[0][0])
        raise self._changed(path, None)

    def delete(
        self, path: str, *, recursive: bool = False, note: str | None = None, timeout: float | None = None
    ) -> Snapshot[T]:
        """Delete what has not changed since `.rev`, and return the snapshot of that; else RevMismatch."""
        rev = self._client.delete(
            path, recursive=recursive, guard=since(self._rev), note=note, timeout=timeout
        )
        return Snapshot(self._client, rev)

    def fast_forward(self, rev: int = -1, *, timeout: float | None = None) -> Snapshot[T]:
        """Return the snapshot at `rev`, or the latest; itself when that is not newer: never back in time."""
        if rev < 0:
            rev = self._client.rev(timeout=timeout)
        return Snapshot(self._client, rev) if rev > self._rev else self

    def detached(self) -> Snapshot[T]:
        """Return the same rev without a client, as pickling gives it; whatever is asked of it raises Detached.

        `client.snapshot(detached.rev)` is the snapshot again.
        """
        return Snapshot(NO_CLIENT, self._rev)


public("visor", File, Snapshot)

__all__ = ["File", "Snapshot"]
