"""STAT: what a path is at a rev."""

from __future__ import annotations

from typing import Any

from visor.protocol.verbs import N_DIRECTORY, N_FILE, N_MISSING
from visord.state.store import Store


def stat(store: Store, path: str, rev: int) -> list[Any]:
    """Return `[rev, kind, size, mod_rev, created, count, lease]` for a readable `rev`."""
    version = store.version(path, rev)
    if version is not None:
        version = store.filled(path, version)
        mod_rev, _, created, count, lease = version
        return [rev, N_FILE, store.size(path, version), mod_rev, created, count, lease]
    if store.is_directory(path, rev):
        size = store.directories[path].size_at(rev)
        return [rev, N_DIRECTORY, size, store.changed(path, rev), 0, 0, 0]
    return [rev, N_MISSING, 0, store.deleted_at(path, rev), 0, 0, 0]
