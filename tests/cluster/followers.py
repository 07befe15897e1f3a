"""Watches that follow everything through all faults, and leases that live and end: both written down.

A *logical* watch may move: its reader closes it now and then and goes on at the next rev through another client, with
another window, sometimes slowly. What it was given altogether must be the history.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, Final

from tests.checkers.history import Event, Lease, Watch
from tests.cluster.journal import Journal
from tests.cluster.workload import dial
from visor import select
from visor.aio import Client
from visor.aio.watch import Watch as ClientWatch
from visor.errors import DeadlineExceeded, LeaseNotFound, VisorError
from visor.protocol import verbs

PATHS: Final = ("/", "/k", "/g", "/c")
CLIENTS: Final = 1000
"""Numbers of followers' clients in the history begin here."""
PATIENCE: Final = 3.0


class Follower:
    """One logical watch. `last` tells the rev that it must reach, once that is known."""

    def __init__(self, journal: Journal, number: int, path: str, rng: random.Random) -> None:
        self._journal = journal
        self._rng = rng
        self._begins_with_state = rng.random() < 0.4
        self._slow = rng.random() < 0.3
        self._sleeps_at = 0.0
        self._next: int | None = None
        self.path = path
        self.trace = Watch(CLIENTS + number, path, previous=rng.random() < 0.3)
        self.last: int | None = None
        self.reached = asyncio.Event()
        journal.history.watches.append(self.trace)

    async def run(self, addresses: list[str]) -> None:
        """Follow until `last` is reached."""
        while not self.reached.is_set():
            client = await dial(addresses, f"follower{self.trace.client}", 8.0)
            async with client:
                try:
                    await self._follow(client, time.monotonic() + self._rng.uniform(5.0, 40.0))
                except DeadlineExceeded:
                    continue  # not begun in time: elsewhere, again
                except VisorError as error:
                    self._journal.unexpected.append(f"a watch of {self.path} ended: {error!r}")
                    return

    async def _follow(self, client: Client[bytes], until: float) -> None:
        with_state = self._begins_with_state and self._next is None
        watch = await client.watch(
            select.tree(self.path) if self.path != "/" else select.tree("/"),
            rev=self._next,
            previous=self.trace.previous,
            state=with_state,
            window=self._rng.choice((0, 2000, 20_000)),
        )
        async with watch:
            self._begun(watch, with_state)
            while time.monotonic() < until and not self.reached.is_set():
                await self._read_one(client, watch)
                if self._slow and self.last is None and time.monotonic() > self._sleeps_at:
                    await asyncio.sleep(self._rng.uniform(0.0, 0.5))
                    self._sleeps_at = time.monotonic() + self._rng.uniform(0.0, 2.0)
                self._look_whether_done(watch)
            self._next = watch.rev + 1

    def _begun(self, watch: ClientWatch[bytes], with_state: bool) -> None:
        if with_state and watch.state_rev is not None:
            rows = {
                path: (one.mod_rev, one.data, one.created, one.count, one.lease)
                for path, one in watch.state.items()
            }
            self._note("state", watch.state_rev, rows)
        else:
            self._note("resumed", watch.rev + 1)
        self._next = watch.rev + 1

    async def _read_one(self, client: Client[bytes], watch: ClientWatch[bytes]) -> None:
        feed = watch._feed
        try:
            # Commits as on the wire are wanted: the driver is asked itself.
            commit = await client._driver.next(feed, PATIENCE if self.last is None else 0.2)
        except DeadlineExceeded:
            if self._rng.random() < 0.3 or self.last is not None:
                await self._ask_for_mark(watch)
            return
        if commit is None:
            return
        self._note("commit", commit[0], commit)
        for kind, path, *_ in commit[4]:
            if kind == verbs.EXPIRE:
                self._expired(path)

    async def _ask_for_mark(self, watch: ClientWatch[bytes]) -> None:
        try:
            await watch.progress(timeout=PATIENCE)
        except DeadlineExceeded:
            return
        if not watch._feed.queue:
            self._note("mark", watch.rev)

    def _look_whether_done(self, watch: ClientWatch[bytes]) -> None:
        if self.last is not None and watch.rev >= self.last:
            self.trace.complete_to = self.last
            self.reached.set()

    def _expired(self, path: str) -> None:
        lease = self._journal.leases.get(path)
        if lease is not None and lease.expired_at is None:
            lease.expired_at = time.monotonic()

    def _note(self, kind: str, rev: int, content: Any = None) -> None:
        self.trace.events.append(Event(time.monotonic(), kind, rev, content))


class Tenant:
    """Takes leases, attaches a file, keeps them alive for a while, and lets them go or revokes them."""

    def __init__(self, journal: Journal, number: int, rng: random.Random) -> None:
        self._journal = journal
        self._number = number
        self._rng = rng
        self._count = 0
        self.stopping = False

    async def run(self, addresses: list[str]) -> None:
        """Go on until `stopping`."""
        client = await dial(addresses, f"tenant{self._number}", 4.0)
        async with client:
            while not self.stopping:
                try:
                    await self._one(client)
                except VisorError as error:
                    self._journal.errors[error.code] += 1
                    await asyncio.sleep(0.2)

    async def _one(self, client: Client[bytes]) -> None:
        rng = self._rng
        ttl = rng.uniform(1.2, 4.0)
        sent = time.monotonic()
        lease = await client.lease(ttl, keep=False)
        record = Lease(lease.id, lease.ttl, [sent])
        self._journal.history.leases.append(record)
        self._count += 1
        path = f"/leases/{self._number}-{self._count}"
        self._journal.leases[path] = record
        await client.set(path, b"held", lease=lease.id)
        for _ in range(rng.randrange(8)):
            await asyncio.sleep(ttl * rng.uniform(0.2, 0.5))
            sent = time.monotonic()
            rows = await client.keep_alive([lease.id])
            if not rows[lease.id]:
                return  # gone; whether that was early, its expiry tells
            record.renewed.append(sent)
        if rng.random() < 0.3:
            self._journal.revoked += 1
            try:
                await client.revoke(lease.id)
            except LeaseNotFound:
                return
