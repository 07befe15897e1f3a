"""A typed store: collections of frozen dataclasses over a subtree, read from memory, changed in transactions.

async with Store(client, "/swarm", [Kind(Task, index=["service"])]) as store:
    def place(tx):
        tx.create(Task(id="t1", service="web"))
    await store.update(place)
    store.find(Task, by.field("service", "web"))
"""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from visor import codecs, select
from visor._core.following.delta import Batch
from visor._core.following.reader_queue import LIMIT, ReaderQueue
from visor._core.public import public
from visor._core.store import archive, specs
from visor._core.store.base import BaseStore, check_size, claim, same
from visor._core.store.events import Committed, committed
from visor._core.store.history import batch_of, decoder
from visor._core.store.kind import OBJECTS, Kind
from visor._core.store.reading import Reading
from visor._core.store.record import Record
from visor._core.store.tables import Tables
from visor._core.store.transaction import Claims, Command, Transaction
from visor._drivers.aio.signal import turn
from visor.aio.following.changes import Callback
from visor.aio.following.local_copy import LocalCopy
from visor.aio.store.batch import Batcher
from visor.aio.store.collection import Collection
from visor.aio.store.watching import CHUNK, Events
from visor.errors import Compacted, Conflict, FutureRev, VisorError

if TYPE_CHECKING:
    from visor._drivers.aio.driver import Driver
    from visor.aio._channel import Channel
    from visor.aio.client import Client

R = TypeVar("R", bound=Record)
T = TypeVar("T")


def _now() -> datetime:
    return datetime.now(UTC)


class Store(BaseStore):
    """Objects of some kinds below `root`; any number of stores, in any processes, may share them.

    Each store has a copy of all objects, kept in sync like a `Mirror`. Reading is done from the copy, at one
    version, without waiting. Transactions read the copy too and are committed by the registry only if
    nothing they read has changed; otherwise they are run again. So every update is as if it had run alone.

    Files below `root` that are no object of these kinds are ignored. What should be one and cannot be read is left out
    of everything and stands in `damaged`; `Transaction.delete` removes it, and nothing is written over it.
    """

    _local_copy: LocalCopy[Record]

    def __init__(
        self,
        client: Client[Any],
        root: str,
        kinds: Iterable[Kind[Any] | type[Record]],
        *,
        confirm: float = 5.0,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._client = client
        self._channel: Channel[Any] = client.channel
        self._driver: Driver = client.channel.driver
        self._clock = client.channel.settings.clock
        super().__init__(root, now)
        client.channel.root.path(root)
        self._what = select.tree(f"{self._root}/{OBJECTS}")
        made = [kind if isinstance(kind, Kind) else Kind(kind) for kind in kinds]
        self._local_copy = LocalCopy(
            client,
            self._what,
            self._make,
            same,
            confirm=confirm,
            moved=self._moved,
            gone=self._forget,
        )
        self._tables = Tables(made, self._local_copy.cache, self._root)
        self._decode = decoder(self._tables, None)
        self._decode_present = decoder(self._tables, self._damaged)

    # -- life -----------------------------------------------------------------------------------------
    async def start(self, *, timeout: float | None = None) -> Store:
        """Fetch the objects and keep them in sync from then on; `with` does it."""
        await self._local_copy.start(timeout)
        return self

    async def close(self) -> None:
        """End it: idempotent, bounded (a second). What it holds can still be read."""
        await self._local_copy.close()

    async def __aenter__(self) -> Store:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- reading --------------------------------------------------------------------------------------

    async def wait_for(self, version: int, *, timeout: float | None = None) -> int:
        """Wait until the copy is at this version or later, and return its version. DeadlineExceeded."""
        return await self._local_copy.wait_for(version, timeout)

    async def refresh(self, *, timeout: float | None = None) -> int:
        """Wait until the copy holds all that was committed before this call, and return its version."""
        return await self._local_copy.refresh(timeout)

    # -- writing --------------------------------------------------------------------------------------
    async def update(
        self,
        body: Callable[[Transaction], Awaitable[T] | T],
        *,
        note: str | None = None,
        timeout: float | None = None,
    ) -> T:
        """Call `body(tx)`, commit what it wrote in one transaction, and return its result.

        When something that it read has changed meanwhile, it is called again with the new state, until
        `timeout` (default: that of `dial`); then Conflict. A `timeout` that is given is for all of it: every
        request, and what `body` takes. What `body` raises ends the transaction without a trace. When this returns, the
        store's own copy shows the changes, unless it is cut off.

        A transaction costs what it changes. One takes 4096 operations, of which an object needs one and each of its
        unique values another; TooLarge for more, which `batch` splits. Under asyncio a body that is no coroutine
        holds the loop as long as it runs: one that makes thousands of objects is better a coroutine that lets
        others have their turn now and then (`await asyncio.sleep(0)`), which it can at any point.
        """
        timeout = self._channel.shared(timeout)
        pause = self._driver.pauses(timeout)
        known: Claims = {}
        while True:
            tx = self._transaction()
            try:
                result: Any = await self._driver.outcome(body(tx))
            finally:
                tx.end()
            failed = await self._commit(tx, known, note, timeout)
            if failed is None:
                return result  # type: ignore[no-any-return]
            known = failed
            if not await pause.next():
                raise Conflict(f"others kept changing what the transaction read, until rev {self.version}")

    async def _commit(
        self, tx: Transaction, known: Claims, note: str | None, timeout: float | None
    ) -> Claims | None:
        """Commit; return None when that is done, otherwise what the claims in question really are."""
        if not tx.changes:
            return None
        command = Command([], [], [], [])
        for _ in tx.fill(command, known):
            await turn()
        check_size(tx, command)
        result = await self._client.txn(
            command.guards, command.then, command.orelse, codec=codecs.BYTES, note=note, timeout=timeout
        )
        if result.succeeded:
            tx.committed = result.rev
            with contextlib.suppress(VisorError):  # it is committed, and that is what counts
                await self._local_copy.wait_for(result.rev, timeout)
            return None
        await self._local_copy.wait_for(result.rev, timeout)
        return {path: claim(file) for path, file in zip(command.claims, result.results, strict=True)}

    async def batch(
        self,
        body: Callable[[Batcher], Awaitable[T] | T],
        *,
        note: str | None = None,
        timeout: float | None = None,
    ) -> T:
        """Call `body(batch)`; the updates that it makes with `batch.update` share transactions of bounded size.

        Each of those updates is in one transaction, whole. What `body` raises ends it: what was committed
        before stays, what was not leaves no trace, and a note on the error says which is which. `timeout` is for
        each transaction.
        """
        batch = Batcher(self, note, timeout)
        try:
            result: Any = await self._driver.outcome(body(batch))
            await batch.flush()
        except Exception as error:
            last = f", the last as version {batch.versions[-1]}" if batch.versions else ""
            error.add_note(f"{len(batch.versions)} transactions of the batch were committed{last}")
            raise
        return result  # type: ignore[no-any-return]

    # -- watching -------------------------------------------------------------------------------------
    async def watch(
        self,
        *specifiers: specs.Spec,
        resume_from: int | None = None,
        include_old: bool = False,
        marks: bool = False,
        limit: int | None = LIMIT,
        patience: float | None = None,
        timeout: float | None = None,
    ) -> Events:
        """Return an iterator over transactions whose changes one of the specifiers is about (none: all changes).

        It is established when this returns. With `resume_from` what came after that version is replayed first,
        from the registry's history: Compacted when that is gone, FutureRev when there is no such version
        yet. `include_old` gives objects as they were before, `marks` transactions without a match too.
        `limit` changes may wait for the reader, for `patience` seconds; ReaderDropped tells it otherwise. `timeout` is
        for finding out whether there is that version.
        """
        chosen = specs.selection(specifiers, self._tables, marks)
        queue: ReaderQueue[Record] = ReaderQueue(self._clock, limit=limit, patience=patience, select=chosen)
        events = Events(self._local_copy, queue, include_old)
        if resume_from is None:
            events.go_live()
            return events
        await self._check_version(resume_from, timeout)
        events.replay(resume_from, self._history, chosen)
        return events

    async def on_change(
        self,
        callback: Callable[[Committed], object],
        *specifiers: specs.Spec,
        resume_from: int | None = None,
        include_old: bool = False,
        limit: int | None = LIMIT,
        patience: float | None = None,
        timeout: float | None = None,
    ) -> Callback[Committed]:
        """Call `callback(transaction)` for what a watch with these arguments gives, until it returns False.

        Callbacks have a thread (under asyncio: a task) of their own and may use the store. One that raises is
        logged, and the next transaction follows. Close the result to end it.
        """
        events = await self.watch(
            *specifiers,
            resume_from=resume_from,
            include_old=include_old,
            limit=limit,
            patience=patience,
            timeout=timeout,
        )
        return Callback(self._driver, events, callback)

    def snapshot_and_watch(
        self,
        *specifiers: specs.Spec,
        include_old: bool = False,
        marks: bool = False,
        limit: int | None = LIMIT,
        patience: float | None = None,
    ) -> tuple[Reading, Events]:
        """Return the objects as they are now, and a watch of exactly what comes after that; see `snapshot`, `watch`."""
        chosen = specs.selection(specifiers, self._tables, marks)
        queue: ReaderQueue[Record] = ReaderQueue(self._clock, limit=limit, patience=patience, select=chosen)
        events = Events(self._local_copy, queue, include_old)
        return Reading(events.go_live(), self._tables), events

    async def changes_between(
        self, first: int, last: int, *specifiers: specs.Spec, include_old: bool = True
    ) -> AsyncIterator[Committed]:
        """Iterate over the transactions after version `first` up to and with `last`. Compacted, FutureRev."""
        await self._check_version(last, None)
        chosen = specs.selection(specifiers, self._tables, False)
        while first < last:
            until = min(last, first + CHUNK)
            for batch in await self._history(first, until):
                picked = batch if chosen is None else chosen(batch)
                if picked is not None:
                    yield committed(picked, include_old)
            first = until

    async def _check_version(self, version: int, timeout: float | None) -> None:
        """Be at this version at least; FutureRev when there is none such yet."""
        if version > self.version:
            timeout = self._channel.shared(timeout)
            latest = await self._client.rev(timeout=timeout)
            if version > latest:
                raise FutureRev(rev=latest, asked=version)
            await self._local_copy.wait_for(version, timeout)

    async def _history(self, first: int, last: int) -> list[Batch[Record]]:
        """Return the batches after `first` up to `last`, from the registry."""
        batches = []
        commits = self._client.history(
            self._what, codec=codecs.BYTES, first=first + 1, last=last, previous=True
        )
        try:
            async for commit in commits:
                batches.append(batch_of(commit, first, self._decode))
                first = commit.rev
        except Compacted as error:
            # It names the first commit there is; a version is what one goes on after.
            raise Compacted(floor=error.floor - 1, rev=first) from error
        return batches

    # -- as a whole -----------------------------------------------------------------------------------

    async def restore(self, data: bytes, *, note: str | None = None, timeout: float | None = None) -> int:
        """Bring the store to what `save` returned, and return the version: new ones created, others updated or deleted.

        Objects that are as they were saved stay untouched, so watchers are told of true differences only. Times
        are those saved. What fits one transaction (about 4 000 changes, 3 MiB) is one; more is several,
        which fail when others write the same objects meanwhile. BadArchive, UnknownKind; Conflict.
        """
        await self.refresh(timeout=timeout)
        saved = archive.load(data, self._tables)

        batch = Batcher(self, note, timeout, RESTORE_CHANGES)
        for step in list(archive.steps(saved, self._tables, self.snapshot(), list(self._damaged))):
            await batch.update(partial(archive.restore_into, steps=[step]))
        await batch.flush()
        return self.version

    # -- following ------------------------------------------------------------------------------------
    def collection(self, kind: type[R]) -> Collection[R]:
        """Return the objects of one kind as something that `follow` follows."""
        return Collection(self._client, self._local_copy, self._tables, kind)


RESTORE_CHANGES = 1300
"""Objects in one transaction of a restore: each takes up to three guards."""


public("visor.aio.store", Store)
