"""Which history files a checkpoint keeps, and the base that takes the place of those below the floor.

Retention raises the store's floor: no rev below it is read again. Files that hold only such revs are dead,
but the files as they are at the floor must stay known. So a checkpoint sometimes writes a **base** (all
files at the floor) and drops what lies wholly below it; a file across the floor stays as it is, its revs up
to the base's are skipped at the next start. Nothing is rewritten but the base.

    before   commits-1 [1..900]  commits-2 [901..1800]  commits-3 [1801..2000]          floor 1500
    after    base-4 (files at rev 1500)  commits-2 [901..1800]  commits-3 [1801..2100]

Where values were redacted since the last checkpoint, files that may hold them are **written again** (`without`), under
new names: what a manifest names never has what its index says is gone. A file that reaches below the floor cannot be
(its revs are not in memory any more), so a base takes its place.

    commits-2 [901..1800]  commits-3 [1801..2000]      redacted: revs 950 and 1200
    commits-4 [901..1800]  commits-3 [1801..2100]

A base costs as much as all files, so it is written only when it frees more than that: when the dead files
are at least as large as the base before (or one history file, when there was none). Then all bases together
cost no more than all commits did. One case cannot wait: when the floor has passed everything that is on
disk, the revs between are gone from memory too, and only a base can close the gap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from visord.state.redacted import ANY
from visord.state.store import Store
from visord.storage.manifest import Manifest
from visord.storage.segments import Part


class Again(NamedTuple):
    """Revs whose part is written again."""

    first: int
    last: int


Dirty: TypeAlias = Callable[[int, int], bool]
"""Tells whether files of these revs may hold what was redacted."""


class Compaction(NamedTuple):
    """What a checkpoint does: with `base_rev`, write a base at it; append commits from `first` on.

    `kept` are the parts of the last checkpoint that stay, or are written again, oldest first.
    """

    base_rev: int | None
    first: int
    kept: tuple[Part | Again, ...]


def plan(manifest: Manifest, floor: int, cut: int, segment_bytes: int) -> Compaction:
    """Decide what the checkpoint after `manifest` has to write.

    `floor` is the store's; its commits up to `cut` (at most the floor) are not in memory any more.
    """
    if cut > manifest.rev:
        return Compaction(floor, floor + 1, ())
    dead = sum(part.size for part in manifest.parts if part.last <= floor)
    old_base = segment_bytes if manifest.base is None else max(manifest.base.size, segment_bytes)
    if dead < old_base:
        return Compaction(None, manifest.rev + 1, manifest.parts)
    return Compaction(floor, manifest.rev + 1, tuple(part for part in manifest.parts if part.last > floor))


def without(todo: Compaction, manifest: Manifest, floor: int, dirty: Dirty) -> Compaction:
    """Return the same so that nothing is kept that is dirty."""
    unclean = [part for part in todo.kept if isinstance(part, Part) and dirty(part.first, part.last)]
    base_rev = todo.base_rev
    if any(part.first <= floor for part in unclean) or (
        manifest.base is not None and dirty(1, manifest.base_rev)
    ):
        base_rev = floor
    if base_rev is None and not unclean:
        return todo
    kept: list[Part | Again] = []
    for part in todo.kept:
        if base_rev is not None and part.last <= base_rev:
            continue
        if part in unclean:
            kept.append(Again(max(part.first, (base_rev or 0) + 1), part.last))
        else:
            kept.append(part)
    return Compaction(base_rev, todo.first, tuple(kept))


def dirty_of(store: Store, fresh: Sequence[tuple[str, int, int]]) -> Dirty:
    """Return what tells which files are dirty by these redactions, `(path, first, last)`.

    Which revs wrote a file is known above the floor; below it, any of them may have.
    """

    def dirty(first: int, last: int) -> bool:
        return any(_touches(store, each, first, last) for each in fresh)

    return dirty


def _touches(store: Store, redacted: tuple[str, int, int], first: int, last: int) -> bool:
    path, low, high = redacted[0], max(redacted[1], first), min(redacted[2], last)
    if low > high:
        return False
    if path == ANY or low <= store.floor:
        return True
    file = store.files.get(path)
    return file is not None and file.position_after(high) > file.position_after(low - 1)
