"""What the tree is made of: files with their versions, directories with their entries.

A name may be a file at one rev and a directory at another, never both at the same. After

    rev 1  set /a/b        rev 2  set /a/c        rev 3  delete /a/b        rev 4  delete /a/c, set /a

the store holds

    File /a/b       versions [(1, ...), (3, None, ...)]
    File /a/c       versions [(2, ...), (4, None, ...)]
    File /a         versions [(4, ...)]
    Directory /a    live {}    gone {/a/b, /a/c}    changes [1, 2, 3, 4]
                    size_revs [1, 2, 3, 4]    sizes [1, 2, 1, 0]
    Directory /     live {/a}  gone {}              size_revs [1]    sizes [1]

`/a` stays among the live entries of `/`: it is one or the other all the time. A read at rev 2 finds 2
entries in `/a` by bisecting `size_revs`; at rev 4 none, so there `/a` is no directory.
"""

from __future__ import annotations

from bisect import bisect_right

from visord.state.sorted_names import SortedNames
from visord.state.version import BYTES, ENTRY, Version


class File:
    """A path that is or was a file. `versions` ascend by rev and are never empty once committed."""

    __slots__ = ("directory", "path", "versions")

    def __init__(self, path: str, directory: Directory) -> None:
        self.path = path
        self.directory = directory
        self.versions: list[Version] = []
        if not directory.lineage and directory.parent is not None:
            directory.lineage = directory.line()
            directory.weight = BYTES + ENTRY * len(directory.lineage)


class Directory:
    """A path that is or was a directory; it exists at a rev when it has entries there. The root always does.

    `live`: entries of the latest rev, `folders` of them directories. `gone`: names that had been entries,
    and that history still shows. `changes`: the revs that changed anything at or below it, ascending
    (unused for the root: every rev does). `size_revs`, `sizes`: how many direct entries it had from which
    rev on. `lineage`: `changes` of this directory and of all above it except the root; empty until the first file is
    made right in it, as a chain of directories would take a memory that is quadratic in its length. `weight`: bytes
    that a version of a file right in it takes, beside its value.
    """

    __slots__ = (
        "changes",
        "folders",
        "gone",
        "lineage",
        "live",
        "parent",
        "path",
        "size_revs",
        "sizes",
        "weight",
    )

    def __init__(self, path: str, parent: Directory | None) -> None:
        self.path = path
        self.parent = parent
        self.live = SortedNames()
        self.gone: SortedNames | None = None
        self.folders = 0
        self.changes: list[int] = []
        self.size_revs: list[int] = []
        self.sizes: list[int] = []
        self.lineage: tuple[list[int], ...] = ()
        self.weight = BYTES

    def line(self) -> tuple[list[int], ...]:
        """Return what `lineage` is to be."""
        line: list[list[int]] = []
        directory: Directory | None = self
        while directory is not None and directory.parent is not None:
            line.append(directory.changes)
            directory = directory.parent
        return tuple(line)

    def size_at(self, rev: int) -> int:
        """Return the number of direct entries at `rev`."""
        position = bisect_right(self.size_revs, rev)
        return self.sizes[position - 1] if position else 0

    def changed_at(self, rev: int) -> int:
        """Return the last rev up to `rev` that changed anything below; 0 when none did. Not for the root."""
        position = bisect_right(self.changes, rev)
        return self.changes[position - 1] if position else 0

    def enter(self, path: str, rev: int) -> None:
        """Make `path`, which is none, a live entry; the first one makes the directory one, and so on up."""
        directory: Directory | None = self
        while directory is not None:
            if directory.gone is not None:
                directory.gone.discard(path)
            size = directory.live.add(path)
            directory._resize(rev, size)
            if size > 1:
                return
            path, directory = directory.path, directory.parent
            if directory is not None:
                directory.folders += 1

    def leave(self, path: str, rev: int) -> None:
        """Make the live entry `path` a gone one; with its last one the directory goes as well, and so on."""
        directory: Directory | None = self
        while directory is not None:
            directory.live.discard(path)
            if directory.gone is None:
                directory.gone = SortedNames()
            directory.gone.add(path)
            size = len(directory.live)
            directory._resize(rev, size)
            if size:
                return
            path, directory = directory.path, directory.parent
            if directory is not None:
                directory.folders -= 1

    def _resize(self, rev: int, size: int) -> None:
        if self.size_revs and self.size_revs[-1] == rev:
            self.sizes[-1] = size
        else:
            self.size_revs.append(rev)
            self.sizes.append(size)
