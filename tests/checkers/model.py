"""The registry, naively: what files hold at each rev, and what a write does to them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.checkers.history import Commit, Version, Write
from visor.protocol import verbs

Look = Callable[[str], Version | None]
"""Gives the living version of a path."""


class Timeline:
    """All files at all revs."""

    def __init__(self, commits: list[Commit]) -> None:
        self._revs: dict[str, list[int]] = {}
        self._versions: dict[str, list[Version]] = {}
        for rev, _, _, _, changes in commits:
            for _, path, version, _ in changes:
                self._revs.setdefault(path, []).append(rev)
                self._versions.setdefault(path, []).append(version)

    def at(self, path: str, rev: int) -> Version | None:
        """Return the living version at a rev."""
        position = bisect_right(self._revs.get(path, ()), rev)
        if not position:
            return None
        version = self._versions[path][position - 1]
        return None if version[1] is None else version

    def tree(self, path: str, rev: int) -> dict[str, Version]:
        """Return the files at or below `path` at a rev."""
        start = path.rstrip("/") + "/"
        found = {}
        for name in self._revs:
            if name == path or name.startswith(start):
                version = self.at(name, rev)
                if version is not None:
                    found[name] = version
        return found

    def changed(self, path: str, first: int, last: int) -> list[int]:
        """Return the revs from `first` to `last` that changed `path`."""
        revs = self._revs.get(path, [])
        return revs[bisect_right(revs, first - 1) : bisect_right(revs, last)]

    def leased(self, leases: set[int], rev: int) -> list[str]:
        """Return the files that are attached to any of these leases at a rev, sorted."""
        attached = [
            path
            for path in self._revs
            if (version := self.at(path, rev)) is not None and version[4] in leases
        ]
        return sorted(attached, key=in_order)

    def deleted_at(self, path: str, rev: int) -> int:
        """Return the rev that deleted a path that is missing at `rev`; 0: it never was there."""
        position = bisect_right(self._revs.get(path, ()), rev)
        return self._revs[path][position - 1] if position else 0


def in_order(path: str) -> list[str]:
    """Return the key by which paths are sorted."""
    return path.split("/")


class Effect(NamedTuple):
    """What a write does. `changes`: path -> new value or None, in the order of the paths; `leases` of what it sets."""

    refused: bool
    succeeded: bool
    changes: dict[str, bytes | None]
    results: list[Any]
    leases: dict[str, int]


REFUSED = Effect(True, False, {}, [], {})


def holds(guard: tuple[int, str, Any], version: Version | None, deleted_at: int) -> bool:
    """Tell whether a guard holds for a path whose living version is `version`."""
    kind, _, arg = guard
    rev = 0 if version is None else version[0]
    if kind == verbs.G_REV:
        return bool(rev == arg)
    if kind == verbs.G_MISSING:
        return version is None
    if kind == verbs.G_SINCE:
        return bool((rev or deleted_at) <= arg)
    if kind == verbs.G_NONE:
        return True
    if version is None:
        return False
    compared = {verbs.G_VALUE: version[1] == arg, verbs.G_EXISTS: True}
    if kind == verbs.G_BELOW:
        return bool(rev < arg)
    return bool(rev > arg) if kind == verbs.G_ABOVE else compared[kind]


def execute(write: Write, timeline: Timeline, rev: int) -> Effect:
    """Return what a write does to the state at `rev`."""
    held = all(
        holds(guard, timeline.at(guard[1], rev), timeline.deleted_at(guard[1], rev)) for guard in write.guards
    )
    if not held and write.strict:
        return REFUSED
    staged: dict[str, bytes | None] = dict.fromkeys(
        timeline.leased({write.revokes}, rev) if write.revokes else ()
    )
    leases: dict[str, int] = {}
    results: list[Any] = []
    for operation in write.then if held else write.otherwise:
        path = operation[1]
        before = timeline.at(path, rev)
        there = staged[path] is not None if path in staged else before is not None
        if operation[0] == verbs.T_GET:
            results.append(_written(staged[path], before, rev + 1) if path in staged else before)
            continue
        if operation[0] == verbs.T_DELETE and not there:
            return REFUSED
        staged[path] = operation[2] if operation[0] == verbs.T_SET else None
        leases[path] = operation[3] if len(operation) > 3 else 0
        results.append(None)
    # What was not there before and is not there afterwards leaves no trace.
    changes = {
        path: staged[path]
        for path in sorted(staged, key=in_order)
        if staged[path] is not None or timeline.at(path, rev) is not None
    }
    return Effect(False, held, changes, results, leases)


def _written(value: bytes | None, before: Version | None, rev: int) -> Version | None:
    """Return the version that a set (or deletion) earlier in the transaction makes, at `rev`."""
    if value is None:
        return None
    return (rev, value, rev, 1, 0) if before is None else (rev, value, before[2], before[3] + 1, 0)
