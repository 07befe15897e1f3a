"""Stores of the kinds in `tests.following.swarm`, for a block."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import visor.aio
from tests.aio.tools import dial
from tests.following.swarm import KINDS
from visor.aio.store import Store


@asynccontextmanager
async def store_at(address: str, root: str = "/swarm") -> AsyncIterator[Store]:
    async with dial(address) as client, Store(client, root, KINDS) as store:
        yield store


@asynccontextmanager
async def store_and_client(
    address: str, root: str = "/swarm"
) -> AsyncIterator[tuple[Store, visor.aio.Client[str]]]:
    async with dial(address) as client, Store(client, root, KINDS) as store:
        yield store, client
