"""Whether all files that a request means are files that were granted: exact, and bounded.

Grants are paths, trees and globs; what is asked may be any selector. The question is whether one language lies within
the union of others, and it is answered by trying to find a path that is asked for and not granted:

    granted   /a/*  /a/x/**          asked   /a/*/b

    read     asked is here     granted may be here (bits of one number)
    ""       .                 .                .
    "/a/"    /a/.*/b           /a/.*            /a/.x/**
    "/a/x"   /a/*./b           /a/*.            /a/x.
    "/a/x/"  /a/*/.b           -                /a/x/.**
    "/a/y"   /a/*./b           /a/*.            -            another letter than x
    "/a/y/"  /a/*/.b           -                -            from here on nothing is granted
    "/a/y/b" the end           -                -            asked for, and not granted: refused

Only letters that occur in one of the texts lead to different places, and one letter stands for all others. A component
is never empty and a path never ends in a slash, so `/a/?*` covers `/a/*`. What takes more than `STEPS` steps
counts as not covered: whoever asks so strangely can ask in parts.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Final, NamedTuple

from visord.state.auth.effort import Effort

STEPS: Final = 20_000
"""Letters tried at places, for one question: some 10 ms."""
MOST: Final = 1 << 14
"""Characters of all grants that are looked at together."""

ANY: Final = "?"
RUN: Final = "*"
DEEP: Final = "**"
_TOKENS: Final = re.compile(r"\*{2,}|\*|\?|[^*?]", re.DOTALL)

_LETTERS: Final[list[str]] = [*string.ascii_letters, *map(chr, range(0x4E00, 0x9FA5))]
"""More than `MOST` characters and a path can use up."""

BEGIN, SLASH, NAME = range(3)
"""What was read last."""


def tokens(glob: str) -> list[str]:
    """Return a glob in pieces: characters, `?`, `*` and `**`."""
    return [DEEP if piece.startswith(DEEP) else piece for piece in _TOKENS.findall(glob)]


class GrantedGlobs:
    """The union of some globs as one automaton: its places are the bits of a number.

    Each glob takes one place a token, and one behind the last, where it is complete.
    """

    __slots__ = ("_at", "_complete", "_free", "_name_only", "_one", "_runs", "begin", "letters")

    def __init__(self, globs: Iterable[str]) -> None:
        self._at: dict[str, int] = {}
        self._one = 0
        """Places before `?`."""
        self._runs = 0
        """Places before `*` and `**`: what is behind them may be at once."""
        self._free = 0
        """Places before `**`."""
        self._name_only = 0
        """Places before `*`."""
        self._complete = 0
        begin = place = 0
        for glob in globs:
            begin |= 1 << place
            for token in tokens(glob):
                self._place(token, 1 << place)
                place += 1
            self._complete |= 1 << place
            place += 1
        self.letters = frozenset(self._at)
        self.begin = self._settled(begin)

    def _place(self, token: str, bit: int) -> None:
        if token == ANY:
            self._one |= bit
        elif token == RUN:
            self._runs |= bit
            self._name_only |= bit
        elif token == DEEP:
            self._runs |= bit
            self._free |= bit
        else:
            self._at[token] = self._at.get(token, 0) | bit

    def _settled(self, places: int) -> int:
        while True:
            more = places | (places & self._runs) << 1
            if more == places:
                return places
            places = more

    def read(self, places: int, letter: str) -> int:
        """Return where it may be after one more letter."""
        moved = places & self._at.get(letter, 0)
        stays = places & self._free
        if letter != "/":
            moved |= places & self._one
            stays |= places & self._name_only
        return self._settled(moved << 1 | stays)

    def holds(self, places: int) -> bool:
        """Tell whether what was read so far is granted."""
        return bool(places & self._complete)


def left_out(asked: str, globs: Sequence[str], effort: Effort) -> str | None:
    """Return a path that the glob `asked` matches and none of `globs` does; None: there is none.

    Empty where nobody knows: it would take too long to find out.
    """
    effort.left -= 4 * len(globs)
    if effort.over:  # whoever asks on all the same gets this answer for nothing
        return ""
    pattern = tokens(asked)
    near = [glob for glob in globs if _may_meet(asked, glob)]
    size = sum(map(len, near))
    effort.left -= 2 * size
    if size > MOST or effort.over:
        return ""
    granted = GrantedGlobs(near)
    known = granted.letters | {token for token in pattern if len(token) == 1 and token not in (ANY, RUN)}
    return _search(pattern, granted, [*sorted(known | {"/"}), _another(known)], effort)


def _another(known: Set[str]) -> str:
    """Return a character that stands for all those that no text holds."""
    return next(letter for letter in _LETTERS if letter not in known)


class _State(NamedTuple):
    """A place in what is asked, with where that is in what is granted."""

    place: int
    granted: int
    last: int


def _search(pattern: list[str], granted: GrantedGlobs, letters: list[str], effort: Effort) -> str | None:
    begin = _State(0, granted.begin, BEGIN)
    came: dict[_State, tuple[_State, str] | None] = {begin: None}
    """How each state was reached: from which, by which letter."""
    todo = [begin]
    most = effort.left - STEPS
    while todo:
        state = todo.pop()
        if state.place == len(pattern):
            if state.last == NAME and not granted.holds(state.granted):
                return _path_to(state, came)
            continue
        for letter, following in _following(state, pattern[state.place], granted, letters):
            effort.left -= 1
            if following not in came:
                came[following] = (state, letter)
                todo.append(following)
        if effort.left < most or effort.over:
            return ""
    return None


def _following(
    state: _State, token: str, granted: GrantedGlobs, letters: list[str]
) -> Iterator[tuple[str, _State]]:
    place, granted_at, last = state
    if token in (RUN, DEEP):
        yield "", _State(place + 1, granted_at, last)
    then = place if token in (RUN, DEEP) else place + 1
    for letter in letters if token in (ANY, RUN, DEEP) else (token,):
        if letter != "/" and last != BEGIN:
            yield letter, _State(then, granted.read(granted_at, letter), NAME)
        elif letter == "/" and last != SLASH and token not in (ANY, RUN):
            yield letter, _State(then, granted.read(granted_at, letter), SLASH)


def _path_to(state: _State, came: dict[_State, tuple[_State, str] | None]) -> str:
    letters = []
    step = came[state]
    while step is not None:
        before, letter = step
        letters.append(letter)
        step = came[before]
    return "".join(reversed(letters))


def _may_meet(one: str, other: str) -> bool:
    """Tell whether the literal beginnings of two globs allow a path that both match."""
    first, second = _beginning(one), _beginning(other)
    return first.startswith(second) or second.startswith(first)


def _beginning(glob: str) -> str:
    wildcard = re.search(r"[*?]", glob)
    return glob if wildcard is None else glob[: wildcard.start()]
