"""Matching a path against one glob, in time that is known before.

`compiled(text)` makes a matcher of a glob (its grammar: `visor.paths`), and says what one match costs at most. A
glob falls apart at its wildcards; `/a*b**c*d?**/e` is

    segments, between `**`     /a*b      c*d?      /e
    chunks, between `*`        /a  b     c  d?     /e       `?` stays in its chunk: it has a fixed length

    first segment      begins where the path begins
    last segment       ends where the path ends
    those between      each where it occurs first behind the one before it

Within a segment every chunk is taken where it occurs first behind the one before it, and no choice is ever undone: a
later place could only leave less to what follows. Three ways lead to the same answer:

    literal text      `/a/*`, `/a/**`, `/a/**.b`: beginning, end and length say it all
    an expression     one regular expression, for short paths; and for all while every segment behind a `**` has one
                      chunk or begins with one that holds a slash, as it is tried once for each component at most
    steps             all others: from the left, the last segment in the reversed path. There is nothing to try out
                      about a chunk that holds a slash, as `*` does not cross one: its first slash is the next one of
                      the path. When a segment in the middle fails, then all places up to the next slash are
                      ruled out with it, and the search goes on behind that.

Most paths are refused before any of this: another beginning, another end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

Matches: TypeAlias = Callable[[str], object]
Cost: TypeAlias = Callable[[int], float]

SHORT: Final = 48
"""Characters of a path for which even an expression that needs quadratic time is a good one."""
FEW: Final = 8
"""Chunks of a glob for which an expression is made only for short paths: that takes 30 us for each, and memory."""
LONG_PATH: Final = 1024
"""Characters of the path for which the better of two ways is taken."""
LONG: Final = 200
"""Characters of a glob above which steps are taken where both are good: to compile one takes about 10 us."""

# What was measured, with hostile globs and paths, in microseconds.
CALL: Final = 1.0
"""A match, whatever it does."""
QUADRATIC: Final = 0.0018
"""A chunk of an expression that needs quadratic time, for the square of the characters of a path."""
STEP: Final = 1.0
"""Looking for one chunk, its characters aside."""
CHARACTER: Final = 0.003
"""Looking at one character of the path."""
COMPARED: Final = 0.0006
"""Comparing it with one of a chunk: a search may do that with all of them everywhere."""
SLOW_STEP: Final = 0.1
"""The same three in an expression."""
SLOW_CHARACTER: Final = 0.02
SLOW_COMPARED: Final = 0.0015


class Matcher(NamedTuple):
    """A compiled glob."""

    matches: Matches
    prefix: str
    """The literal text that every match begins with, and what it ends with: they never overlap in one."""
    suffix: str
    rest: Matches | None
    """What is left to be asked of a path that has room for both and has them; None: nothing."""
    short: Matches | None
    """The same for paths of up to `SHORT` characters."""
    cost: Cost
    """The microseconds that one match takes at most, for a path of so many characters."""


class _Chunk:
    """Text between two `*`: literal characters, and `?` for one that is no slash.

    `at(path, place)` is truthy when it is there, `find(path, start, end)` is the first place, or -1. `slash` is where
    its first slash is, or -1.
    """

    __slots__ = ("at", "find", "length", "slash", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.length = len(text)
        self.slash = text.find("/")
        self.at: Callable[[str, int], object]
        self.find: Callable[[str, int, int], int]
        if "?" not in text:
            self.at = lambda path, place: path.startswith(text, place)
            self.find = lambda path, start, end: path.find(text, start, end)
            return
        expression = re.compile(_chunk(text), re.DOTALL)
        search = expression.search
        self.at = expression.match

        def find(path: str, start: int, end: int) -> int:
            found = search(path, start, end)
            return -1 if found is None else found.start()

        self.find = find


def compiled(text: str) -> Matcher:
    """Compile a glob that is one."""
    wildcards = [place for place, character in enumerate(text) if character in "*?"]
    if not wildcards:
        equal = text.__eq__
        return Matcher(equal, text, "", equal, equal, _cost(CALL, CHARACTER))
    prefix, suffix = text[: wildcards[0]], text[wildcards[-1] + 1 :]
    between = text[wildcards[0] : wildcards[-1] + 1]
    rest: Matches | None
    short: Matches | None
    if between == "*":
        rest = short = _no_slash(len(prefix), len(suffix))
        cost = _cost(CALL, CHARACTER)
    elif not between.strip("*"):
        rest = short = None
        cost = _cost(CALL, CHARACTER)
    else:
        rest, short, cost = _general(text, [segment.split("*") for segment in re.split(r"\*{2,}", text)])
    whole = rest if rest is short or rest is None or short is None else _by_length(short, rest)
    return Matcher(_filtered(prefix, suffix, whole), prefix, suffix, rest, short, cost)


def _general(text: str, segments: list[list[str]]) -> tuple[Matches, Matches, Cost]:
    """Return the matchers of a glob with several wildcards, for all paths and for short ones, and what they cost."""
    count = sum(map(len, segments))
    fixed = CALL + STEP * count
    each = _each(segments, CHARACTER, COMPARED, STEP, len(segments) - 1)
    slow = _each(segments, SLOW_CHARACTER, SLOW_COMPARED, SLOW_STEP, len(segments))
    linear = all(map(_once_a_component, segments[1:]))
    if linear and CALL + slow * LONG_PATH < fixed + each * LONG_PATH:
        expression = _expression(text)
        return expression, expression, _cost(CALL, slow)
    steps = _steps(segments)
    if len(text) > LONG or not (linear or count <= FEW):
        return steps, steps, _cost(fixed, each)
    return steps, _expression(text), _cost(fixed, each, slow, 0.0 if linear else QUADRATIC * count)


def _cost(fixed: float, each: float, slow: float = 0.0, square: float = 0.0) -> Cost:
    """Return what a match costs; `slow` and `square` are those of an expression for short paths."""
    if not slow:
        return lambda length: fixed + each * length
    # A longer path is said to cost no less.
    least = max(fixed, CALL + (slow - each) * SHORT + square * SHORT**2)
    return lambda length: (
        CALL + (slow + square * length) * length if length <= SHORT else least + each * length
    )


def _expression(text: str) -> Matches:
    return re.compile(_translate(text), re.DOTALL).fullmatch


def _once_a_component(segment: list[str]) -> bool:
    return len(segment) == 1 or "/" in segment[0]


def _each(segments: list[list[str]], character: float, compared: float, step: float, tied: int) -> float:
    """Return the microseconds for each character of a path; segments from 1 up to `tied` may have several beginnings.

    The chunks share the path, each goes on where the one before it ended, so that the dearest counts; the end is
    looked at once more. Only what begins again in each component looks at components that follow again.
    """
    rates = [0.0]
    for number, segment in enumerate(segments):
        crossing = [chunk for chunk in segment[1:] if "/" in chunk]
        within = [segment[0], *(chunk for chunk in segment[1:] if "/" not in chunk)]
        searched = max(_compared(chunk, compared) for chunk in within)
        rate = character + searched
        if 0 < number < tied and len(segment) > 1:
            rate *= 1 + len(crossing)
            again = step * len(segment) + sum(_compared(chunk, compared) for chunk in (segment[0], *crossing))
            rate += again / _apart(segment[0])
        rates.append(rate)
    return max(rates) + character


def _apart(chunk: str) -> int:
    """Return how far apart two beginnings are at least, in characters: there is a slash between their ends."""
    slash = chunk.find("/")
    if slash < 0:
        return len(chunk) + 1
    return 2 if "/" in chunk[slash + 1 :] else max(2, len(chunk) - slash, slash + 1)


def _compared(chunk: str, compared: float) -> float:
    return len(chunk) * (SLOW_COMPARED if "?" in chunk else compared)


def _filtered(prefix: str, suffix: str, rest: Matches | None) -> Matches:
    """Return the whole matcher: beginning, end and length before the rest."""
    least = len(prefix) + len(suffix)
    if rest is None:
        if not suffix:
            return lambda path: path.startswith(prefix)
        return lambda path: path.startswith(prefix) and path.endswith(suffix) and len(path) >= least
    return lambda path: (
        path.startswith(prefix) and path.endswith(suffix) and len(path) >= least and rest(path)
    )


def _no_slash(start: int, behind: int) -> Matches:
    return lambda path: path.find("/", start, len(path) - behind) < 0


def _by_length(short: Matches, long: Matches) -> Matches:
    return lambda path: short(path) if len(path) <= SHORT else long(path)


# -- steps ----------------------------------------------------------------------------------------------


def _steps(segments: list[list[str]]) -> Callable[[str], bool]:
    chunks = [[_Chunk(chunk) for chunk in segment] for segment in segments]
    return _anchored(chunks[0]) if len(chunks) == 1 else _crossing(chunks)


def _anchored(chunks: list[_Chunk]) -> Callable[[str], bool]:
    """Return a matcher of one segment that is the whole glob: it begins and ends where the path does."""
    *most, last = chunks

    def matches(path: str) -> bool:
        place = len(path) - last.length
        if not most:
            return place == 0 and bool(last.at(path, 0))
        end = _from_left(most, path)
        return 0 <= end <= place and path.find("/", end, place) < 0 and bool(last.at(path, place))

    return matches


def _crossing(segments: list[list[_Chunk]]) -> Callable[[str], bool]:
    """Return a matcher of segments with `**` between them."""
    first, *middle, last = segments
    only = last[0] if len(last) == 1 else None
    backwards = [_Chunk(chunk.text[::-1]) for chunk in reversed(last)]

    def matches(path: str) -> bool:
        end = _from_left(first, path)
        for segment in middle:
            if end < 0:
                return False
            end = _search(segment, path, end)
        if end < 0:
            return False
        if only is not None:
            place = len(path) - only.length
            return place >= end and bool(only.at(path, place))
        taken = _from_left(backwards, path[::-1])
        return 0 <= taken <= len(path) - end

    return matches


def _from_left(chunks: list[_Chunk], path: str) -> int:
    """Return the least end of a segment that begins where the path does; -1 when it does not."""
    first, *rest = chunks
    return _follow(rest, path, first.length) if first.at(path, 0) else -1


def _follow(rest: list[_Chunk], path: str, end: int) -> int:
    """Return where the rest of a segment ends, with a `*` before each of its chunks, behind `end`; or -1."""
    for chunk in rest:
        slash = path.find("/", end)
        if chunk.slash < 0:
            place = chunk.find(path, end, len(path) if slash < 0 else slash)
            if place < 0:
                return -1
        else:
            place = slash - chunk.slash
            if place < end or not chunk.at(path, place):
                return -1
        end = place + chunk.length
    return end


def _search(segment: list[_Chunk], path: str, start: int) -> int:
    """Return the least end of a segment that begins at `start` or behind it; -1 when there is none."""
    first, *rest = segment
    while True:
        place = first.find(path, start, len(path))
        if place < 0:
            return -1
        behind = place + first.length
        end = _follow(rest, path, behind)
        if end >= 0:
            return end
        slash = path.find("/", behind)
        if slash < 0:
            return -1
        start = slash + 1 - first.length


# -- expressions ----------------------------------------------------------------------------------------


def _translate(text: str) -> str:
    """Return a regular expression that needs at most quadratic time, whatever the text.

    What follows a wildcard is taken where it occurs first, and that choice is never undone (an atomic group).
    Only what follows the last wildcard of a kind is tied to the end and has to be tried in several places.

        /a*b*c   ->  /a (?>[^/]*?b) [^/]*c
        /a**b*c**d  ->  /a (?>.*?b(?>[^/]*?c)) .*d
    """
    segments = re.split(r"\*{2,}", text)
    if len(segments) == 1:
        return _tied(segments[0])
    middle = "".join(f"(?>.*?{_loose(segment)})" for segment in segments[1:-1])
    return f"{_loose(segments[0])}{middle}.*?{_tied(segments[-1])}"


def _loose(segment: str) -> str:
    """Translate a segment without `**` whose end may be anywhere: every `*` runs as short as it can."""
    first, *rest = segment.split("*")
    return _chunk(first) + "".join(f"(?>[^/]*?{_chunk(chunk)})" for chunk in rest)


def _tied(segment: str) -> str:
    """Translate a segment without `**` that has to end where the text ends."""
    *start, last = segment.split("*")
    return f"{_loose('*'.join(start))}[^/]*{_chunk(last)}\\Z" if start else f"{_chunk(last)}\\Z"


def _chunk(text: str) -> str:
    return "[^/]".join(map(re.escape, text.split("?")))
