"""Following state: a picture of a part of the registry that is kept in sync, and being told how it changes.

    with visor.Mirror(client, "/apps/**") as mirror:      # a copy in this process, read at memory speed
        mirror["/apps/web/head"].value

    visor.following(Source(client, "/nodes/*"), follower)    # new, updated, deleted, batch_done

    with watch_one(client, "/leader") as watcher:         # one file: its latest value, and the next
        while watcher.next(): ...

`visor.aio.following` has the same names for asyncio; `visor/docs/following.md` says what each promises.
"""

from __future__ import annotations

from visor._core.following.delta import Batch, Delta, Origin
from visor._core.following.errors import BacklogDone, ReaderDropped, Stopped, WatcherClosed
from visor._core.following.follower import Follower, SimpleFollower
from visor._core.following.staleness import Staleness
from visor.blocking.following import (
    Callback,
    Cell,
    CellWatcher,
    Changes,
    Files,
    Followable,
    Following,
    Mirror,
    Reader,
    Source,
    Watcher,
    follow,
    watch_one,
)

__all__ = [
    "Mirror",
    "Files",
    "Staleness",
    "Changes",
    "Callback",
    "Batch",
    "Delta",
    "Origin",
    "follow",
    "Follower",
    "SimpleFollower",
    "Following",
    "Source",
    "Followable",
    "Reader",
    "watch_one",
    "Watcher",
    "Cell",
    "CellWatcher",
    "ReaderDropped",
    "WatcherClosed",
    "BacklogDone",
    "Stopped",
]


def __dir__() -> list[str]:
    return sorted(__all__)
