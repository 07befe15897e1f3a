"""The difference of two values as a unified diff, as `diff -u` writes it."""

from __future__ import annotations

import difflib

from visor._core.harmless import harmless

MISSING = "/dev/null"
NO_END = "\\ No newline at end of file\n"
LARGEST = 64 * 1024
"""Bytes of a value above which no line-by-line diff is made: its time grows with the square."""


def unified(path: str, before: bytes | None, after: bytes | None) -> bytes:
    """Return the patch from `before` to `after` (None: missing); one line of words for what is not text."""
    old, new = _text(before), _text(after)
    names = (MISSING if before is None else f"a{path}", MISSING if after is None else f"b{path}")
    if old is None or new is None:
        return f"Binary values differ: {names[0]} {names[1]}\n".encode()
    lines = list(difflib.unified_diff(_lines(old), _lines(new), *names))
    if not lines:  # an empty file came or went: there is no line to show
        return f"--- {names[0]}\n+++ {names[1]}\n".encode()
    return "".join(each if each.endswith("\n") else f"{each}\n{NO_END}" for each in lines).encode()


def _text(data: bytes | None) -> str | None:
    """Return the text of a value; None when it is none, too large, or would harm a terminal."""
    if data is None:
        return ""
    if len(data) > LARGEST:
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if harmless(text, lines=True) == text else None


def _lines(text: str) -> list[str]:
    pieces = text.split("\n")
    return [f"{piece}\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])
