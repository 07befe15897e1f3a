"""The client: every operation of the registry as a method, the same for threads and for asyncio."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from visor._core.backoff import in_milliseconds
from visor._core.generic import T
from visor._core.handles import BaseClient
from visor._core.public import public
from visor._core.requests import (
    REQUIRED,
    check_limit,
    checked_codec,
    guard_failed,
    guard_row,
    op_result,
    plain_guard,
    rev_message,
    set_operation,
    txn_message,
)
from visor._core.settings import Settings
from visor._core.state import ClientState
from visor._drivers.clocks import lease_clock
from visor.aio._channel import Channel
from visor.aio.snapshot import File, Snapshot
from visor.codecs import Codec
from visor.errors import BadRequest, LeaseNotFound, NotFound
from visor.guard import Guard, missing
from visor.guard import exists as must_exist
from visor.op import Leased, Op, lease_id
from visor.paths import below
from visor.protocol import verbs
from visor.select import Selector
from visor.values import (
    NODES,
    Blame,
    Commit,
    Difference,
    Entry,
    Horizon,
    Kind,
    LeaseInfo,
    Redaction,
    Result,
    Stat,
    commit_from_wire,
    instant,
    milliseconds,
)

if TYPE_CHECKING:  # a program that only reads and writes never loads them
    from visor._drivers.aio.driver import Driver
    from visor._drivers.aio.opening import Opening
    from visor._drivers.clusters import Asking
    from visor.aio._keeper import Keeper
    from visor.aio._listeners import Listeners
    from visor.aio.admin import Admin
    from visor.aio.auth import Auth
    from visor.aio.lease import Lease
    from visor.aio.session import Session
    from visor.aio.subscription import Subscription
    from visor.aio.transaction import Transaction
    from visor.aio.watch import Watch
    from visor.members import Status

U = TypeVar("U")
R = TypeVar("R")

EVERYTHING = "/**"
CLOSE_SECONDS = 1.0


class Client(BaseClient[T]):
    """A connection to the registry that heals itself; made by `dial`.

    Every method takes `timeout` (seconds, in total, over all attempts; default: that of `dial`; ValueError for less
    than 0; with 0 there is no time to ask, and nothing is sent, but for `acquire` and `next` of a watch) and raises
    what `visor.errors` draws: `Rejected` when it did not happen, `Unavailable` when it can safely be
    repeated (the client has done so until the deadline), `OutcomeUnknown` when a write may have happened,
    `ClientClosed` and `ForkedClient` when this object cannot be used. A write that was cut off is
    repeated under its id, and so happens exactly once.

    `at` reads the state of a past rev (a later one waits until it is there); `stale` accepts the state that
    the node has, which may be old. `codec` overrides the codec of `dial`. `note` is kept in history.
    """

    _driver: Driver

    def __init__(self, settings: Settings, codec: Codec[T]) -> None:
        self.channel: Channel[T] = Channel(settings, checked_codec(codec))
        """What its files, watches, locks and so on use of it; not for applications."""
        self._settings, self._root, self._path = settings, settings.root, self.channel.path
        self._codec, self._driver, self._call = self.channel.codec, self.channel.driver, self.channel.call
        self._keepers: dict[float, Keeper] = {}
        self._asking: Asking | None = None
        self._states: Listeners[ClientState] | None = None

    # -- life -----------------------------------------------------------------------------------------
    async def connect(self, *, timeout: float | None = None) -> None:
        """Make sure that there is a connection; `dial` has done it."""
        await self._driver.connect(timeout)
        if self._asking is None and len(self._settings.addresses) > 1:
            from visor._drivers.clusters import look

            self._asking = look(self._settings, self._driver.cluster, self._driver.learned)

    async def close(self) -> None:
        """End the client: idempotent, bounded (two seconds), silent.

        Leases that it keeps alive are revoked, if that can be done in a second. Calls under way and watches end
        with ClientClosed. May be called from a callback.
        """
        if self._asking is not None:
            self._asking.end()
        if self._keepers:
            await self._end_leases()
        await self._driver.close()

    async def _end_leases(self) -> None:
        keepers, self._keepers = self._keepers, {}
        deadline = self._driver.deadline(CLOSE_SECONDS)
        for lease in [lease for keeper in keepers.values() for lease in keeper.leases()]:
            if self._driver.address is not None and deadline.left() > 0:
                await lease.close(timeout=deadline.left())

    async def reopen(self, *, timeout: float | None = None) -> None:
        """Start anew after a fork, after `close` or after WrongCluster: another session, another connection.

        Watches of before stay ended, leases of before lost. After WrongCluster the client accepts the cluster it
        finds.
        """
        self._keepers = {}
        await self._driver.reopen(timeout)

    async def __aenter__(self) -> Client[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def on_state(self, listener: Callable[[ClientState], object]) -> None:
        """Call `listener(state)` at every change of `state` from now on, one after another.

        Listeners have a thread (under asyncio: a task) of their own and may use the client.
        """
        from visor.aio._listeners import Listeners

        if self._states is None:
            self._states = Listeners(self._driver)
            self._driver.on_state = self._states.tell
        self._states.add(listener)

    @property
    def admin(self) -> Admin:
        """What operators ask of a cluster: its members, transfers, comparisons."""
        from visor.aio.admin import Admin

        return Admin(self)

    @property
    def auth(self) -> Auth:
        """Who may do what: roles, users, tokens, and who this client is itself."""
        from visor.aio.auth import Auth

        return Auth(self)

    async def ping(self, *, timeout: float | None = None) -> None:
        """Exchange one empty message with the node."""
        await self._call([verbs.PING, 0], False, timeout)

    # -- revs -----------------------------------------------------------------------------------------
    async def rev(self, *, stale: bool = False, timeout: float | None = None) -> int:
        """Return the latest rev; 0 when nothing was ever written."""
        rev: int = (await self._call(rev_message(stale), False, timeout))[0]
        return rev

    async def horizon(self, *, stale: bool = False, timeout: float | None = None) -> Horizon:
        """Return the latest rev, the floor of history and the time of the latest commit."""
        rev, floor, time_ms = await self._call(rev_message(stale), False, timeout)
        return Horizon(rev, floor, instant(time_ms))

    async def rev_at(self, moment: datetime | float, *, timeout: float | None = None) -> int:
        """Return the last rev at or before `moment` (an aware datetime, or seconds since 1970)."""
        rev: int = await self._call([verbs.AT, 0, milliseconds(moment)], False, timeout)
        return rev

    async def snapshot(
        self, rev: int | None = None, at: datetime | float | None = None, *, timeout: float | None = None
    ) -> Snapshot[T]:
        """Return the state at `rev`, or as of the time `at`, or the latest."""
        if rev is not None and at is not None:
            raise ValueError("a snapshot is at a rev or at a time, not both")
        if at is not None:
            rev = await self.rev_at(at, timeout=timeout)
        elif rev is None or rev < 0:
            rev = await self.rev(timeout=timeout)
        return Snapshot(self, rev)

    # -- reading --------------------------------------------------------------------------------------
    @overload
    async def get(
        self, path: str, *, at: int | None = None, stale: bool = False, timeout: float | None = None
    ) -> File[T]: ...
    @overload
    async def get(
        self,
        path: str,
        *,
        codec: Codec[U],
        at: int | None = None,
        stale: bool = False,
        timeout: float | None = None,
    ) -> File[U]: ...
    @overload
    async def get(
        self,
        path: str,
        default: R,
        *,
        at: int | None = None,
        stale: bool = False,
        timeout: float | None = None,
    ) -> File[T] | R: ...
    @overload
    async def get(
        self,
        path: str,
        default: R,
        *,
        codec: Codec[U],
        at: int | None = None,
        stale: bool = False,
        timeout: float | None = None,
    ) -> File[U] | R: ...
    async def get(
        self,
        path: str,
        default: Any = REQUIRED,
        *,
        codec: Codec[Any] | None = None,
        at: int | None = None,
        stale: bool = False,
        timeout: float | None = None,
    ) -> Any:
        """Return the file; `default` where there is none, or NotFound when none was given.

        IsDirectory for a directory.
        """
        chosen = self._codec if codec is None else checked_codec(codec)
        message = [verbs.GET, 0, self._path(path)]
        if at is not None or stale:
            message += (at, int(stale))
        rev, version = await self._call(message, False, timeout)
        if version is None:
            if default is not REQUIRED:
                return default
            raise NotFound(path=path, rev=at)
        return File(self, path, rev if at is None else at, version, chosen)

    @overload
    async def get_value(
        self, path: str, default: R, *, at: int | None = None, timeout: float | None = None
    ) -> T | R: ...
    @overload
    async def get_value(
        self, path: str, default: R, *, codec: Codec[U], at: int | None = None, timeout: float | None = None
    ) -> U | R: ...
    async def get_value(
        self,
        path: str,
        default: Any,
        *,
        codec: Codec[Any] | None = None,
        at: int | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Return the value of the file, or `default` when there is none."""
        try:
            return (await self.get(path, codec=self._chosen(codec), at=at, timeout=timeout)).value
        except NotFound:
            return default

    async def stat(
        self, path: str, *, at: int | None = None, stale: bool = False, timeout: float | None = None
    ) -> Stat:
        """Return what the path is; a missing one has kind MISSING and, if deleted, the rev of that."""
        message = [verbs.STAT, 0, self._path(path), at, int(stale)]
        rev, kind, size, mod_rev, created, count, lease = await self._call(message, False, timeout)
        if path == "/" and kind == verbs.N_MISSING:
            kind = verbs.N_DIRECTORY  # the root is there also when nothing is in it
        return Stat(path, rev, NODES[kind], size, mod_rev, created, count, lease)

    async def exists(
        self, path: str, *, at: int | None = None, stale: bool = False, timeout: float | None = None
    ) -> bool:
        """Whether there is a file or directory."""
        message = [verbs.STAT, 0, self._path(path), at, int(stale)]
        kind: int = (await self._call(message, False, timeout))[1]
        return kind != verbs.N_MISSING or path == "/"

    async def ls(
        self,
        path: str = "/",
        *,
        at: int | None = None,
        stale: bool = False,
        limit: int | None = None,
        missing_ok: bool = False,
        timeout: float | None = None,
    ) -> list[Entry]:
        """Return the direct entries in order, all at one rev, at most `limit`.

        A directory is there as long as there are files below it: NotFound when there is none, or with `missing_ok`
        an empty list (as for the root of an empty registry). NotDirectory for a file.
        """
        entries: list[Entry] = []
        cursor: object = None
        below = str(path).rstrip("/") + "/"
        timeout = self.channel.shared(timeout)
        check_limit(limit)
        while limit is None or len(entries) < limit:
            page = 0 if limit is None else limit - len(entries)
            message = [verbs.LIST, 0, self._path(path), at, int(stale), cursor, page]
            try:
                at, rows, cursor = await self._call(message, False, timeout)
            except NotFound:
                if path == "/" or missing_ok:
                    return []
                raise
            entries += [Entry(row[0], below + row[0], NODES[row[1]], row[2], row[3]) for row in rows]
            if cursor is None:
                break
        return entries

    async def names(
        self,
        path: str = "/",
        *,
        at: int | None = None,
        stale: bool = False,
        missing_ok: bool = False,
        timeout: float | None = None,
    ) -> list[str]:
        """Return the names of the direct entries in order; NotFound, NotDirectory and `missing_ok` as for `ls`."""
        entries = await self.ls(path, at=at, stale=stale, missing_ok=missing_ok, timeout=timeout)
        return [entry.name for entry in entries]

    @overload
    def scan(
        self,
        what: str | Selector = ...,
        *,
        at: int | None = None,
        stale: bool = False,
        keys: bool = False,
        reverse: bool = False,
        limit: int | None = None,
        page: int = 0,
        timeout: float | None = None,
    ) -> AsyncIterator[File[T]]: ...
    @overload
    def scan(
        self,
        what: str | Selector = ...,
        *,
        codec: Codec[U],
        at: int | None = None,
        stale: bool = False,
        keys: bool = False,
        reverse: bool = False,
        limit: int | None = None,
        page: int = 0,
        timeout: float | None = None,
    ) -> AsyncIterator[File[U]]: ...
    async def scan(
        self,
        what: str | Selector = EVERYTHING,
        *,
        codec: Codec[Any] | None = None,
        at: int | None = None,
        stale: bool = False,
        keys: bool = False,
        reverse: bool = False,
        limit: int | None = None,
        page: int = 0,
        timeout: float | None = None,
    ) -> AsyncIterator[File[Any]]:
        """Iterate over the files that match, in path order, all at one rev (that of the first page).

        `what` is a glob or a `visor.select` selector. `keys` leaves the values out, `page` is how many
        files one request fetches (0: the server's choice), `timeout` is for each page.
        """
        options = {name: True for name, on in (("keys", keys), ("reverse", reverse)) if on}
        selector = self._root.selector(what)
        check_limit(limit)
        chosen = self._chosen(codec)
        left = limit
        cursor: object = None
        while left is None or left > 0:
            size = page if left is None else min(page or left, left)
            message = [verbs.SCAN, 0, selector, at, int(stale), cursor, size, options]
            at, rows, cursor = (await self._call(message, False, timeout))[:3]
            for full, version in rows:
                yield File(self, self._root.relative(full), at, version, chosen)
            if cursor is None:
                return
            left = None if left is None else left - len(rows)

    async def count(
        self,
        what: str | Selector = EVERYTHING,
        *,
        at: int | None = None,
        stale: bool = False,
        timeout: float | None = None,
    ) -> int:
        """Return how many files match.

        What is much to look at is counted in several requests: a `timeout` is for all of them, left out each has that
        of `dial`.
        """
        selector = self._root.selector(what)
        cursor: object = None
        count = 0
        timeout = self.channel.shared(timeout)
        while True:
            message = [verbs.SCAN, 0, selector, at, int(stale), cursor, 0, {"count": True}]
            at, _, cursor, more = await self._call(message, False, timeout)
            count += int(more)
            if cursor is None:
                return count

    # -- writing --------------------------------------------------------------------------------------
    @overload
    async def set(
        self,
        path: str,
        value: T,
        *,
        guard: Guard | None = None,
        lease: Leased | int | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> int: ...
    @overload
    async def set(
        self,
        path: str,
        value: U,
        *,
        codec: Codec[U],
        guard: Guard | None = None,
        lease: Leased | int | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> int: ...
    async def set(
        self,
        path: str,
        value: Any,
        *,
        codec: Codec[Any] | None = None,
        guard: Guard | None = None,
        lease: Leased | int | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> int:
        """Write the file, if `guard` holds, and return the rev of that.

        `lease` attaches the file to a lease, with which it goes; None detaches it from what it had.

        RevMismatch, Exists, NotFound or GuardFailed by the kind of guard; IsDirectory, NotDirectory
        and TooLarge as they say; LeaseNotFound, or LeaseLost when that is known here.
        """
        chosen = self._codec if codec is None else checked_codec(codec)
        data = chosen.encode(value)
        full = self._path(path)
        message: list[Any] = [verbs.SET, 0, 0, full, data]
        if guard is None and note is None and lease is None:
            return int(await self._call(message, True, timeout))
        number = lease_id(lease)
        try:
            if guard is not None and not plain_guard(guard):
                return await self._guarded(
                    path, guard, set_operation(full, data, number), note, timeout, chosen
                )
            # A guard alone stays at seven fields, which the server takes on its fast path.
            message += (guard.kind, guard.arg) if guard is not None else (0, 0)
            if number or note is not None:
                message += (number, note)
            rev: int = await self._call(message, True, timeout)
        except LeaseNotFound as error:
            self._check_own(error, lease)
            raise
        return rev

    @overload
    async def create(
        self,
        path: str,
        value: T,
        *,
        lease: Leased | int | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> int: ...
    @overload
    async def create(
        self,
        path: str,
        value: U,
        *,
        codec: Codec[U],
        lease: Leased | int | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> int: ...
    async def create(
        self,
        path: str,
        value: Any,
        *,
        codec: Codec[Any] | None = None,
        lease: Leased | int | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> int:
        """Write a file that must not exist; Exists when it does."""
        codec = self._chosen(codec)
        return await self.set(
            path, value, codec=codec, guard=missing(), lease=lease, note=note, timeout=timeout
        )

    @overload
    async def replace(
        self,
        path: str,
        value: T,
        *,
        lease: Leased | int | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> int: ...
    @overload
    async def replace(
        self,
        path: str,
        value: U,
        *,
        codec: Codec[U],
        lease: Leased | int | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> int: ...
    async def replace(
        self,
        path: str,
        value: Any,
        *,
        codec: Codec[Any] | None = None,
        lease: Leased | int | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> int:
        """Write a file that must exist; NotFound when it does not."""
        codec = self._chosen(codec)
        return await self.set(
            path, value, codec=codec, guard=must_exist(), lease=lease, note=note, timeout=timeout
        )

    async def delete(
        self,
        path: str,
        *,
        recursive: bool = False,
        guard: Guard | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> int:
        """Delete the file, or with `recursive` the directory and all below, and return the rev of that.

        NotFound when there is nothing, IsDirectory for a directory without `recursive`.
        """
        full = self._path(path)
        if guard is not None and not plain_guard(guard):
            operation = [verbs.T_DELETE, full, recursive]
            return await self._guarded(path, guard, operation, note, timeout, self._codec)
        kind, arg = (guard.kind, guard.arg) if guard is not None else (0, 0)
        rev: int = await self._call([verbs.DELETE, 0, 0, full, recursive, kind, arg, note], True, timeout)
        return rev

    async def _guarded(
        self,
        path: str,
        guard: Guard,
        operation: list[Any],
        note: str | None,
        timeout: float | None,
        codec: Codec[Any],
    ) -> int:
        """Do one operation under a guard that only transactions know."""
        row = guard_row(self._root, path, guard, codec)
        message = [verbs.TXN, 0, 0, [row], [operation], [[verbs.T_GET, row[1]]], note]
        rev, succeeded, results = await self._call(message, True, timeout)
        if not succeeded:
            found = results[0]
            raise guard_failed(path, guard, found)
        return int(rev)

    @overload
    async def txn(
        self,
        guards: Mapping[str, Guard] | Iterable[tuple[str, Guard]] = ...,
        then: Sequence[Op] = ...,
        orelse: Sequence[Op] = ...,
        *,
        note: str | None = None,
        timeout: float | None = None,
    ) -> Result[File[T]]: ...
    @overload
    async def txn(
        self,
        guards: Mapping[str, Guard] | Iterable[tuple[str, Guard]] = ...,
        then: Sequence[Op] = ...,
        orelse: Sequence[Op] = ...,
        *,
        codec: Codec[U],
        note: str | None = None,
        timeout: float | None = None,
    ) -> Result[File[U]]: ...
    async def txn(
        self,
        guards: Mapping[str, Guard] | Iterable[tuple[str, Guard]] = (),
        then: Sequence[Op] = (),
        orelse: Sequence[Op] = (),
        *,
        codec: Codec[Any] | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> Result[File[Any]]:
        """Run `then` at one rev if all guards hold, else `orelse`; a failing operation refuses all of it.

        `guards` maps paths to guards (pairs, to guard one path twice); `then` and `orelse` come from
        `visor.op`. See `Result` for what comes back. The error of a failing operation carries
        `.operation`, its position.
        """
        chosen = self._codec if codec is None else checked_codec(codec)
        message = txn_message(self._root, guards, then, orelse, chosen, note)
        try:
            rev, succeeded, results = await self._call(message, True, timeout)
        except LeaseNotFound as error:
            self._check_own(error)
            raise
        operations = then if succeeded else orelse
        return Result(
            rev,
            succeeded,
            tuple(
                op_result(operation, result, lambda path, version: File(self, path, rev, version, chosen))
                for operation, result in zip(operations, results, strict=False)
            ),
        )

    def transaction(self, *, note: str | None = None, timeout: float | None = None) -> Transaction[T]:
        """Return an optimistic transaction to be used once in a `with` block.

        Leaving the block commits what was written in it, provided that nothing that was read in it
        has changed since. A block cannot be run twice, so a real change raises Conflict; `update` and
        `attempts` run it again.
        """
        from visor.aio.transaction import Transaction

        return Transaction(self, note, timeout)

    async def attempts(
        self, *, note: str | None = None, timeout: float | None = None
    ) -> AsyncIterator[Transaction[T]]:
        """Iterate over attempts at one optimistic transaction until one commits.

            async for tx in client.attempts():
                async with tx:
                    await tx.set("/n", (await tx.get("/n")).value + 1)

        When `timeout` (default: that of `dial`) is over, the last Conflict is raised.
        """
        from visor.aio.transaction import Transaction

        pause = self._driver.pauses(timeout)
        while True:
            tx: Transaction[T] = Transaction(self, note, timeout, keep_conflict=True)
            yield tx
            if tx.conflict is None:
                return
            if not await pause.next():
                raise tx.conflict

    async def update(
        self,
        body: Callable[[Transaction[T]], Awaitable[R]],
        *,
        note: str | None = None,
        timeout: float | None = None,
    ) -> R:
        """Call `body(tx)` in an optimistic transaction, again on conflict, and return its result."""
        result: list[R] = []
        async for tx in self.attempts(note=note, timeout=timeout):
            async with tx:
                result = [await body(tx)]
        return result[0]

    async def nop(self, *, timeout: float | None = None) -> int:
        """Go through consensus without changing anything, and return the latest rev."""
        rev: int = await self._call([verbs.NOP, 0, 0], True, timeout)
        return rev

    # -- leases ---------------------------------------------------------------------------------------
    async def lease(
        self, ttl: float, *, keep: bool = True, wanted: int = 0, timeout: float | None = None
    ) -> Lease:
        """Grant a lease of `ttl` seconds (1 to 366 days), for `lease=` of what is to go when it ends.

        With `keep` it is kept alive in the background, until it is closed or revoked, or lost. `wanted` asks for an
        id of one's own (2**48 or more; LeaseExists when it is in use).
        """
        from visor.aio.lease import Lease

        sent = lease_clock(self._settings.clock)()
        number, seconds = await self._grant(ttl, wanted, timeout)
        return Lease(self, number, seconds, sent, self._keeper(seconds) if keep else None)

    async def session(self, ttl: float = 10.0, *, timeout: float | None = None) -> Session:
        """Begin a session: a lease of `ttl` seconds that is kept alive, and has locks, elections and the like.

        Use it in a `with` block, or `close` it.
        """
        from visor.aio.session import Session

        sent = lease_clock(self._settings.clock)()
        number, seconds = await self._grant(ttl, 0, timeout)
        return Session(self, number, seconds, sent, self._keeper(seconds))

    async def _grant(self, ttl: float, wanted: int, timeout: float | None) -> tuple[int, float]:
        limits = self._driver.limits
        ttl_ms = in_milliseconds(ttl, "ttl")
        if not limits.lease_ttl_least <= ttl_ms <= limits.lease_ttl_most:
            least, most = limits.lease_ttl_least / 1000, limits.lease_ttl_most / 1000
            raise BadRequest(field="ttl", expected=f"from {least:g} to {most:.0f} seconds", actual=ttl)
        message = [verbs.GRANT, 0, 0, ttl_ms, wanted]
        _, number, granted = await self._call(message, True, timeout)
        return number, granted / 1000

    def _keeper(self, seconds: float) -> Keeper:
        from visor.aio._keeper import Keeper

        self._driver.hurry = self._surely
        return self._keepers.setdefault(seconds, Keeper(self.channel, seconds))

    async def keep_alive(self, leases: Iterable[int], *, timeout: float | None = None) -> dict[int, float]:
        """Give these leases their full time again; return that in seconds by id, 0.0 where there is no such lease."""
        rows = await self._call([verbs.KEEPALIVE, 0, list(leases)], False, timeout)
        return {number: ttl / 1000 for number, ttl in rows}

    async def revoke(self, lease: int, *, note: str | None = None, timeout: float | None = None) -> int:
        """End a lease, also another client's, with all that is attached to it, and return the rev of that.

        LeaseNotFound when there is no such lease.
        """
        rev: int = await self._call([verbs.REVOKE, 0, 0, lease, note], True, timeout)
        return rev

    async def lease_info(self, lease: int, *, timeout: float | None = None) -> LeaseInfo:
        """Return what the registry knows of a lease; LeaseNotFound when there is none."""
        rev, ttl, left, files = await self._call([verbs.LEASE, 0, lease], False, timeout)
        seconds = None if left is None else left / 1000
        inside = tuple(self._root.relative(path) for path in files if below(path, self._root.text))
        return LeaseInfo(lease, ttl / 1000, seconds, len(files), inside, rev)

    async def leases(self, *, timeout: float | None = None) -> AsyncIterator[LeaseInfo]:
        """Iterate over all leases by id, without their files and the time they have left.

        `timeout` is for each page.
        """
        cursor: object = None
        while True:
            rev, rows, cursor = await self._call([verbs.LEASES, 0, cursor], False, timeout)
            for number, ttl, count in rows:
                yield LeaseInfo(number, ttl / 1000, None, count, None, rev)
            if cursor is None:
                return

    # -- watching -------------------------------------------------------------------------------------
    @overload
    def watch(
        self,
        what: str | Selector = ...,
        rev: int | None = None,
        *,
        previous: bool = False,
        kinds: Iterable[Kind | str] | None = None,
        state: bool = False,
        keys: bool = False,
        window: int = 0,
        timeout: float | None = None,
    ) -> Opening[T]: ...
    @overload
    def watch(
        self,
        what: str | Selector = ...,
        rev: int | None = None,
        *,
        codec: Codec[U],
        previous: bool = False,
        kinds: Iterable[Kind | str] | None = None,
        state: bool = False,
        keys: bool = False,
        window: int = 0,
        timeout: float | None = None,
    ) -> Opening[U]: ...
    def watch(
        self,
        what: str | Selector = EVERYTHING,
        rev: int | None = None,
        *,
        codec: Codec[Any] | None = None,
        previous: bool = False,
        kinds: Iterable[Kind | str] | None = None,
        state: bool = False,
        keys: bool = False,
        window: int = 0,
        timeout: float | None = None,
    ) -> Opening[Any]:
        """Follow the commits that change what matches, from `rev` on (default: the next one; 0: the very first).

        Iterate over it at once, or use it in `with`, or keep it and `close` it. It is established when this returns
        (under asyncio: when it is awaited, entered or first iterated over). With `state` the matching files at
        `rev - 1` (default: the latest) are in `.state`, and the commits after it follow. `previous` asks for
        replaced values, `kinds` for these kinds of change only, `keys` for no values; `window` is how many bytes
        may wait unread (0: the server's choice). Reconnecting is invisible: no gap, no repeat.
        """
        from visor._drivers.aio.opening import opening
        from visor.aio.watch import Watch

        watch: Watch[Any] = Watch(
            self,
            self._chosen(codec),
            what,
            rev,
            previous,
            kinds,
            state,
            keys,
            window,
        )
        return opening(watch.open(timeout))

    async def wait(
        self,
        what: str | Selector,
        rev: int | None = None,
        *,
        kinds: Iterable[Kind | str] | None = None,
        timeout: float | None = None,
    ) -> Commit[T]:
        """Return the first commit at or after `rev` (default: from now on) that changes what matches.

        DeadlineExceeded when none comes in time.
        """
        deadline = self._driver.deadline(timeout)
        async with self.watch(what, rev, kinds=kinds, timeout=deadline.left()) as watch:
            return await watch.next(timeout=deadline.left())

    async def on_change(
        self,
        what: str | Selector,
        callback: Callable[[Commit[T]], object],
        rev: int | None = None,
        *,
        timeout: float | None = None,
    ) -> Subscription[T]:
        """Call `callback(commit)` for each commit from `rev` on, one after another, until it returns False.

        Callbacks have a thread (under asyncio: a task) of their own and may use this client, also to
        close it. One that raises is logged, and the next commit follows. Close the subscription to end it.
        """
        from visor.aio.subscription import Subscription

        watch = await self.watch(what, rev, timeout=timeout)
        return Subscription(self._driver, watch, callback)

    # -- history --------------------------------------------------------------------------------------
    @overload
    def history(
        self,
        what: str | Selector = ...,
        *,
        first: int | None = None,
        last: int | None = None,
        reverse: bool = False,
        previous: bool = False,
        keys: bool = False,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Commit[T]]: ...
    @overload
    def history(
        self,
        what: str | Selector = ...,
        *,
        codec: Codec[U],
        first: int | None = None,
        last: int | None = None,
        reverse: bool = False,
        previous: bool = False,
        keys: bool = False,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Commit[U]]: ...
    async def history(
        self,
        what: str | Selector = EVERYTHING,
        *,
        codec: Codec[Any] | None = None,
        first: int | None = None,
        last: int | None = None,
        reverse: bool = False,
        previous: bool = False,
        keys: bool = False,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Commit[Any]]:
        """Iterate over the commits from rev `first` (default: the oldest that is known) to `last`, oldest first.

        Only those that changed what matches. `reverse` begins with the newest. Compacted when `first` is given and
        that commit is gone: its `.floor` is the first that is not. `timeout` is for each page.
        """
        flags = (("previous", previous), ("keys", keys), ("reverse", reverse))
        options = {name: True for name, on in flags if on}
        selector = self._root.selector(what)
        last = await self.rev(timeout=timeout) if last is None else last
        check_limit(limit)
        chosen = self._chosen(codec)
        left = limit
        while (first or 1) <= last and (left is None or left > 0):
            message = [verbs.LOG, 0, selector, first, last, left or 0, options]
            _, commits, cursor = await self._call(message, False, timeout)
            for commit in commits:
                yield commit_from_wire(commit, self._root.relative, chosen)
            if cursor is None:
                return
            # A page ends after so much looking, so it may be empty and still have a cursor.
            left = None if left is None else left - len(commits)
            first, last = (first, cursor) if reverse else (cursor, last)

    async def blame(
        self, what: str | Selector = EVERYTHING, *, at: int | None = None, timeout: float | None = None
    ) -> list[Blame]:
        """Return, for each file that matches, who changed it last, in path order.

        A file whose last change is below the floor of history is left out. What is much to look at takes several
        requests: a `timeout` is for all of them, left out each has that of `dial`.
        """
        timeout = self.channel.shared(timeout)
        files = {file.path: file async for file in self.scan(what, at=at, keys=True, timeout=timeout)}
        found: dict[str, Blame] = {}
        last = max((file.rev for file in files.values()), default=0)
        first = max(1, min((file.mod_rev for file in files.values()), default=1))
        first = max(first, (await self.horizon(timeout=timeout)).floor + 1)
        async for commit in self.history(
            what, first=first, last=last, reverse=True, keys=True, timeout=timeout
        ):
            for change in commit.changes:
                file = files.get(change.path)
                if file is not None and file.mod_rev == commit.rev:
                    found[file.path] = Blame(
                        file.path,
                        commit.rev,
                        commit.time,
                        commit.actor,
                        commit.note,
                        file.created,
                        file.count,
                    )
            if len(found) == len(files):
                break
        return [found[path] for path in files if path in found]

    @overload
    def diff(
        self, a: int, b: int, what: str | Selector = ..., *, timeout: float | None = None
    ) -> AsyncIterator[Difference[T]]: ...
    @overload
    def diff(
        self, a: int, b: int, what: str | Selector = ..., *, codec: Codec[U], timeout: float | None = None
    ) -> AsyncIterator[Difference[U]]: ...
    async def diff(
        self,
        a: int,
        b: int,
        what: str | Selector = EVERYTHING,
        *,
        codec: Codec[Any] | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Difference[Any]]:
        """Iterate over the files that differ between rev `a` and rev `b`, in path order."""
        selector = self._root.selector(what)
        cursor: object = None
        chosen = self._chosen(codec)
        while True:
            message = [verbs.DIFF, 0, selector, a, b, cursor]
            _, rows, cursor = await self._call(message, False, timeout)
            for full, before, after in rows:
                yield Difference(self._root.relative(full), before, after, chosen)
            if cursor is None:
                return

    async def revert(
        self,
        path: str,
        to_rev: int,
        *,
        since: int | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> int:
        """Bring the file or subtree back to its state at `to_rev` in one commit, and return the rev of that.

        With `since`, only if nothing there has changed after that rev (RevMismatch).
        """
        message = [verbs.REVERT, 0, 0, self._path(path), to_rev, since, note]
        rev: int = await self._call(message, True, timeout)
        return rev

    async def redact(
        self,
        path: str,
        *,
        first: int = 1,
        last: int | None = None,
        why: str | None = None,
        timeout: float | None = None,
    ) -> Redaction:
        """Take the values of the file at `path` out of all of history, and return how many versions that were.

        Those that the revs from `first` to `last` (the latest) wrote: in their place stands a mark that says who took
        them out, when, and `why`. Revs, sizes and authors stay. It cannot be undone. Members then remove what their
        files hold of it (`Status.redactions_owed`). Whoever has read a value before has it still: change
        the secret first.
        """
        full = self._path(path)
        begin, versions, lowest, highest = first, 0, 0, 0
        while True:
            message = [verbs.REDACT, 0, 0, full, begin, last, why]
            rev, count, low, high, begin = await self._call(message, True, timeout)
            if count:
                versions, lowest, highest = versions + count, lowest or low, high
            if not begin:
                return Redaction(self._root.relative(full), versions, lowest, highest, rev)

    async def retain(
        self,
        *,
        revs: int | None = None,
        age: float | None = None,
        compact_to: int | None = None,
        timeout: float | None = None,
    ) -> int:
        """Set how much history the cluster keeps, and return the floor.

        `revs` keeps that many of the latest revs, `age` those of the last seconds (0: no bound);
        `compact_to` raises the floor now. None leaves a setting as it is.
        """
        keep_ms = None if age is None else in_milliseconds(age, "age")
        floor: int = await self._call([verbs.RETAIN, 0, 0, revs, keep_ms, compact_to], True, timeout)
        return floor

    async def compact(self, rev: int, *, timeout: float | None = None) -> int:
        """Forget history below `rev`, for the whole cluster, and return the floor."""
        return await self.retain(compact_to=rev, timeout=timeout)

    async def status(self, *, rows: int = 0, timeout: float | None = None) -> Status:
        """Return what the node tells of itself.

        With `rows` (100 at most) `told["tables"]` has so many of its connections, watches, sessions and leases, those
        with most first.
        """
        from visor.members import status_from_wire

        asked = [verbs.STATUS, 0, rows] if rows else [verbs.STATUS, 0]
        return status_from_wire(await self._call(asked, False, timeout))


public("visor.aio", Client)
