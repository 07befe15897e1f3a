"""Let go of the values of old versions, once they are on disk for certain: a little at a time, after each checkpoint.

What stays in memory of a file is its newest version, and of the others the revs (`past.py`); of a commit, when it was
and which files it changed.

    before   /a  versions (3, "x") (8, "y") (9, "z")                     spill(store, 8, ...)
    after    /a  past 3, 8    versions (9, "z")                          store.spilled 8

Rev by rev, and file by file of each, from where the last slice ended; of a file go all versions up to the last rev
that may be spilled, but for the newest, as far as the slice reaches: what is left goes with the next rev that touched
it, as each of them wrote one. So one that was the newest is looked at again by the first rev after it, and of one file
versions above `spilled` may be on disk only.

A value that was redacted since it was written to disk is there as it was until the next checkpoint: its mark stays.
"""

from __future__ import annotations

from typing import Final

from visord.state.past import extended, followed
from visord.state.store import Store
from visord.state.tree import File
from visord.state.version import BYTES, SPILLED, position_after

FREED_BYTES: Final = 4 << 20
"""Bytes of values that are let go in one slice: the system takes as long for them as for anything else."""
TOLD: Final = 16_384
"""Commits whose authors are forgotten at once: what is left of a long list is moved each time."""


def spill(store: Store, rev: int, most: int) -> bool:
    """Look at files and let go of versions up to `rev`, up to which everything is on disk, `most` together; return
    whether more are left.
    """
    history, marked, freed, left = store.history, bool(store.redacted.fresh), 0, most
    base, touched = history.base, history.touched
    at = max(store.spilled, base)
    done = store.spilling if at == store.spilled else 0
    while at < rev and freed <= FREED_BYTES and left > 0:
        here = touched[at - base]  # `History.files`, without a call
        files: tuple[File, ...] = (here,) if type(here) is File else here  # type: ignore[assignment]
        left -= 1
        if done < len(files):
            file = files[done]
            if marked:
                _keep_marks(store, file, rev)
            if len(file.versions) > 1:
                count, size = _spill(store, file, rev, max(1, left))
                freed += size
                left -= count
        done += 1
        if done >= len(files):
            at, done = at + 1, 0
    store.spilled, store.spilling = max(store.spilled, at), done
    if at >= rev or at - history.told_base >= TOLD:
        history.forget_told(store.spilled)
    return at < rev


def _spill(store: Store, file: File, rev: int, most: int) -> tuple[int, int]:
    """Let go of versions of a file up to `rev`, `most` at once; return how many, and the bytes of their values."""
    versions = file.versions
    if len(versions) == 2:  # as mostly: what is done here costs each write of a busy node
        old, newest = versions
        if old[0] > rev:
            return 0, 0
        file.past, file.versions = followed(file.past, old), (newest,)
        size = len(old[1]) if old[1] is not None else 0
        store.held -= BYTES - SPILLED + size
        return 1, size
    # Mostly all but the newest may go, and looking for where that ends takes as long as all else.
    count = len(versions) - 1 if versions[-2][0] <= rev else position_after(versions, rev)
    count = min(count, most)
    if not count:
        return 0, 0
    spilled = versions[:count]
    file.past = extended(file.past, spilled)
    file.cut(count)
    size = sum([len(version[1]) for version in spilled if version[1] is not None])
    store.held -= (BYTES - SPILLED) * count + size
    return count, size


def _keep_marks(store: Store, file: File, rev: int) -> None:
    path = file.path
    for version in file.versions[: position_after(file.versions, rev)]:
        if version[1] is not None and store.redacted.size(path, version[0]) is not None:
            store.redacted.marks[(path, version[0])] = version[1]
