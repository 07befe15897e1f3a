"""Braces in a glob: one text for several globs. Only clients know them; a server is sent the globs that they stand for.

    /{queue,claims}/**        /queue/**  /claims/**
    /app/{web,db}.{1,2}       /app/web.1  /app/web.2  /app/db.1  /app/db.2
    /a{,.bak}                 /a  /a.bak                               nothing may be between them
    /x/{a,b/{c,d}}            /x/a  /x/b/c  /x/b/d                     and braces within

No path and no other glob holds a brace, so that a text with one means this and nothing else. A comma outside of braces
is a character like others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from visor.protocol.limits import DEFAULT, SELECTORS

DEPTH: Final = 8
"""Braces within braces."""
LONGEST: Final = SELECTORS * DEFAULT.path
"""Characters of a text with braces: as many globs as there may be, each as long as one may be."""

_RUN: Final = re.compile(r"[^{},]+|.", re.DOTALL)


def expand(text: str) -> list[str]:
    """Return the globs that `text` stands for, each once, in order. ValueError says why there are none.

    No more than `SELECTORS` (32), each counted once: more than that are never made.
    """
    if "{" not in text and "}" not in text:
        return [text]
    if len(text) > LONGEST:
        raise ValueError(f"is {len(text)} characters long, over the {LONGEST} of one with braces")
    return _sequence(_Tokens(text), 0)


class _Tokens:
    """The text cut at braces and commas; `at` is the place of the next one."""

    def __init__(self, text: str) -> None:
        self._tokens = _RUN.findall(text)
        self._next = 0
        self.at = 0

    def peek(self) -> str:
        """Return the next one without taking it; "" at the end."""
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self._next += 1
        self.at += len(token)
        return token


def _sequence(tokens: _Tokens, depth: int) -> list[str]:
    """Take what stands up to the end of the text, or of an alternative; return what it can be."""
    found = [""]
    while (token := tokens.peek()) and not (depth and token in ",}"):
        if token == "}":
            raise ValueError(f"has a }} at position {tokens.at} without a {{")
        some = _alternatives(tokens, depth + 1) if token == "{" else [tokens.take()]
        made = (one + other for one in found for other in some)
        found = list(made) if len(some) == 1 else _distinct(made)
        if max(map(len, found)) > DEFAULT.path:
            raise ValueError(f"stands for a glob of over {DEFAULT.path} characters")
    return found


def _distinct(some: Iterable[str]) -> list[str]:
    """Return each of them once, in order. ValueError as soon as there are too many."""
    found: dict[str, None] = {}
    for each in some:
        found[each] = None
        if len(found) > SELECTORS:
            raise ValueError(f"stands for more than {SELECTORS} globs")
    return list(found)


def _alternatives(tokens: _Tokens, depth: int) -> list[str]:
    """Take braces with what is between them; return what they can be."""
    opened = tokens.at
    if depth > DEPTH:
        raise ValueError(f"has a {{ at position {opened} within {DEPTH} others, and {DEPTH} is the most")
    found: list[str] = []
    while True:
        tokens.take()
        found = _distinct([*found, *_sequence(tokens, depth)])
        if not tokens.peek():
            raise ValueError(f"has a {{ at position {opened} without a }}")
        if tokens.peek() == "}":
            tokens.take()
            return found
