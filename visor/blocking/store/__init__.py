# Generated from visor/aio/store/__init__.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""The typed store under asyncio: the names of `visor.store`, awaited."""

from __future__ import annotations

from visor.blocking.store.batch import Batcher
from visor.blocking.store.collection import Collection
from visor.blocking.store.store import Store
from visor.blocking.store.watching import Events

__all__ = ["Batcher", "Collection", "Events", "Store"]


def __dir__() -> list[str]:
    return sorted(__all__)
