"""What a principal may do: the union of its grants, made ready for quick answers.

rights = Rights(grants)
rights.may(WRITE, "/apps/web/app")      one path: sets, and a few globs
rights.missing(needs)                   the first of them that goes beyond the grants; None: none does
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from visor.paths import ROOT, Glob, parent, sort_key
from visor.protocol.limits import DEFAULT
from visor.protocol.verbs import G_NONE, G_SINCE, SEL_CHILDREN, SEL_PATH, SEL_RANGE, SEL_TREE
from visord.state.auth.coverage import left_out
from visord.state.auth.effort import Effort
from visord.state.auth.grant import READ, RIGHTS, WRITE, Grant
from visord.state.selector import Selector

BEHIND: Final = "!"
"""Put behind a directory, it makes the path right behind all that is below: no component begins lower."""


STRANGE: Final = "\U0010fffd"
"""A name that no grant has in it: what does not hold it does not hold a whole tree. That is quickly found."""
KNOWN: Final = 16_384
"""Paths that are remembered for one right of somebody."""
KNOWN_TOGETHER: Final = 1 << 18
"""Paths that are remembered in all, of some 200 bytes each."""
LOOK: Final = 4
"""Steps that it takes to look for a path among paths and trees."""


def _price(glob: str) -> int:
    """Return about how many steps it takes to match a glob: several stars in one component try each other's places."""
    return 1 + 8 * sum(max(0, name.count("*") - 1) for name in glob.split("/") if name != "**")


class Extent:
    """The files on which somebody has one right. `remembered`: paths that all of them remember."""

    remembered = 0

    __slots__ = ("_globs", "_paths", "_texts", "_trees", "everything", "known", "price")

    def __init__(self, selectors: Iterable[Selector]) -> None:
        paths: set[str] = set()
        trees: set[str] = set()
        globs: dict[str, Glob] = {}
        for selector in selectors:
            if selector.kind == SEL_TREE:
                trees.add(selector.base)
            elif selector.kind == SEL_PATH:
                paths.add(selector.base)
            else:
                globs[selector.globs[0].text] = selector.globs[0]
        self.everything = ROOT in trees or "/**" in globs
        self.known: dict[str, bool] = {}
        """Paths that were asked for before: programs write the same ones again and again."""
        self._paths = frozenset(paths)
        self._trees = frozenset(trees)
        self._globs = tuple(globs.values())
        trees_as_globs = (text for tree in sorted(trees) for text in (tree, f"{tree}/**"))
        self._texts = (*sorted(paths), *trees_as_globs, *globs)
        self.price = 1 if self.everything else LOOK + sum(map(_price, globs))
        """Steps that it takes to look for a path, about."""

    def holds(self, path: str) -> bool:
        """Tell whether a file is among them. It may be any text: what is longer than a path is neither looked at nor
        remembered, and no file."""
        known = self.known.get(path)
        if known is None:
            if len(path) > DEFAULT.path:
                return False
            known = self._among(path)
            self._remember(path, known)
        return known

    def _remember(self, path: str, known: bool) -> None:
        if len(self.known) >= KNOWN or Extent.remembered >= KNOWN_TOGETHER:
            Extent.remembered -= len(self.known)
            self.known.clear()
        if Extent.remembered < KNOWN_TOGETHER:
            Extent.remembered += 1
            self.known[path] = known

    def __del__(self) -> None:
        type(self).remembered -= len(self.known)

    def _among(self, path: str) -> bool:
        return (
            self.everything
            or path in self._paths
            or self._in_tree(path)
            or any(glob.matches(path) for glob in self._globs)
        )

    def _in_tree(self, path: str) -> bool:
        trees = self._trees
        if not trees:
            return False
        if path in trees or ROOT in trees:
            return True
        end = path.rfind("/")
        while end > 0:
            if path[:end] in trees:
                return True
            end = path.rfind("/", 0, end)
        return False

    @property
    def texts(self) -> tuple[str, ...]:
        """The files, as globs."""
        return ("/**",) if self.everything else self._texts

    def covers(self, selector: Selector, effort: Effort) -> bool:
        """Tell whether all files that a selector can mean are among them, as far as the effort goes."""
        effort.left -= self.price
        if self.everything:
            return True
        if effort.over:
            return False
        if selector.several is not None:
            return all(self.covers(part, effort) for part in selector.parts)
        if selector.kind == SEL_PATH:
            return self.holds(selector.base)
        if selector.kind == SEL_RANGE:
            return self._covers_range(selector)
        if self._in_tree(selector.base):
            return True
        if selector.kind == SEL_TREE and not self._among(f"{selector.base.rstrip('/')}/{STRANGE}"):
            return False
        return all(left_out(text, self._texts, effort) is None for text in as_globs(selector))

    def _covers_range(self, selector: Selector) -> bool:
        """A range is covered by one tree that holds both its ends, or by none."""
        start, end = selector.start, selector.end
        assert start is not None
        if end is None:
            return False
        last = sort_key(end)
        return any(last <= sort_key(above + BEHIND) for above in upwards(start) if above in self._trees)


def upwards(path: str) -> Iterator[str]:
    """Yield a path and the directories above it: `/a/b`, `/a`, `/`."""
    while path != ROOT:
        yield path
        path = parent(path)
    yield ROOT


def as_globs(selector: Selector) -> list[str]:
    """Return the globs that mean together what one selector does, which is no range."""
    base = selector.base.rstrip("/")
    if selector.kind == SEL_TREE:
        return [selector.base, f"{base}/**"] if base else ["/**"]
    if selector.kind == SEL_PATH:
        return [selector.base]
    return [f"{base}/*"] if selector.kind == SEL_CHILDREN else [selector.globs[0].text]


class Rights:
    """All that a principal may do. Immutable: a change of grants makes another one."""

    __slots__ = (
        "__weakref__",
        "_extents",
        "_read",
        "_write",
        "any",
        "everything",
        "price",
        "read",
        "written",
    )

    def __init__(self, grants: Iterable[Grant]) -> None:
        rows = list(grants)
        self._extents = {
            right: Extent(grant.selector for grant in rows if grant.right == right) for right in RIGHTS
        }
        self._write, self._read = self._extents[WRITE], self._extents[READ]
        self.price = self._write.price + self._read.price
        """Steps that `may_set` takes, about: whether it was asked before, no other member knows."""
        self.written, self.read = self._write.known, self._read.known
        """Whether a path may be written, or read, where that was asked before."""
        self.any = bool(rows)
        self.everything = all(reach.everything for reach in self._extents.values())

    def may(self, right: str, path: str) -> bool:
        """Tell whether the right is granted on one path."""
        return self._extents[right].holds(path)

    def may_set(self, path: str, guard: int) -> bool:
        """Tell, for sure where it is true, whether a SET of a path with a guard of this kind is granted."""
        return self._write.holds(path) and (guard == G_NONE or (guard != G_SINCE and self._read.holds(path)))

    def covers(self, right: str, selector: Selector, effort: Effort) -> bool:
        """Tell whether the right is granted on all that a selector can mean, as far as the effort goes."""
        return self._extents[right].covers(selector, effort)

    def texts(self, right: str) -> tuple[str, ...]:
        """Return the globs on which a right is granted."""
        return self._extents[right].texts

    def missing(self, needs: Iterable[Grant], effort: Effort) -> Grant | None:
        """Return the first need that goes beyond what is granted; None: none does."""
        return next((need for need in needs if not self.covers(need.right, need.selector, effort)), None)
