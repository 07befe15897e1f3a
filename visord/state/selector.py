"""Which files a request means: the wire's selectors, checked and compiled.

[0, path]          exactly this file
[1, path]          the path and everything below it
[2, directory]     files directly in it
[3, glob]          see visor.paths
[4, start, end]    from `start` (inclusive) to `end` (exclusive, nil: no end) in path order
[5, [selector, ...]]   what any of these means, 1 to 32 of the others; their globs together are bounded, too

Several at once are never looked at as one shape: a walk visits the files of each `part` and merges them (`reads.scan`),
an index of watches hangs up each part by itself (`watch.index`).

    [5, [[1, "/a"], [3, "/b/*"]]]      base "/"       parts: the tree at "/a", the glob "/b/*"
    [5, [[1, "/a"], [3, "/a/*/b"]]]    is [1, "/a"]: what lies within a tree is left out
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from visor.paths import ROOT, Glob, below, components, parent, sort_key
from visor.protocol.limits import SELECTORS, Limits
from visor.protocol.verbs import SEL_ANY, SEL_CHILDREN, SEL_GLOB, SEL_PATH, SEL_RANGE, SEL_TREE
from visord.state import cost, fields
from visord.state.parts import Parts
from visord.state.refusal import Refusal, bad_request

MERGED: Final = 4 * cost.VISIT
"""Units of an entry that comes from one of several walks."""
WILD_TOGETHER: Final = 256
"""Characters `*` and `?` in the globs of several selectors: to compile one takes up to a millisecond."""

Level: TypeAlias = str | Callable[[str], object]


class Selector:
    """`matches(path)` is truthy for the files that are meant; the rest tells a walk where to look.

    `base`: the deepest path at or below which all matches lie. `levels` and `depth`: what the components on
    the way must be, and how many a match has (see visor.paths.Glob). `end`: where a range ends, None
    elsewhere. `globs`: the globs that are in it. `several`: the selectors that it is made of, None elsewhere.
    `form`: what it was made of, hashable: two that agree in it mean the same files. `cost(n)`: what one match against
    a path of `n` characters takes at most, in units of about a microsecond.
    """

    __slots__ = (
        "base",
        "cost",
        "depth",
        "end",
        "form",
        "globs",
        "kind",
        "levels",
        "matches",
        "several",
        "start",
    )

    def __init__(self, kind: int, base: str, matches: Callable[[str], object]) -> None:
        self.kind = kind
        self.form: tuple[Any, ...] = (kind, base)
        self.base = base
        self.matches = matches
        self.levels: tuple[Level, ...] = ()
        self.depth: int | None = None
        self.start: str | None = None
        self.end: str | None = None
        self.globs: tuple[Glob, ...] = ()
        self.several: Parts[Selector] | None = None
        self.cost: Callable[[int], int] = _little

    @property
    def plain(self) -> bool:
        """Whether looking at a path costs a visit, whatever the path."""
        return not self.globs and self.several is None

    @property
    def parts(self) -> tuple[Selector, ...]:
        """What it is made of: itself, where that is one."""
        return (self,) if self.several is None else self.several.all

    def weigh(self, path: str) -> int:
        """Return what it costs to match `path`, in units of about a microsecond."""
        return self.cost(len(path)) if self.several is None else self.several.weigh(path)

    def price(self, path: str) -> int:
        """Return what it costs to look at `path` and to match it, in units of about a microsecond."""
        if self.several is not None:  # each may have come to it
            return sum(MERGED + part.cost(len(path)) for part in self.several.concerned(path))
        return cost.VISIT + self.cost(len(path)) if self.globs else cost.VISIT


def raw_of(form: tuple[Any, ...]) -> list[Any]:
    """Return the selector that has this form as a message holds it."""
    if form[0] == SEL_ANY:
        return [SEL_ANY, [list(part) for part in form[1:]]]
    return list(form)


def parse(raw: Any, limits: Limits) -> Selector | Refusal:
    """Return the selector that a message holds, or what is wrong with it."""
    if type(raw) is not list or not raw or type(raw[0]) is not int or not 0 <= raw[0] <= SEL_ANY:
        return bad_request("selector", "a list of a kind from 0 to 5 and its text", raw)
    if len(raw) != (3 if raw[0] == SEL_RANGE else 2):
        return bad_request("selector", "[kind, text], [4, start, end] or [5, [selector, ...]]", raw)
    return _any(raw[1], limits) if raw[0] == SEL_ANY else _one(raw, limits)


def _any(raws: Any, limits: Limits) -> Selector | Refusal:
    if type(raws) is not list or not 1 <= len(raws) <= SELECTORS:
        return bad_request("selector", f"a list of 1 to {SELECTORS} selectors", raws)
    parts: dict[tuple[Any, ...], Selector] = {}
    for raw in raws:
        if type(raw) is list and raw and raw[0] == SEL_ANY:
            return bad_request("selector", "selectors of the kinds 0 to 4, in one list", raw)
        part = parse(raw, limits)
        if isinstance(part, Refusal):
            return part
        parts[part.form] = part
    return _together(list(parts.values()), limits)


def _together(parts: list[Selector], limits: Limits) -> Selector | Refusal:
    trees = [part.base for part in parts if part.kind == SEL_TREE]
    needed = [
        part
        for part in parts
        if not any(
            below(part.base, tree) and not (part.kind == SEL_TREE and part.base == tree) for tree in trees
        )
    ]
    if len(needed) == 1:
        return needed[0]
    texts = [glob.text for part in needed for glob in part.globs]
    wild = sum(text.count("*") + text.count("?") for text in texts)
    size = sum(map(len, texts))
    if wild > WILD_TOGETHER or size > 4 * limits.path:
        expected = f"globs with {WILD_TOGETHER} `*` and `?` in all, of {4 * limits.path} characters together"
        return bad_request("selector", expected, f"{wild}, of {size} characters")
    several = Parts(needed)
    selector = Selector(SEL_ANY, _common(part.base for part in needed), several.matches)
    selector.form = (SEL_ANY, *(part.form for part in needed))
    selector.several = several
    selector.globs = tuple(glob for part in needed for glob in part.globs)
    selector.cost = lambda length: sum(part.cost(length) for part in needed)
    return selector


def _common(bases: Iterable[str]) -> str:
    """Return the deepest path at or below which all of them lie."""
    first, *others = bases
    for other in others:
        while not below(other, first):
            first = parent(first)
    return first


def _one(raw: list[Any], limits: Limits) -> Selector | Refusal:
    kind = raw[0]
    if kind == SEL_GLOB:
        return _glob(raw[1], limits)
    if kind == SEL_RANGE:
        return _range(raw[1], raw[2], limits)
    wrong = fields.path("selector", raw[1], limits)
    return wrong if wrong is not None else _simple(kind, raw[1])


def _simple(kind: int, path: str) -> Selector:
    if kind == SEL_PATH:
        return Selector(kind, path, path.__eq__)
    if kind == SEL_TREE:
        return Selector(kind, path, _everything if path == ROOT else lambda other: below(other, path))
    selector = Selector(SEL_CHILDREN, path, lambda other: parent(other) == path and other != ROOT)
    selector.depth = len(components(path)) + 1
    return selector


def _glob(text: Any, limits: Limits) -> Selector | Refusal:
    if type(text) is not str:
        return bad_request("selector", "a glob", text)
    try:
        glob = _glob_of(text, limits)
    except ValueError as error:
        shown = text[:1000].encode("utf-8", "backslashreplace").decode("utf-8")
        return Refusal("bad_glob", f"{shown} {error}", {"glob": shown, "why": str(error)})
    if glob.exact:
        return _simple(SEL_PATH, text)
    selector = Selector(SEL_GLOB, glob.directory, glob.matches)
    selector.levels, selector.depth = glob.levels, glob.depth
    selector.form, selector.globs, selector.cost = (SEL_GLOB, text), (glob,), glob.cost
    return selector


@lru_cache(maxsize=256)
def _glob_of(text: str, limits: Limits) -> Glob:
    """Compile it once for all pages of an answer: that takes longer than most pages."""
    return Glob(text, limits)


def _range(start: Any, end: Any, limits: Limits) -> Selector | Refusal:
    wrong = fields.path("selector", start, limits)
    if wrong is None and end is not None:
        wrong = fields.path("selector", end, limits)
    if wrong is not None:
        return wrong
    low = sort_key(start)
    high = sort_key(end) if end is not None else _BEYOND
    selector = Selector(SEL_RANGE, ROOT, lambda path: low <= sort_key(path) < high)
    selector.start, selector.end, selector.form = start, end, (SEL_RANGE, start, end)
    return selector


def _little(length: int) -> int:
    return 1 + length // 512


def _everything(path: str) -> bool:
    return True


# Above the sort key of every path: those start with "\0", and no component holds this one.
_BEYOND: Final = "\U0010ffff"
