"""From a changed path to the live groups that select it, at a cost that grows with those alone.

Every group hangs at its selector's base, the deepest path at or below which all its matches lie (an anchor
of the index). A change of `/a/b/c` asks for `/a/b/c`, `/a/b`, `/a` and `/`, and finds at

    /a/b/c   those of exactly this path, and trees that begin here
    /a/b     trees; children of `/a/b`; globs like `/a/b/*`
    /a, /    trees; globs like `/a/**`

What hangs at a directory and above it is remembered for the directories in use, so that most changes
cost two look-ups. Ranges have an index of their own. A group of several
selectors hangs at the base of each.

Globs of an anchor are found by what is literal at both ends, in one table for each pair of lengths:

    at /a       (3, 0)   {"/a/": [/a/*/b*, /a/**]}          with the literal text of
    at /a       (5, 5)   {"/a/x-.conf": [/a/x-**.conf]}     beginning and end as the key

so that a path looks into each table once, and tries only globs whose ends it has: often there is nothing left to try.
A glob is tried once, however many groups (of kinds and shapes) have it. `load` bounds what that can come to.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Final, TypeAlias

from visor import paths
from visor.paths import Glob
from visor.protocol import verbs
from visord.state.selector import Selector
from visord.watch.stabbing import Key, RangeMap
from visord.watch.subscription import Group

REMEMBERED: Final = 4096
"""Directories whose anchors are remembered."""
FIRST: Final = 64
"""Ranges that are looked for at once with everything else; the others come in pieces."""
COSTS: Final = (32, 64, 128, 256, 512, 1024)
"""Characters of paths for which it is known what the globs of a bucket cost."""

_Entry: TypeAlias = tuple[Callable[[str], object] | None, dict[Group, None]]


class _Bucket:
    """The globs of one anchor with the same beginning and end, by their text."""

    __slots__ = ("costs", "long", "short")

    def __init__(self) -> None:
        self.short: dict[str, _Entry] = {}
        self.long: dict[str, _Entry] = {}
        """What is left to be asked of a path, and the groups: for short paths, and for longer ones."""
        self.costs = [0] * len(COSTS)
        """Microseconds of trying them all, by length of the path."""

    def add(self, group: Group, glob: Glob) -> None:
        if glob.text not in self.long:
            groups: dict[Group, None] = {}
            self.short[glob.text] = glob.short, groups
            self.long[glob.text] = glob.rest, groups
            self._weigh(glob, 1)
        self.long[glob.text][1][group] = None

    def remove(self, group: Group, glob: Glob) -> None:
        groups = self.long[glob.text][1]
        del groups[group]
        if not groups:
            del self.short[glob.text], self.long[glob.text]
            self._weigh(glob, -1)

    def _weigh(self, glob: Glob, sign: int) -> None:
        if glob.rest is not None:
            for number, length in enumerate(COSTS):
                self.costs[number] += sign * glob.cost(length)

    def cost(self, length: int) -> int:
        """Return the microseconds that a path of `length` characters costs."""
        return self.costs[min(max(length - 1, 31).bit_length(), 10) - 5]


class _Anchor:
    """The groups whose selectors hang at one directory or path."""

    __slots__ = ("children", "exact", "globs", "trees")

    def __init__(self) -> None:
        self.exact: dict[Group, None] = {}
        self.trees: dict[Group, None] = {}
        self.children: dict[Group, None] = {}
        self.globs: dict[tuple[int, int], dict[str, _Bucket]] = {}

    def empty(self) -> bool:
        return not (self.exact or self.trees or self.children or self.globs)

    def plain(self, kind: int) -> dict[Group, None]:
        """Return the table of a kind of selector that is no glob."""
        if kind == verbs.SEL_PATH:
            return self.exact
        return self.trees if kind == verbs.SEL_TREE else self.children

    def add_glob(self, group: Group, glob: Glob) -> None:
        table = self.globs.setdefault((len(glob.prefix), len(glob.suffix)), {})
        table.setdefault(glob.prefix + glob.suffix, _Bucket()).add(group, glob)

    def remove_glob(self, group: Group, glob: Glob) -> None:
        lengths, key = (len(glob.prefix), len(glob.suffix)), glob.prefix + glob.suffix
        bucket = self.globs[lengths][key]
        bucket.remove(group, glob)
        if not bucket.long:
            del self.globs[lengths][key]
            if not self.globs[lengths]:
                del self.globs[lengths]

    def try_globs(self, path: str, found: list[Group]) -> int:
        """Add the groups whose globs select `path`; return what that cost at most, in microseconds."""
        length = len(path)
        cost = 0
        for (begin, end), table in self.globs.items():
            if length < begin + end:
                continue
            bucket = table.get(path[:begin] + path[length - end :])
            if bucket is None:
                continue
            cost += bucket.cost(length)
            entries = (bucket.short if length <= Glob.SHORT else bucket.long).values()
            hits = [groups for rest, groups in entries if rest is None or rest(path)]
            found.extend(chain.from_iterable(hits))
        return cost + len(self.globs)


class Index:
    """The groups with members."""

    __slots__ = ("_above", "_anchors", "_ranges", "cost", "more")

    def __init__(self) -> None:
        self._anchors: dict[str, _Anchor] = {}
        self._above: dict[str, tuple[tuple[_Anchor, bool], ...]] = {}
        self._ranges: RangeMap[Group] = RangeMap()
        self.cost = 0
        """Microseconds that matching globs has taken at most, for all that was asked."""
        self.more: Key | None = None
        """Behind which place the last path has more ranges (see `ranges`); None: it has no more."""

    def add(self, group: Group) -> None:
        """Take `group` in; it must not be in yet."""
        for selector in group.selector.parts:
            self._hang(group, selector)

    def _hang(self, group: Group, selector: Selector) -> None:
        if selector.kind == verbs.SEL_RANGE:
            start, end = selector.start or paths.ROOT, selector.end
            self._ranges.add(group, paths.sort_key(start), None if end is None else paths.sort_key(end))
            return
        anchor = self._anchors.get(selector.base)
        if anchor is None:
            anchor = self._anchors[selector.base] = _Anchor()
            self._above.clear()
        if selector.globs:
            anchor.add_glob(group, selector.globs[0])
        else:
            anchor.plain(selector.kind)[group] = None

    def remove(self, group: Group) -> None:
        """Take `group` out. Raises KeyError when it is not in."""
        selectors = group.selector.parts
        for selector in selectors:
            if selector.kind != verbs.SEL_RANGE:
                self._take_down(group, selector)
        if any(selector.kind == verbs.SEL_RANGE for selector in selectors):
            self._ranges.remove(group)

    def _take_down(self, group: Group, selector: Selector) -> None:
        anchor = self._anchors[selector.base]
        if selector.globs:
            anchor.remove_glob(group, selector.globs[0])
        else:
            del anchor.plain(selector.kind)[group]
        if anchor.empty():
            del self._anchors[selector.base]
            self._above.clear()

    def interested(self, path: str) -> list[Group]:
        """Return the groups that select `path`; but of ranges the `FIRST` only, and `more`.

        A group of several selectors comes once for each that means the path, one after the other or not.
        """
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
            found.extend(anchor.trees)
            if direct:
                found.extend(anchor.children)
            if anchor.globs:
                self.cost += anchor.try_globs(path, found)
        if self._ranges.root is not None:
            ranges, self.more = self._ranges.some(paths.sort_key(path), FIRST, None)
            found.extend(ranges)
        return found

    def ranges(self, path: str, behind: Key, most: int) -> list[Group]:
        """Return some more of the groups whose ranges contain `path`; groups may come and go in between."""
        found, self.more = self._ranges.some(paths.sort_key(path), most, behind)
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
