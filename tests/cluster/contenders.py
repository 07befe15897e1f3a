"""Contenders for locks, who count what the lock guards: read a number, wait, write the next one without comparing.

Only the lock keeps two of them from writing the same number, see `checkers.locks`. Now and then somebody else ends the
session of a holder, who goes on without knowing: as when its process had stood still for longer than its lease.

    /locks/p/...     the queue of the lock p         /counted/p     `token.number.fence`
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Final

from tests.checkers.history import Write
from tests.checkers.locks import COUNTED, QUEUES
from tests.cluster.journal import Journal
from tests.cluster.workload import dial
from visor.aio import Client, Session
from visor.aio.recipes.lock import Lock
from visor.errors import LeaseNotFound, NotFound, VisorError
from visor.protocol import verbs

LOCKS: Final = ("p", "q")
CONTENDERS: Final = 2000
"""Numbers of contenders' clients in the history begin here."""


class Contender:
    """One client that acquires and releases. `fenced=False`: it writes as if holding a lock were enough."""

    def __init__(self, journal: Journal, number: int, rng: random.Random, *, fenced: bool = True) -> None:
        self._journal = journal
        self._number = CONTENDERS + number
        self._rng = rng
        self._fenced = fenced
        self._tokens = 0
        self._client: Client[bytes]
        self.stopping = False

    async def run(self, addresses: list[str]) -> None:
        """Go on until `stopping`."""
        self._client = await dial(addresses, f"contender {self._number}", 4.0)
        async with self._client:
            while not self.stopping:
                try:
                    async with await self._client.session(self._rng.uniform(1.5, 4.0)) as session:
                        await self._hold_some(session)
                except VisorError as error:
                    self._journal.errors[error.code] += 1
                    await asyncio.sleep(0.05)

    async def _hold_some(self, session: Session) -> None:
        for _ in range(self._rng.randint(1, 6)):
            if self.stopping:
                return
            lock = session.lock(f"{QUEUES}{self._rng.choice(LOCKS)}")
            await lock.acquire(timeout=self._rng.uniform(1.0, 6.0))
            self._journal.locks["acquired"] += 1
            try:
                for _ in range(self._rng.randint(1, 4)):
                    await self._count(session, lock)
            finally:
                self._journal.locks["lost"] += lock.lost
                await lock.release()

    async def _count(self, session: Session, lock: Lock) -> None:
        path = COUNTED + lock.directory.removeprefix(QUEUES)
        number = await self._read(path)
        await asyncio.sleep(self._rng.choice((0.0, 0.005, 0.05)))
        if self._rng.random() < 0.04:
            await self._rob(session)
        self._tokens += 1
        token = f"l{self._number}-{self._tokens}"
        await self._write(lock, token, path, f"{token}.{number + 1}.{lock.fence}".encode())

    async def _read(self, path: str) -> int:
        try:
            file = await self._client.get(path)
        except NotFound:
            return 0
        return int(file.data.split(b".")[1])

    async def _rob(self, session: Session) -> None:
        """End the session as somebody else could; the client's own objects do not hear of it."""
        with contextlib.suppress(LeaseNotFound):
            await self._client.revoke(session.id)
            self._journal.locks["robbed"] += 1

    async def _write(self, lock: Lock, token: str, path: str, value: bytes) -> None:
        guards = tuple((held.kind, mine, held.arg) for mine, held in lock.guards().items())
        asked = tuple((verbs.T_GET, mine) for _, mine, _ in guards)
        write = Write(token, guards if self._fenced else (), ((verbs.T_SET, path, value),), asked)
        operation = self._journal.call(self._number, write)
        try:
            writer = lock if self._fenced else self._client
            rev = await writer.set(path, value)
        except VisorError as error:
            self._journal.failed("locked set", operation, error)
            # One that may happen yet is refused once the lock is released. Until then it could meet the next one.
            raise
        self._journal.done("locked set", operation, rev)
