"""Splitting a line into words as a shell does, for transaction files.

The standard library's `shlex` looks at one character at a time in Python: a value of a megabyte would take
seconds.

    set /a "two words"  'as \\ is' esca\\ ped  # comment   ->   set, /a, two words, as \\ is, esca ped
"""

from __future__ import annotations

import re

BLANKS = " \t\r\n\f\v"
_BLANK = re.compile(r"[ \t\r\n\f\v]*")
_PLAIN = re.compile(r"[^ \t\r\n\f\v'\"\\]+")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPE = re.compile(r'\\(["\\])')


def split(line: str) -> list[str]:
    """Return the words of a line; ValueError for a quote that is not closed or a lone backslash at the end.

    Quotes join what they hold, a backslash takes the next character as it is (in double quotes only `"` and
    the backslash), `#` at the start of a word begins a comment.
    """
    words: list[str] = []
    position = _end(_BLANK, line, 0)
    while position < len(line) and line[position] != "#":
        pieces: list[str] = []
        while position < len(line) and line[position] not in BLANKS:
            piece, position = _piece(line, position)
            pieces.append(piece)
        words.append("".join(pieces))
        position = _end(_BLANK, line, position)
    return words


def _end(pattern: re.Pattern[str], line: str, position: int) -> int:
    found = pattern.match(line, position)
    return found.end() if found is not None else position


def _piece(line: str, position: int) -> tuple[str, int]:
    """Return the part of a word that begins at `position`, unquoted, and where it ends."""
    first = line[position]
    if first == "\\":
        if position + 1 == len(line):
            raise ValueError("a backslash at the end escapes nothing")
        return line[position + 1], position + 2
    pattern = {"'": _SINGLE, '"': _DOUBLE}.get(first, _PLAIN)
    found = pattern.match(line, position)
    if found is None:
        raise ValueError(f"the quote {first} at column {position + 1} is not closed")
    if first == '"':
        return _ESCAPE.sub(r"\1", found[1]), found.end()
    return (found[1] if first == "'" else found[0]), found.end()
