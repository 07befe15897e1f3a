"""Visor by its own two clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from operator import attrgetter
from typing import Any

import visor
import visor.aio
from visor import guard

ADDRESS = "{host}:{port}"


class Awaited:
    value_of = staticmethod(attrgetter("value"))

    def __init__(self, host: str, port: int) -> None:
        self._address = ADDRESS.format(host=host, port=port)

    def name(self, path: str) -> str:
        return path

    async def open(self) -> None:
        self._client = await visor.aio.dial(self._address)
        self.put, self.get = self._client.set, self._client.get

    async def close(self) -> None:
        await self._client.close()

    async def held(self, name: str) -> int:
        return (await self._client.get(name)).mod_rev

    async def cas(self, name: str, value: bytes, held: int) -> int:
        return await self._client.set(name, value, guard=guard.rev(held))

    async def many(self, directory: str) -> list[bytes]:
        return [file.value async for file in self._client.scan(f"{directory}/*")]

    async def watch(self, directory: str) -> AsyncIterator[Any]:
        watch = await self._client.watch(f"{directory}/*")

        async def names() -> AsyncIterator[str]:
            async for commit in watch:
                for change in commit.changes:
                    yield change.path

        return names()


class Blocking:
    value_of = staticmethod(attrgetter("value"))

    def __init__(self, host: str, port: int) -> None:
        self._address = ADDRESS.format(host=host, port=port)

    def name(self, path: str) -> str:
        return path

    def open(self) -> None:
        self._client = visor.dial(self._address)
        self.put, self.get = self._client.set, self._client.get

    def close(self) -> None:
        self._client.close()

    def held(self, name: str) -> int:
        return self._client.get(name).mod_rev

    def cas(self, name: str, value: bytes, held: int) -> int:
        return self._client.set(name, value, guard=guard.rev(held))

    def many(self, directory: str) -> list[bytes]:
        return [file.value for file in self._client.scan(f"{directory}/*")]

    def watch(self, directory: str) -> Iterator[Any]:
        watch = self._client.watch(f"{directory}/*")
        return (change.path for commit in watch for change in commit.changes)
