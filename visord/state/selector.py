"""Which files a request means: the wire's selectors, checked and compiled.

[0, path]          exactly this file
[1, path]          the path and everything below it
[2, directory]     files directly in it
[3, glob]          see visor.paths
[4, start, end]    from `start` (inclusive) to `end` (exclusive, nil: no end) in path order
[5, [selector, ...]]   what any of these means, 1 to 32 of the others

Several at once are never looked at as one shape: a walk visits the files of each `part` and merges them (`reads.scan`),
an index of watches hangs up each part by itself (`watch.index`).

    [5, [[1, "/a"], [3, "/b/*"]]]      base "/"       parts: the tree at "/a", the glob "/b/*"
    [5, [[1, "/a"], [1, "/a"]]]        is [1, "/a"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from visor.paths import ROOT, Glob, below, components, parent, sort_key
from visor.protocol.limits import SELECTORS, Limits
from visor.protocol.verbs import SEL_ANY, SEL_CHILDREN, SEL_GLOB, SEL_PATH, SEL_RANGE, SEL_TREE
from visord.state import cost, fields
from visord.state.refusal import Refusal, bad_request

Level: TypeAlias = str | Callable[[str], object]


class Selector:
    """`matches(path)` is truthy for the files that are meant; the rest tells a walk where to look.

    `base`: the deepest path at or below which all matches lie. `levels` and `depth`: what the components on
    the way must be, and how many a match has (see visor.paths.Glob). `end`: where a range ends, None
    elsewhere. `globs`: the globs that are in it. `parts`: of several selectors each, () elsewhere. `form`: what it was
    made of, hashable: two that agree in it mean the same files. `cost(n)`: what one match against a path of `n`
    characters takes at most, in units of about a microsecond.
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
        "parts",
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
        self.parts: tuple[Selector, ...] = ()
        self.cost: Callable[[int], int] = _little

    @property
    def plain(self) -> bool:
        """Whether looking at a path costs a visit, whatever the path."""
        return not (self.globs or self.parts)

    def price(self, path: str) -> int:
        """Return what it costs to look at `path` and to match it, in units of about a microsecond."""
        if self.parts:
            return sum(part.price(path) for part in self.parts)
        return cost.VISIT + self.cost(len(path)) if self.globs else cost.VISIT


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
    return _together(tuple(parts.values()))


def _together(parts: tuple[Selector, ...]) -> Selector:
    if len(parts) == 1:
        return parts[0]
    matchers = [part.matches for part in parts]

    def matches(path: str) -> bool:
        for each in matchers:  # noqa: SIM110  # a generator would take twice as long
            if each(path):
                return True
        return False

    selector = Selector(SEL_ANY, _common(part.base for part in parts), matches)
    selector.form = (SEL_ANY, *(part.form for part in parts))
    selector.parts = parts
    selector.globs = tuple(glob for part in parts for glob in part.globs)
    selector.cost = lambda length: sum(part.cost(length) for part in parts)
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
        glob = Glob(text, limits)
    except ValueError as error:
        shown = text[:1000].encode("utf-8", "backslashreplace").decode("utf-8")
        return Refusal("bad_glob", f"{shown} {error}", {"glob": shown, "why": str(error)})
    if glob.exact:
        return _simple(SEL_PATH, text)
    selector = Selector(SEL_GLOB, glob.directory, glob.matches)
    selector.levels, selector.depth = glob.levels, glob.depth
    selector.form, selector.globs, selector.cost = (SEL_GLOB, text), (glob,), glob.cost
    return selector


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
