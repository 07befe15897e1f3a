"""Which files a request means: the wire's selectors, checked and compiled.

[0, path]          exactly this file
[1, path]          the path and everything below it
[2, directory]     files directly in it
[3, glob]          see visor.paths
[4, start, end]    from `start` (inclusive) to `end` (exclusive, nil: no end) in path order
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from visor.paths import ROOT, Glob, below, components, parent, sort_key
from visor.protocol.limits import Limits
from visor.protocol.verbs import SEL_CHILDREN, SEL_GLOB, SEL_PATH, SEL_RANGE, SEL_TREE
from visord.state import cost, fields
from visord.state.refusal import Refusal, bad_request

Level: TypeAlias = str | Callable[[str], object]


class Selector:
    """`matches(path)` is truthy for the files that are meant; the rest tells a walk where to look.

    `base`: the deepest path at or below which all matches lie. `levels` and `depth`: what the components on
    the way must be, and how many a match has (see visor.paths.Glob). `end`: where a range ends, None
    elsewhere. `glob`: the glob that it is, None elsewhere. `cost(n)`: what one match against a path of `n` characters
    takes at most, in units of about a microsecond.
    """

    __slots__ = ("base", "cost", "depth", "end", "glob", "kind", "levels", "matches", "start")

    def __init__(self, kind: int, base: str, matches: Callable[[str], object]) -> None:
        self.kind = kind
        self.base = base
        self.matches = matches
        self.levels: tuple[Level, ...] = ()
        self.depth: int | None = None
        self.start: str | None = None
        self.end: str | None = None
        self.glob: Glob | None = None
        self.cost: Callable[[int], int] = _little

    def price(self, path: str) -> int:
        """Return what it costs to look at `path` and to match it, in units of about a microsecond."""
        return cost.VISIT if self.glob is None else cost.VISIT + self.cost(len(path))


def parse(raw: Any, limits: Limits) -> Selector | Refusal:
    """Return the selector that a message holds, or what is wrong with it."""
    if type(raw) is not list or not raw or type(raw[0]) is not int or not 0 <= raw[0] <= SEL_RANGE:
        return bad_request("selector", "a list of a kind from 0 to 4 and its text", raw)
    kind = raw[0]
    if len(raw) != (3 if kind == SEL_RANGE else 2):
        return bad_request("selector", "[kind, text] or [4, start, end]", raw)
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
    selector.glob, selector.cost = glob, glob.cost
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
    selector.start, selector.end = start, end
    return selector


def _little(length: int) -> int:
    return 1 + length // 512


def _everything(path: str) -> bool:
    return True


# Above the sort key of every path: those start with "\0", and no component holds this one.
_BEYOND: Final = "\U0010ffff"
