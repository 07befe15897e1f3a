"""A transaction's own writes on top of the store, before they are committed: later operations see earlier
ones.

Over a store that holds the file /a/b, after `delete /a/b` and `set /a/c/d`:

    staged   {/a/b: None, /a/c/d: (b"...", 0)}
    grown    {/a: 0, /a/c: +1}                  how many direct entries each directory won or lost; /a lost
    one, won one touched  {/a: {/a/b, /a/c}, /a/c: {/a/c/d}} entries that may have come or gone

Nothing of the store is changed; `writes` tells the net effect, one write a path.
"""

from __future__ import annotations

from typing import TypeAlias

from visor.paths import ROOT, below, parent, sort_key
from visor.protocol.verbs import N_DIRECTORY, N_FILE
from visord.state.latest import Latest
from visord.state.listing import Listing
from visord.state.plan import cannot_set
from visord.state.refusal import Refusal
from visord.state.store import Store
from visord.state.version import Version, Write

Staged: TypeAlias = tuple[bytes, int] | None
"""`(value, lease)`, None when deleted."""


class Overlay:
    """A `TreeView` (see `latest.py`) that can be written to."""

    __slots__ = ("_base", "_grown", "_rev", "_touched", "beside", "found", "made", "staged", "store")

    def __init__(self, store: Store) -> None:
        self.store = store
        self.staged: dict[str, Staged] = {}
        self.found = 0  # files of the store that were found below directories
        self.made = 0  # times that a directory came into being
        self.beside: str | None = None
        """How the paths begin that lie right in the directory where a file came into being last, as "/a/"; None when
        that directory may be gone again."""
        self._base = Latest(store)
        self._rev = store.rev + 1
        self._grown: dict[str, int] = {}
        self._touched: dict[str, dict[str, None]] = {}

    # -- what is there --------------------------------------------------------------------------------

    def file(self, path: str) -> Version | None:
        if path not in self.staged:
            return self._base.file(path)
        staged = self.staged[path]
        if staged is None:
            return None
        before = self._base.file(path)
        created, count = (self._rev, 0) if before is None else (before[2], before[3])
        return (self._rev, staged[0], created, count + 1, staged[1])

    def is_directory(self, path: str) -> bool:
        return path == ROOT or self._size(path) > 0

    def files_below(self, path: str, most: int) -> tuple[list[str], int] | None:
        old: list[str] = []
        looked = len(self.staged)
        if self._base.is_directory(path):
            known = self._base.files_below(path, most - looked)
            if known is None:
                return None
            old = known[0]
            looked += known[1]
            self.found += len(old)
        if not self.staged:
            return old, looked
        files = dict.fromkeys(old)
        for entry, staged in self.staged.items():
            if entry != path and below(entry, path):
                if staged is None:
                    files.pop(entry, None)
                else:
                    files[entry] = None
        return sorted(files, key=sort_key), looked

    def listed(self, path: str) -> int:
        """Return how many entries are looked at to list a directory; one that is none has none."""
        directory = self.store.directories.get(path)
        live = len(directory.live) if directory is not None else 0
        return live + len(self._touched.get(path, ()))

    def listing(self, path: str) -> Listing:
        """Note what the entries of a directory are now."""
        changed = {entry: self._kind(entry) for entry in self._touched.get(path, ())}
        return Listing(path, self.store.rev, changed)

    def _kind(self, path: str) -> int | None:
        if self.file(path) is not None:
            return N_FILE
        return N_DIRECTORY if self.is_directory(path) else None

    # -- changes --------------------------------------------------------------------------------------

    def set(self, path: str, value: bytes, lease: int) -> Refusal | None:
        """Stage a value, or return why there can be no file."""
        staged = self.staged
        if path in staged:
            new = staged[path] is None
        else:
            new = self._base.file(path) is None
        if new:
            refused = cannot_set(self, path)
            if refused is not None:
                return refused
            self._resize(path, +1)
            self.beside = path[: path.rfind("/") + 1]
        staged[path] = (value, lease)
        return None

    def create(self, path: str, value: bytes) -> bool:
        """Stage a new file right in the directory `beside`; False when there is, or was, something at its path.

        That the directory is there answers for all above it: this is the short way to what `set` does.
        """
        store = self.store
        if path in self.staged or path in store.files or path in store.directories or path in self._grown:
            return False
        directory = path[: path.rfind("/")] or ROOT
        self._touched[directory][path] = None
        self._grown[directory] += 1
        self.staged[path] = (value, 0)
        return True

    def delete(self, path: str) -> None:
        """Stage the deletion of a file that is there."""
        self.beside = None
        self.staged[path] = None
        self._resize(path, -1)

    def writes(self) -> list[Write]:
        """Return the net effect; what was created and deleted again is none."""
        base = self._base
        result: list[Write] = []
        for path, staged in self.staged.items():
            if staged is not None:
                result.append((path, *staged))
            elif base.file(path) is not None:
                result.append((path, None, 0))
        return result

    def _size(self, path: str) -> int:
        directory = self.store.directories.get(path)
        return (len(directory.live) if directory is not None else 0) + self._grown.get(path, 0)

    def _resize(self, path: str, step: int) -> None:
        """Count `path` in (+1) or out (-1) of its directory, and that one likewise where it comes or goes."""
        while path != ROOT:
            directory = parent(path)
            self._touched.setdefault(directory, {})[path] = None
            self._grown[directory] = self._grown.get(directory, 0) + step
            if self._size(directory) != (1 if step > 0 else 0):
                return
            self.made += step > 0
            path = directory
