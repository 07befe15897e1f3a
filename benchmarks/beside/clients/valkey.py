"""Valkey by valkey-py with its parser in C. Under asyncio each request in flight has a connection of its pool.

It has no list below a prefix in order: `many` is an MGET of names that the program has to know. It compares values
(`SET ... IFEQ`), not versions. What it tells of changes is not kept and carries no values: it has no row of watch.
"""

from __future__ import annotations

from typing import Any

import valkey
import valkey.asyncio

from benchmarks.beside.clients import LostError
from benchmarks.workload import KEYS_BELOW_DIRECTORY, key


def _below(directory: str) -> list[str]:
    first = next(n for n in range(0, 100_000, KEYS_BELOW_DIRECTORY) if key(n).startswith(directory))
    return [key(n) for n in range(first, first + KEYS_BELOW_DIRECTORY)]


class Awaited:
    value_of = staticmethod(bytes)  # which it is

    def __init__(self, host: str, port: int) -> None:
        self._client = valkey.asyncio.Valkey(host=host, port=port)
        self.put = self._client.set
        self.get = self.held = self._client.get

    def name(self, path: str) -> str:
        return path

    async def open(self) -> None:
        await self._client.ping()

    async def close(self) -> None:
        await self._client.aclose()

    async def cas(self, name: str, value: bytes, held: bytes) -> bytes:
        if await self._client.execute_command("SET", name, value, "IFEQ", held) is None:
            raise LostError(name)
        return value

    async def many(self, directory: str) -> list[Any]:
        return await self._client.mget(_below(directory))


class Blocking:
    value_of = staticmethod(bytes)  # which it is

    def __init__(self, host: str, port: int) -> None:
        self._client = valkey.Valkey(host=host, port=port)
        self.put = self._client.set
        self.get = self.held = self._client.get

    def name(self, path: str) -> str:
        return path

    def open(self) -> None:
        self._client.ping()

    def close(self) -> None:
        self._client.close()

    def cas(self, name: str, value: bytes, held: bytes) -> bytes:
        if self._client.execute_command("SET", name, value, "IFEQ", held) is None:
            raise LostError(name)
        return value

    def many(self, directory: str) -> list[Any]:
        return self._client.mget(_below(directory))
