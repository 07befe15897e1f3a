"""What is there now: the store's latest rev as writes see it.

A transaction's overlay (`overlay.py`) answers the same questions with its own writes on top.
"""

from __future__ import annotations

from typing import Protocol

from visor.paths import ROOT, parent
from visord.state.store import Store
from visord.state.version import Version


class TreeView(Protocol):
    """What a write has to know about the tree that it changes."""

    def file(self, path: str) -> Version | None:
        """Return the live version at `path`, None when there is no file."""

    def is_directory(self, path: str) -> bool: ...

    def files_below(self, path: str, most: int) -> tuple[list[str], int] | None:
        """Return the live files below the directory `path`, in path order, and how many entries, files and
        directories, were looked at; None when that would be more than `most`."""


class Latest:
    """The store's latest rev."""

    __slots__ = ("store",)

    def __init__(self, store: Store) -> None:
        self.store = store

    def file(self, path: str) -> Version | None:
        file = self.store.files.get(path)
        if file is None:
            return None
        version = file.versions[-1]
        return version if version[1] is not None else None

    def is_directory(self, path: str) -> bool:
        directory = self.store.directories.get(path)
        return directory is not None and (len(directory.live) > 0 or path == ROOT)

    def files_below(self, path: str, most: int) -> tuple[list[str], int] | None:
        files, directories = self.store.files, self.store.directories
        found: list[str] = []
        entered = 0
        waiting = [directories[path].live.walk()]
        while waiting:
            for entry in waiting[-1]:
                file = files.get(entry)
                if file is None or file.versions[-1][1] is None:
                    entered += 1
                    waiting.append(directories[entry].live.walk())
                    break
                found.append(entry)
                if len(found) + entered > most:
                    return None
            else:
                waiting.pop()
            if len(found) + entered > most:
                return None
        return found, len(found) + entered


def obstacle(view: TreeView, path: str) -> str | None:
    """Return the file above `path` that keeps it from being there; None when there is none."""
    while path != ROOT:
        path = parent(path)
        if view.is_directory(path):
            return None  # a directory's ancestors are directories
        if view.file(path) is not None:
            return path
    return None
