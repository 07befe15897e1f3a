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
from typing import TYPE_CHECKING, Final

from visord.state.tree import Directory, File
from visord.state.version import position_after

if TYPE_CHECKING:
    from visord.state.store import Store


_SHARE: Final = 64


def trim(store: Store, budget: int) -> bool:
    """Handle about `budget` changes; return whether more can be done now."""
    history, floor = store.history, store.floor
    rev, position = store.trimmed
    while rev < floor and budget > 0:
        store.cut = floor
        files = history.files(rev + 1)
        part = files[position : position + budget]
        for file in part:
            if file.versions:
                _cut_file(store, file, floor)
            _cut_directories(file.directory, floor)
        budget -= max(len(part), 1)
        position += len(part)
        if position >= len(files):
            history.touched[rev - history.base] = ()
            rev, position = rev + 1, 0
    store.trimmed = (rev, position)
    done = rev - history.base
    if done and (done * _SHARE >= len(history.touched) or rev == store.rev):
        history.drop(done)
    return rev < floor


def _cut_file(store: Store, file: File, floor: int) -> None:
    versions = file.versions
    old = position_after(versions, floor)
    if old and versions[old - 1][1] is not None:
        old -= 1  # the version in force at the floor stays
    if old == len(versions):
        versions.clear()
        _forget(store, file)
    elif old and old * _SHARE >= len(versions):
        del versions[:old]


def _forget(store: Store, file: File) -> None:
    """Drop a file of which nothing is left, and the directories that were kept for its sake."""
    files, directories, path = store.files, store.directories, file.path
    directory: Directory | None = file.directory
    del files[path]
    while directory is not None:
        if directory.gone is not None and path not in files and path not in directories:
            directory.gone.discard(path)
            if not directory.gone:
                directory.gone = None
        if directory.live or directory.gone or directory.parent is None:
            return
        path = directory.path
        del directories[path]
        directory = directory.parent


def _cut_directories(directory: Directory | None, floor: int) -> None:
    while directory is not None:
        changes, revs = directory.changes, directory.size_revs
        # What was in force at the floor is the last entry at or below it; that one stays.
        if len(changes) > 1 and changes[len(changes) // _SHARE + 1] <= floor:
            del changes[: bisect_right(changes, floor) - 1]
        if len(revs) > 1 and revs[len(revs) // _SHARE + 1] <= floor:
            old = bisect_right(revs, floor) - 1
            del revs[:old]
            del directory.sizes[:old]
        directory = directory.parent
