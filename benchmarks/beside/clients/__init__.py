"""How a Python program asks each peer, one module each: the client that its users take, in both colours.

A module has `Awaited` (asyncio, or what comes nearest) and `Blocking`. Both are made of an address, opened once, asked
by many, and closed; a key's `name` is made before the clock starts. What a peer has not got is not there, and its row
stays empty: nothing is built on top of a peer for it to take part.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol


class Awaited(Protocol):
    """A client of which many requests can be in flight at once."""

    def name(self, path: str) -> Any:
        """Return the key that stands for the path."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def put(self, name: Any, value: bytes) -> object: ...

    async def get(self, name: Any) -> Any: ...

    value_of: Callable[[Any], bytes]
    """Takes the value out of an answer to `get`."""

    async def held(self, name: Any) -> Any:
        """Return what `cas` compares first: a version, a revision, or the value."""

    async def cas(self, name: Any, value: bytes, held: Any) -> Any:
        """Write if the key still is as `held` says; return what the next one compares. Raises when it is not."""

    async def many(self, directory: str) -> list[bytes]:
        """Return the values of all keys below the directory."""

    async def watch(self, directory: str) -> AsyncIterator[Any]:
        """Return, once it is established, what yields the name of each key below the directory that changes."""


class Blocking(Protocol):
    """A client that a thread waits for."""

    def name(self, path: str) -> Any: ...

    def open(self) -> None: ...

    def close(self) -> None: ...

    def put(self, name: Any, value: bytes) -> object: ...

    def get(self, name: Any) -> Any: ...

    value_of: Callable[[Any], bytes]

    def held(self, name: Any) -> Any: ...

    def cas(self, name: Any, value: bytes, held: Any) -> Any: ...

    def many(self, directory: str) -> list[bytes]: ...

    def watch(self, directory: str) -> Iterator[Any]: ...


class LostError(Exception):
    """A compare-and-set was refused although nobody else writes that key."""
