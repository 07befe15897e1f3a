"""Clients that do everything at once and write down what they were told.

Files belong to an *epoch* of a few seconds: each begins with files that nobody has touched, so that the checker which
judges by values alone (it looks at the first operations of each file) sees all parts of a long run.

    /k/7/c      plain, guarded, created, deleted        /g/7/p/{x,y,z}   changed together by transactions
    /c/7/1      a counter, only by compare-and-set      /leases/...      attached to leases
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

import visor.aio
from tests.checkers.history import LINEARIZABLE, PAST, STALE, Operation, Read, Write
from tests.cluster.journal import Journal
from visor import guard, op
from visor._core.settings import RequestHook
from visor.aio import Client
from visor.errors import VisorError
from visor.guard import Guard
from visor.protocol import verbs

EPOCH_SECONDS: Final = 3.0
KEYS: Final = "abcdefgh"
COUNTERS: Final = 3
GROUPS: Final = "pq"
LEAVES: Final = "xyz"
SIZES: Final = (0, 10, 20, 30, 60, 100, 200)
LARGE: Final = 3000
MIX: Final = {
    "set": 22,
    "guarded": 10,
    "create": 5,
    "delete": 4,
    "txn": 12,
    "count": 12,
    "nop": 1,
    "get": 20,
    "scan": 4,
    "stale": 5,
    "stale_scan": 2,
    "past": 3,
}


class Worker:
    """One client with some requests under way at any time. `number` is its place in the history."""

    def __init__(self, journal: Journal, number: int, rng: random.Random, pause: float) -> None:
        self._journal = journal
        self.number = number
        self._rng = rng
        self._pause = pause
        self._tokens = 0
        self._known: dict[str, int] = {}
        """The last rev of each path that was read: for compare-and-set."""
        self.client: Client[bytes]
        self.stopping = False

    async def run(self, addresses: list[str], depth: int) -> None:
        """Ask and write down until `stopping`."""
        client = await dial(addresses, f"w{self.number}", self._rng.choice((2.0, 4.0, 8.0)))
        async with client:
            self.client = client
            await asyncio.gather(*[self._go_on() for _ in range(depth)])

    async def _go_on(self) -> None:
        kinds, weights = tuple(MIX), tuple(MIX.values())
        while not self.stopping:
            kind = self._rng.choices(kinds, weights)[0]
            await asyncio.sleep(self._rng.expovariate(1.0) * self._pause)
            began = time.monotonic()
            await getattr(self, f"_{kind}")()
            if time.monotonic() - began > 1.0:
                await asyncio.sleep(0.05)

    # -- names ----------------------------------------------------------------------------------------------

    def _token(self) -> str:
        self._tokens += 1
        return f"w{self.number}-{self._tokens}"

    def _value(self, token: str) -> bytes:
        size = self._rng.choice(SIZES) if self._rng.random() > 0.01 else LARGE
        return f"{token}.".encode() + b"-" * size

    def _epoch(self) -> int:
        return int((time.monotonic() - self._journal.began) / EPOCH_SECONDS)

    def _key(self) -> str:
        return f"/k/{self._epoch()}/{self._rng.choice(KEYS)}"

    # -- writes ---------------------------------------------------------------------------------------------

    async def _write(
        self, kind: str, write: Write, ask: Callable[[], Coroutine[Any, Any, tuple[int, Any]]]
    ) -> Operation:
        operation = self._journal.call(self.number, write)
        try:
            rev, result = await ask()
        except VisorError as error:
            self._journal.failed(kind, operation, error)
        else:
            self._journal.done(kind, operation, rev, result)
            for one in write.then:
                if one[0] == verbs.T_SET and not isinstance(result, tuple):
                    self._known[one[1]] = rev
        return operation

    async def _put(self, kind: str, path: str, value: bytes, token: str, held: Guard | None) -> None:
        guards = () if held is None else ((held.kind, path, held.arg),)
        write = Write(token, guards, ((verbs.T_SET, path, value),), (), True)
        note = token if self._rng.random() < 0.2 else None

        async def ask() -> tuple[int, None]:
            return await self.client.set(path, value, guard=held, note=note), None

        await self._write(kind, write, ask)

    async def _set(self) -> None:
        token = self._token()
        await self._put("set", self._key(), self._value(token), token, None)

    async def _guarded(self) -> None:
        token, path = self._token(), self._key()
        known = self._known.get(path, 0)
        held = self._rng.choice((guard.rev(known), guard.since(known), guard.exists()))
        await self._put("guarded set", path, self._value(token), token, held)

    async def _create(self) -> None:
        token = self._token()
        await self._put("create", self._key(), self._value(token), token, guard.missing())

    async def _delete(self) -> None:
        token, path = self._token(), self._key()
        held = self._rng.choice((None, guard.rev(self._known.get(path, 0))))
        guards = () if held is None else ((held.kind, path, held.arg),)
        write = Write(token, guards, ((verbs.T_DELETE, path),), (), True)

        async def ask() -> tuple[int, None]:
            return await self.client.delete(path, guard=held, note=token), None

        await self._write("delete", write, ask)

    async def _count(self) -> None:
        """Read a counter and write the next number, provided that nobody else has."""
        path = f"/c/{self._epoch()}/{self._rng.randrange(COUNTERS)}"
        seen = await self._read("get", Read(path, False, LINEARIZABLE), None)
        if seen is None:
            return
        version = seen.get(path)
        number = 0 if version is None else int(version[1].partition(b".")[2])
        token = self._token()
        held = guard.missing() if version is None else guard.rev(version[0])
        await self._put("compare and set", path, f"{token}.{number + 1}".encode(), token, held)

    async def _txn(self) -> None:
        """A group's leaves all get the same value, or two keys change together."""
        token, rng = self._token(), self._rng
        value = self._value(token)
        epoch = self._epoch()
        if rng.random() < 0.6:
            paths = [f"/g/{epoch}/{rng.choice(GROUPS)}/{leaf}" for leaf in LEAVES]
        else:
            paths = [f"/k/{epoch}/{name}" for name in rng.sample(KEYS, 2)]
        held = {
            path: rng.choice((guard.rev, guard.since))(self._known.get(path, 0))
            for path in rng.sample(paths, rng.choice((0, 0, 1, 2)))
        }
        then = [op.set(path, value) for path in paths]
        then.insert(rng.randrange(len(then) + 1), op.get(rng.choice(paths)))
        otherwise = [op.get(paths[0]), op.get(paths[1])]
        write = Write(
            token,
            tuple((one.kind, path, one.arg) for path, one in held.items()),
            tuple(_row(one) for one in then),
            tuple(_row(one) for one in otherwise),
        )

        async def ask() -> tuple[int, Any]:
            result = await self.client.txn(held, then, otherwise, note=token)
            return result.rev, (result.succeeded, [_told(one) for one in result.results])

        await self._write("transaction", write, ask)

    async def _nop(self) -> None:
        async def ask() -> tuple[int, None]:
            return await self.client.nop(), None

        await self._write("nop", Write(self._token(), (), ()), ask)

    # -- reads ----------------------------------------------------------------------------------------------

    async def _get(self) -> None:
        await self._read("get", Read(self._key(), False, LINEARIZABLE), None)

    async def _stale(self) -> None:
        await self._read("stale get", Read(self._key(), False, STALE), None)

    async def _past(self) -> None:
        highest = max(self._known.values(), default=0)  # a rev that is not there yet is waited for
        rev = self._rng.randint(max(0, highest - 60), highest + 3)
        await self._read("get at a rev", Read(self._key(), False, PAST), rev)

    async def _scan(self) -> None:
        await self._read("scan", Read(self._tree(), True, LINEARIZABLE), None)

    async def _stale_scan(self) -> None:
        await self._read("stale scan", Read(self._tree(), True, STALE), None)

    def _tree(self) -> str:
        epoch = self._epoch()
        return self._rng.choice((f"/k/{epoch}", f"/g/{epoch}", f"/g/{epoch}/p", f"/c/{epoch}"))

    async def _read(self, kind: str, read: Read, at: int | None) -> dict[str, Any] | None:
        """Read; return the files, None when that failed.

        The wire's answer is wanted, with the rev also where there is no file: the driver is asked itself.
        """
        operation = self._journal.call(self.number, read, at)
        mode = int(read.mode == STALE)
        try:
            if read.tree:
                rev, rows = await self._pages(read.path, mode)
            else:
                rev, version = await self.client._driver.call(
                    [verbs.GET, 0, read.path, at, mode], False, None
                )
                rows = {} if version is None else {read.path: tuple(version)}
        except VisorError as error:
            self._journal.failed(kind, operation, error)
            return None
        self._journal.done(kind, operation, rev, rows)
        if not read.tree and read.mode != PAST:
            self._known[read.path] = rows[read.path][0] if rows else 0
        return rows

    async def _pages(self, path: str, mode: int) -> tuple[int, dict[str, Any]]:
        found: dict[str, Any] = {}
        at = cursor = None
        limit = self._rng.choice((0, 0, 2))
        while True:
            message: list[Any] = [verbs.SCAN, 0, [verbs.SEL_TREE, path], at, mode, cursor, limit, {}]
            at, rows, cursor, _ = await self.client._driver.call(message, False, None)
            found |= {name: tuple(version) for name, version in rows}
            if cursor is None:
                return at, found


async def dial(
    addresses: list[str], actor: str, seconds: float, on_request: RequestHook | None = None
) -> Client[bytes]:
    """Return a client, also when nobody answers at first."""
    while True:
        try:
            return await visor.aio.dial(addresses, timeout=seconds, actor=actor, on_request=on_request)
        except VisorError:
            await asyncio.sleep(0.2)


def _row(one: op.Op) -> tuple[Any, ...]:
    return (one.kind, one.path, one.value) if one.kind == verbs.T_SET else (one.kind, one.path)


def _told(result: Any) -> Any:
    """Return what an operation answered, as on the wire."""
    if result is None:
        return None
    return (result.mod_rev, result.data, result.created, result.count, result.lease)
