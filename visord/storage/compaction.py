"""Which history files a checkpoint keeps, and the base that takes the place of those below the floor.

Retention raises the store's floor: no rev below it is read again. Files that hold only such revs are dead,
but the files as they are at the floor must stay known. So a checkpoint sometimes writes a **base** (all
files at the floor) and drops what lies wholly below it; a file across the floor stays as it is, its revs up
to the base's are skipped at the next start. Nothing is rewritten but the base.

    before   commits-1 [1..900]  commits-2 [901..1800]  commits-3 [1801..2000]          floor 1500
    after    base-4 (files at rev 1500)  commits-2 [901..1800]  commits-3 [1801..2100]

A base costs as much as all files, so it is written only when it frees more than that: when the dead files
are at least as large as the base before (or one history file, when there was none). Then all bases together
cost no more than all commits did. One case cannot wait: when the floor has passed everything that is on
disk, the revs between are gone from memory too, and only a base can close the gap.
"""

from __future__ import annotations

from typing import NamedTuple

from visord.storage.manifest import Manifest
from visord.storage.segments import Part


class Compaction(NamedTuple):
    """What a checkpoint does: with `base_rev`, write a base at it; append commits from `first` on.

    `kept` are the parts of the last checkpoint that stay, oldest first.
    """

    base_rev: int | None
    first: int
    kept: tuple[Part, ...]


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
