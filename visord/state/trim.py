"""Give back the memory of what lies below the floor, a little at a time.

Nothing that can still be asked changes by it: of each file stays the version in force at the floor and all
later ones, of each directory what it was at the floor. Tombstones at or below the floor go, and with them
the names and directories that only history knew.

Rev by rev, from where the last slice ended up to the floor, each file that the rev touched is cut down to
the floor at once. Lists are cut at the front only when an eighth of them can go, so that a file with a
million versions does not move a million entries for each one dropped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import islice
from typing import Final

from visord.state import past
from visord.state.history import FREED_BYTES
from visord.state.store import Store
from visord.state.tree import Directory, File
from visord.state.version import BYTES, ENTRY, SPILLED, Version, position_after

_SHARE: Final = 64
_MOST: Final = 32_768
"""Entries of one list that are cut at a time; what is left goes when the next change of the same file comes up."""

_CHEAP: Final = 64
"""How many entries can be cut for the price of handling one change."""
_BYTES_BITS: Final = 6
"""2**6 bytes of values are given back for the price of cutting an entry, 4 KiB for that of handling a change."""


def trim(store: Store, budget: int) -> bool:
    """Handle about `budget` changes; return whether more can be done now."""
    history, floor = store.history, store.floor
    rev, position = store.trimmed
    while rev < floor and budget > 0:
        store.cut = floor
        files = history.files(rev + 1)
        start = position
        while position < len(files) and budget > 0:
            file = files[position]
            cut = _cut_file(store, file, floor) if file.versions else 0
            cut += _cut_directories(store, file.directory, floor)
            budget -= 1 + cut // _CHEAP
            position += 1
        if position >= len(files):
            budget -= position == start
            history.touched[rev - history.base] = ()
            rev, position = rev + 1, 0
    store.trimmed = (rev, position)
    done = rev - history.base
    if done and (done * _SHARE >= len(history.touched) or rev == store.rev):
        history.drop(done)
    return rev < floor


def _cut_file(store: Store, file: File, floor: int) -> int:
    """Cut the versions that nobody can ask for; return how many, and more where their values are large."""
    cut = _cut_past(store, file, floor) if file.past is not None else 0
    versions = file.versions
    if versions[0][0] > floor or file.past is not None:
        return cut
    old = position_after(versions, floor)
    if old and versions[old - 1][1] is not None:
        old -= 1  # the version in force at the floor stays
    count, size = _cheap(versions, min(old, _MOST))
    if count < len(versions) and count == old and old * _SHARE < len(versions):
        return cut
    if store.redacted.sizes:
        store.redacted.forget(file.path, (version[0] for version in islice(versions, count)))
    whole = count == len(versions)
    file.cut(count)
    if whole:
        _forget(store, file)
    store.held -= BYTES * count + size
    return cut + count + (size >> _BYTES_BITS)


def _cut_past(store: Store, file: File, floor: int) -> int:
    """Cut what nobody can ask for of the versions that are on disk only; return how many."""
    before = file.past
    assert before is not None
    numbers = past.revs(before)
    old = bisect_right(numbers, floor)
    if old < len(numbers) or file.versions[0][0] > floor:  # else what is in force at the floor is in memory
        old -= old > 0 and not past.is_gone(before, old - 1)
    if old < len(numbers):
        old = min(old, _MOST)
        if old * _SHARE < len(numbers):
            return 0
    if store.redacted.sizes:
        store.redacted.forget(file.path, numbers[:old])
    file.past = past.without(before, old)
    store.held -= SPILLED * old
    return old


def _cheap(versions: Sequence[Version], most: int) -> tuple[int, int]:
    """Return how many of the first `most` versions are given back at once, and the bytes of their values.

    What is left of large ones goes when the next change of the same file comes up: there are as many as versions.
    """
    count = size = 0
    for version in islice(versions, most):
        count += 1
        if version[1] is not None:
            size += len(version[1])
            if size > FREED_BYTES:
                break
    return count, size


def _forget(store: Store, file: File) -> None:
    """Drop a file of which nothing is left, and the directories that were kept for its sake."""
    files, directories, path = store.files, store.directories, file.path
    directory: Directory | None = file.directory
    del files[path]
    store.held -= len(path)
    while directory is not None:
        if directory.gone is not None and path not in files and path not in directories:
            directory.gone.discard(path)
            if not directory.gone:
                directory.gone = None
        if directory.live or directory.gone or directory.parent is None:
            return
        path = directory.path
        del directories[path]
        store.held -= len(path) + ENTRY * len(directory.changes)
        del directory.changes[:]  # it is counted as gone: it must not be cut again
        directory = directory.parent


def _cut_directories(store: Store, directory: Directory | None, floor: int) -> int:
    """Cut what the directory and those above it know of before the floor; return how many entries."""
    cut = 0
    while directory is not None:
        changes, revs = directory.changes, directory.size_revs
        # What was in force at the floor is the last entry at or below it; that one stays.
        if len(changes) > 1 and changes[len(changes) // _SHARE + 1] <= floor:
            old = min(bisect_right(changes, floor) - 1, _MOST)
            del changes[:old]
            store.held -= ENTRY * old
            cut += old
        if len(revs) > 1 and revs[len(revs) // _SHARE + 1] <= floor:
            old = min(bisect_right(revs, floor) - 1, _MOST)
            del revs[:old]
            del directory.sizes[:old]
            cut += old
        directory = directory.parent
    return cut
