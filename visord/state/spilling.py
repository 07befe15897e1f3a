"""Let go of the values of old versions, once they are on disk for certain: a little at a time, after each checkpoint.

What stays in memory of a file is its newest version, and of the others the revs (`past.py`); of a commit, when it was
and which files it changed.

    before   /a  versions (3, "x") (8, "y") (9, "z")                     spill(store, 8, ...)
    after    /a  past 3, 8    versions (9, "z")                          store.spilled 8

Rev by rev, from where the last slice ended; of each file that the rev touched go all versions up to the last rev that
may be spilled, but for the newest, `TOGETHER` at most: what is left goes with the next rev that touched it, as each of
them wrote one. So one that was the newest is looked at again by the first rev after it, and of one file versions above
`spilled` may be on disk only.

A value that was redacted since it was written to disk is there as it was until the next checkpoint: its mark stays.
"""

from __future__ import annotations

from typing import Final

from visord.state.past import extended
from visord.state.store import Store
from visord.state.tree import File
from visord.state.version import BYTES, SPILLED, position_after

TOGETHER: Final = 4096
"""Versions of one file that are let go at once: one that is written all the time has most of what there is."""
FREED_BYTES: Final = 4 << 20
"""Bytes of values that are let go in one slice: the system takes as long for them as for anything else."""


def spill(store: Store, rev: int, most: int) -> bool:
    """Handle `most` revs up to `rev`, up to which everything is on disk; return whether more are left."""
    history, freed, left = store.history, 0, max(most, TOGETHER)
    at = max(store.spilled, history.base)
    stop = min(rev, at + most)
    while at < stop and freed <= FREED_BYTES and left > 0:
        at += 1
        for file in history.files(at):
            if store.redacted.fresh:
                _keep_marks(store, file, rev)
            if len(file.versions) > 1:
                count, size = _spill(store, file, rev)
                freed += size
                left -= count
    store.spilled = max(store.spilled, at)
    history.forget_told(store.spilled)
    return at < rev


def _spill(store: Store, file: File, rev: int) -> tuple[int, int]:
    """Let go of versions of a file up to `rev`, `TOGETHER` at once; return how many, and the bytes of their values."""
    versions = file.versions
    count = min(position_after(versions, rev), len(versions) - 1, TOGETHER)
    if not count:
        return 0, 0
    spilled = versions[:count]
    file.past = extended(file.past, spilled)
    if count == len(versions) - 1:
        file.versions = versions[count:]  # cut in place, the list would keep room for more
    else:
        del versions[:count]
    size = sum(len(version[1] or b"") for version in spilled)
    store.held -= (BYTES - SPILLED) * count + size
    return count, size


def _keep_marks(store: Store, file: File, rev: int) -> None:
    path = file.path
    for version in file.versions[: position_after(file.versions, rev)]:
        if version[1] is not None and store.redacted.size(path, version[0]) is not None:
            store.redacted.marks[(path, version[0])] = version[1]
