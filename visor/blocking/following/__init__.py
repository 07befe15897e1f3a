# Generated from visor/aio/following/__init__.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Following state under asyncio: the names of `visor.following`, awaited."""

from __future__ import annotations

from visor.blocking.following.changes import Callback, Changes
from visor.blocking.following.follow import Following, follow
from visor.blocking.following.latest_value import Cell, CellWatcher
from visor.blocking.following.mirror import Files, Mirror
from visor.blocking.following.source import Followable, Reader, Source
from visor.blocking.following.watcher import Watcher, watch_one

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
