"""NATS KV by nats-py; it has no blocking client, so a blocking program runs a loop of its own for each call.

Keys have dots where paths have slashes, so that a watch of a directory is one subject. Gets are direct
(`$JS.API.DIRECT.GET`), the fastest that there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from operator import attrgetter
from typing import Any

import nats
from nats.js.api import KeyValueConfig, StorageType

BUCKET = "beside"


class Awaited:
    value_of = staticmethod(attrgetter("value"))

    def __init__(self, host: str, port: int) -> None:
        self._address = f"nats://{host}:{port}"

    def name(self, path: str) -> str:
        return path[1:].replace("/", ".")

    async def open(self) -> None:
        self._client = await nats.connect(self._address)
        made = KeyValueConfig(bucket=BUCKET, history=1, storage=StorageType.FILE, direct=True)
        self._bucket = await self._client.jetstream().create_key_value(made)
        self.put, self.get = self._bucket.put, self._bucket.get

    async def close(self) -> None:
        await self._client.close()

    async def held(self, name: str) -> int:
        return (await self._bucket.get(name)).revision

    async def cas(self, name: str, value: bytes, held: int) -> int:
        return await self._bucket.update(name, value, held)

    async def many(self, directory: str) -> list[bytes]:
        found = await self._bucket.watch(f"{self.name(directory)}.*")
        values: list[bytes] = []
        missing = True
        while missing:
            # None, which says that all is there, sometimes comes first; how many are missing is always right.
            if (entry := await found.updates()) is not None:
                values.append(entry.value)
                missing = entry.delta > 0
        await found.stop()
        return values

    async def watch(self, directory: str) -> AsyncIterator[Any]:
        watch = await self._bucket.watch(f"{self.name(directory)}.*")
        while await watch.updates() is not None:
            pass

        async def names() -> AsyncIterator[str]:
            while True:
                entry = await watch.updates(timeout=60)
                yield entry.key

        return names()


class Blocking:
    value_of = staticmethod(attrgetter("value"))

    def __init__(self, host: str, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = Awaited(host, port)

    def name(self, path: str) -> str:
        return self._client.name(path)

    def open(self) -> None:
        self._loop.run_until_complete(self._client.open())

    def close(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()

    def put(self, name: str, value: bytes) -> object:
        return self._loop.run_until_complete(self._client.put(name, value))

    def get(self, name: str) -> Any:
        return self._loop.run_until_complete(self._client.get(name))

    def held(self, name: str) -> int:
        return self._loop.run_until_complete(self._client.held(name))

    def cas(self, name: str, value: bytes, held: int) -> int:
        return self._loop.run_until_complete(self._client.cas(name, value, held))

    def many(self, directory: str) -> list[bytes]:
        return self._loop.run_until_complete(self._client.many(directory))

    def watch(self, directory: str) -> Iterator[Any]:
        names = self._loop.run_until_complete(self._client.watch(directory))

        def each() -> Iterator[Any]:
            while True:
                yield self._loop.run_until_complete(anext(names))

        return each()
