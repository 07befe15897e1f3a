"""Visit the files of the tree at a rev in path order, from any path on, in either direction.

A walk yields every entry that it looks at, once: `(path, version)` for a file (`Store.filled` has its value),
`(path, None)` for one that is none at that rev or that the selector's levels rule out, and for a directory that it
enters (in reverse: when it has left it, as it comes before all that is in it). So a caller can count what it costs,
stop at any entry, and go on behind it later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from visor.paths import ROOT, below, components, join, name, sort_key
from visord.state.selector import Level, Selector
from visord.state.sorted_names import merged
from visord.state.store import Store
from visord.state.tree import Directory
from visord.state.version import Version

Passed: TypeAlias = Callable[[Directory], bool]
"""Whether a directory may be passed by: looked at as one entry, and not entered."""


def walk(
    store: Store,
    selector: Selector,
    rev: int,
    start: str | None = None,
    *,
    inclusive: bool = True,
    reverse: bool = False,
    passed: Passed | None = None,
) -> Iterator[tuple[str, Version | None]]:
    """Yield what lies at or below the selector's base, as far as its levels allow, from `start` on.

    `start` bounds from below, with `reverse` from above (and with all below it excluded then); it need not
    exist. `passed` is asked about directories below the base that lie on the walk with all that is in them.
    """
    base = selector.base
    if start is not None and not below(start, base):
        if (sort_key(start) > sort_key(base)) != reverse:
            return  # everything lies on the other side
        start = None
    version = store.version(base, rev)
    if version is not None:
        # The base is a file, so there is nothing below it.
        if start is None or (start == base and inclusive) or (start != base and reverse):
            yield base, version
        return
    directory = store.directories.get(base)
    if directory is None or not (directory.parent is None or directory.size_at(rev)):
        return
    if start == base:
        if reverse:
            return
        start = None
    yield from _below(store, selector, rev, directory, start, inclusive, reverse, passed)


def _below(
    store: Store,
    selector: Selector,
    rev: int,
    directory: Directory,
    start: str | None,
    inclusive: bool,
    reverse: bool,
    passed: Passed | None,
) -> Iterator[tuple[str, Version | None]]:
    files, directories, levels, depth = store.files, store.directories, selector.levels, selector.depth
    at, past = len(components(directory.path)), rev != store.rev
    level = levels[at] if at < len(levels) else None
    stack = [_entered(directory, level, start, past=past, reverse=reverse)]
    while stack:
        entries, bound, left = stack[-1]
        for path in entries:
            if path == start and reverse and not inclusive:
                continue  # what lies below it comes after it
            level = levels[at] if at < len(levels) else None
            if callable(level) and not level(name(path)):
                if path != bound:
                    yield path, None
                continue
            file = files.get(path)
            version = file.in_force(rev) if file is not None else None
            if version is not None and version[1] is not None:
                # On the way to `start` lies what comes before it.
                if path != bound or (inclusive if path == start else reverse):
                    yield path, version
                continue
            inner = directories.get(path)
            if (
                inner is None
                or not inner.size_at(rev)
                or (depth is not None and at + 1 >= depth)
                or (path == start and reverse)
            ):
                if path != bound or (path == start and inclusive):
                    yield path, None
                continue
            if path != bound:
                if passed is not None and passed(inner):
                    yield path, None
                    continue
                if not reverse:
                    yield path, None
            at += 1
            level = levels[at] if at < len(levels) else None
            behind = start if path == bound and path != start else None
            stack.append(_entered(inner, level, behind, past=past, reverse=reverse))
            break
        else:
            stack.pop()
            at -= 1
            if reverse and stack:
                yield left, None


def _entered(
    directory: Directory, level: Level | None, start: str | None, *, past: bool, reverse: bool
) -> tuple[Iterator[str], str | None, str]:
    """Return the entries of a directory from `start` on, the one of them that leads to `start`, and its path."""
    bound = None if start is None else _toward(directory.path, start)
    return _entries(directory, level, bound, past=past, reverse=reverse), bound, directory.path


def _entries(
    directory: Directory, level: Level | None, bound: str | None, *, past: bool, reverse: bool
) -> Iterator[str]:
    """Yield the paths of the entries, at `bound` and behind it. `past`: those gone since then as well."""
    if type(level) is str:
        only = join(directory.path, level)
        if bound is not None and only != bound and (only < bound) != reverse:
            return iter(())
        return iter((only,))
    entries = directory.live.walk(bound, reverse=reverse)
    if past and directory.gone:
        return merged(entries, directory.gone.walk(bound, reverse=reverse), reverse=reverse)
    return entries


def _toward(directory: str, path: str) -> str:
    """Return the entry of `directory` that is, or leads to, `path` below it."""
    begin = 1 if directory == ROOT else len(directory) + 1
    end = path.find("/", begin)
    return path if end < 0 else path[:end]
