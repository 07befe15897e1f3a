"""Following state under asyncio: the names of `visor.following`, awaited."""

from __future__ import annotations

from visor.aio.following.changes import Callback, Changes
from visor.aio.following.follow import Following, follow
from visor.aio.following.latest_value import Cell, CellWatcher
from visor.aio.following.mirror import Files, Mirror
from visor.aio.following.source import Followable, Reader, Source
from visor.aio.following.watcher import Watcher, watch_one

__all__ = [
    "Callback",
    "Cell",
    "CellWatcher",
    "Changes",
    "Files",
    "Followable",
    "Following",
    "Mirror",
    "Reader",
    "Source",
    "Watcher",
    "follow",
    "watch_one",
]


def __dir__() -> list[str]:
    return sorted(__all__)
