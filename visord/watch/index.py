"""From a changed path to the live groups that select it, at a cost that grows with those alone.

Every group hangs at its selector's base, the deepest path at or below which all its matches lie (an anchor
of the index). A change of `/a/b/c` asks for `/a/b/c`, `/a/b`, `/a` and `/`, and finds at

    /a/b/c   those of exactly this path, and trees that begin here
    /a/b     trees; children of `/a/b`; globs like `/a/b/*`, which are tried
    /a, /    trees; globs like `/a/**`, which are tried

What hangs at a directory and above it is remembered for the directories in use, so that most changes
cost two look-ups. Ranges have an index of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from visor import paths
from visor.protocol import verbs
from visord.watch.stabbing import RangeMap
from visord.watch.subscription import Group

REMEMBERED: Final = 4096
"""Directories whose anchors are remembered."""


class _Anchor:
    """The groups whose selectors hang at one directory or path."""

    __slots__ = ("children", "exact", "globs", "trees")

    def __init__(self) -> None:
        # By kind of selector; the values matter for globs only.
        self.exact: dict[Group, Callable[[str], object]] = {}
        self.trees: dict[Group, Callable[[str], object]] = {}
        self.children: dict[Group, Callable[[str], object]] = {}
        self.globs: dict[Group, Callable[[str], object]] = {}

    def empty(self) -> bool:
        return not (self.exact or self.trees or self.children or self.globs)

    def kind(self, kind: int) -> dict[Group, Callable[[str], object]]:
        """Return the table of one kind of selector."""
        if kind == verbs.SEL_PATH:
            return self.exact
        if kind == verbs.SEL_TREE:
            return self.trees
        return self.children if kind == verbs.SEL_CHILDREN else self.globs

    def inside(self, path: str, direct: bool, found: list[Group]) -> None:
        """Add the groups that select `path`, which lies in this directory (`direct`: at once)."""
        found.extend(self.trees)
        if direct:
            found.extend(self.children)
        if self.globs:
            found.extend([group for group, matches in self.globs.items() if matches(path)])


class Index:
    """The groups with members."""

    __slots__ = ("_above", "_anchors", "_ranges")

    def __init__(self) -> None:
        self._anchors: dict[str, _Anchor] = {}
        self._above: dict[str, tuple[tuple[_Anchor, bool], ...]] = {}
        self._ranges: RangeMap[Group] = RangeMap()

    def add(self, group: Group) -> None:
        """Take `group` in; it must not be in yet."""
        selector = group.selector
        if selector.kind == verbs.SEL_RANGE:
            start, end = selector.start or paths.ROOT, selector.end
            self._ranges.add(group, paths.sort_key(start), None if end is None else paths.sort_key(end))
            return
        anchor = self._anchors.get(selector.base)
        if anchor is None:
            anchor = self._anchors[selector.base] = _Anchor()
            self._above.clear()
        anchor.kind(selector.kind)[group] = selector.matches

    def remove(self, group: Group) -> None:
        """Take `group` out. Raises KeyError when it is not in."""
        selector = group.selector
        if selector.kind == verbs.SEL_RANGE:
            self._ranges.remove(group)
            return
        anchor = self._anchors[selector.base]
        del anchor.kind(selector.kind)[group]
        if anchor.empty():
            del self._anchors[selector.base]
            self._above.clear()

    def interested(self, path: str) -> list[Group]:
        """Return the groups that select `path`, each once."""
        found: list[Group] = []
        here = self._anchors.get(path)
        if here is not None:
            found.extend(here.exact)
            found.extend(here.trees)
        directory = path[: path.rfind("/")] or "/"
        above = self._above.get(directory)
        if above is None:
            above = self._remember(directory)
        for anchor, direct in above:
            anchor.inside(path, direct, found)
        if self._ranges:
            found.extend(self._ranges.at(paths.sort_key(path)))
        return found

    def _remember(self, directory: str) -> tuple[tuple[_Anchor, bool], ...]:
        if len(self._above) >= REMEMBERED:
            self._above.clear()
        above = []
        step = directory
        while True:
            anchor = self._anchors.get(step)
            if anchor is not None:
                above.append((anchor, step == directory))
            if step == paths.ROOT:
                break
            step = paths.parent(step)
        self._above[directory] = tuple(above)
        return self._above[directory]
