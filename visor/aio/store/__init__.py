"""The typed store under asyncio: the names of `visor.store`, awaited."""

from __future__ import annotations

from visor.aio.store.batch import Batcher
from visor.aio.store.collection import Collection
from visor.aio.store.store import Store
from visor.aio.store.watching import Events

__all__ = ["Batcher", "Collection", "Events", "Store"]


def __dir__() -> list[str]:
    return sorted(__all__)
