"""What the tree is made of: files with their versions, directories with their entries.

A name may be a file at one rev and a directory at another, never both at the same. After

    rev 1  set /a/b        rev 2  set /a/c        rev 3  delete /a/b        rev 4  delete /a/c, set /a

the store holds

    File /a/b       versions [(1, ...), (3, None, ...)]    past None
    File /a/c       versions [(2, ...), (4, None, ...)]
    File /a         versions [(4, ...)]
    Directory /a    live {}    gone {/a/b, /a/c}    changes [1, 2, 3, 4]
                    size_revs [1, 2, 3, 4]    sizes [1, 2, 1, 0]
    Directory /     live {/a}  gone {}              size_revs [1]    sizes [1]

Once a checkpoint has all of that, `/a/b` keeps its newest version only, and the revs of the others: `versions
[(3, None, ...)]`, `past` the rev 1 (`past.py`).

`/a` stays among the live entries of `/`: it is one or the other all the time. A read at rev 2 finds 2
entries in `/a` by bisecting `size_revs`; at rev 4 none, so there `/a` is no directory.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

from visord.state import past
from visord.state.past import Past
from visord.state.sorted_names import SortedNames
from visord.state.version import BYTES, ENTRY, Version, in_force, position_after


class File:
    """A path that is or was a file. `versions` ascend by rev and are never empty once committed; `past` is before them.

    The newest version is always among `versions`. One is a tuple, several are a list: most files of a large tree
    have one, and a list of one takes 80 bytes, a tuple 48.
    """

    __slots__ = ("directory", "past", "path", "versions")

    def __init__(self, path: str, directory: Directory) -> None:
        self.path = path
        self.directory = directory
        self.versions: tuple[Version, ...] | list[Version] = ()
        self.past: Past | None = None
        if not directory.lineage and directory.parent is not None:
            directory.lineage = directory.line()
            directory.weight = BYTES + ENTRY * len(directory.lineage)

    def add(self, version: Version) -> None:
        """Add the newest version."""
        versions = self.versions
        if type(versions) is list:
            versions.append(version)
        else:
            self.versions = [*versions, version] if versions else (version,)

    def cut(self, count: int) -> None:
        """Drop so many of the oldest versions in memory."""
        versions = self.versions
        if len(versions) - count <= 1:
            self.versions = tuple(versions[count:])
        elif type(versions) is list:
            del versions[:count]

    def replace(self, position: int, version: Version) -> None:
        """Put a version in the place of one in memory."""
        if type(self.versions) is list:
            self.versions[position] = version
        else:
            self.versions = (version,)

    def in_force(self, rev: int) -> Version | None:
        """Return the version (or tombstone) that `rev` sees, maybe without its value; None when the file came later."""
        versions = self.versions
        if self.past is None or versions[0][0] <= rev:
            return in_force(versions, rev)
        return past.in_force(self.past, rev)

    def position_after(self, rev: int) -> int:
        """Return how many of all its versions, past ones first, were written at or before `rev`."""
        if self.past is None:
            return position_after(self.versions, rev)
        numbers = past.revs(self.past)
        found = bisect_right(numbers, rev)
        return found + position_after(self.versions, rev) if found == len(numbers) else found

    def at(self, position: int) -> Version:
        """Return the version at a position among all of them, maybe without its value."""
        before = past.size(self.past)
        if self.past is not None and position < before:
            return past.stub(self.past, position)
        return self.versions[position - before]

    def rev_at(self, position: int) -> int:
        """Return the rev that wrote the version at a position among all of them."""
        if self.past is None:
            return self.versions[position][0]
        numbers = past.revs(self.past)
        before = len(numbers)
        return numbers[position] if position < before else self.versions[position - before][0]


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
        # 4 bytes a rev, while that is enough: `Store.widen`.
        code = "I" if parent is None or parent.changes.typecode == "I" else "q"
        self.changes: array[int] = array(code)
        self.size_revs: array[int] = array(code)
        self.sizes: array[int] = array("I")
        self.lineage: tuple[array[int], ...] = ()
        self.weight: int = BYTES

    def line(self) -> tuple[array[int], ...]:
        """Return what `lineage` is to be."""
        line: list[array[int]] = []
        directory: Directory | None = self
        while directory is not None and directory.parent is not None:
            line.append(directory.changes)
            directory = directory.parent
        return tuple(line)

    def size_at(self, rev: int) -> int:
        """Return the number of direct entries at `rev`."""
        position = bisect_right(self.size_revs, rev)
        return self.sizes[position - 1] if position else 0

    def is_as_at(self, rev: int) -> bool:
        """Tell whether no entry has come or gone since `rev`."""
        return not self.size_revs or self.size_revs[-1] <= rev

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
