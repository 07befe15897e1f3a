"""Words of others on their way to a terminal, a log, a service manager or a program that reads JSON.

What a client, a peer or a file says may hold anything: an escape sequence rewrites a terminal, a line end begins a log
line of its own, a mark of direction turns a text around, and what has no width hides in it. Where such words leave,
they pass through here; the registry itself stores and returns what it was given.

    harmless("a\\x1b[2Jb")                    'a\\\\x1b[2Jb'      one line of text
    harmless("a\\nb\\x07", lines=True)         'a\\nb\\\\x07'       several lines
    json_text({"a": "\\x7f\\u202e"})           '{"a": "\\\\u007f\\\\u202e"}', which is read back as it was
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final, TextIO

_HARMFUL: Final = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""What no path can hold either. What only has no meaning yet (Cn) or none of its own (Co) harms nobody."""
_ODD: Final = re.compile(r"[^ -~\n]")
"""All but printable ASCII, and the line ends between the lines of a document."""


def harmless(text: str, *, lines: bool = False) -> str:
    """Return `text` with control, format and surrogate characters written as escapes.

    With `lines`, line ends and tabs stay. What a path may hold is never touched.
    """
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(c if c in kept or unicodedata.category(c) not in _HARMFUL else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def json_text(value: Any, *, indent: int | None = None, **options: Any) -> str:
    """Return a JSON document in which all of Unicode's "other" (C*) and line separators are `\\uXXXX`.

    Everything else stays readable. `options` are those of `json.dumps`.
    """
    import json  # most that is made harmless is plain text

    text = json.dumps(value, ensure_ascii=False, indent=indent, **options)
    if text.isprintable():
        return text
    return _ODD.sub(_escape_json, text)


def _escape_json(found: re.Match[str]) -> str:
    character = found[0]
    category = unicodedata.category(character)
    if category[0] != "C" and category not in ("Zl", "Zp"):
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


class Careful:
    """A text stream for people: what is written to it is made harmless, line ends stay."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str, /) -> int:
        """Write it without what could harm a terminal or a log."""
        return self._stream.write(harmless(text, lines=True))

    def draw(self, text: str) -> None:
        """Hand over what was made for a terminal, of words that are harmless already."""
        self._stream.write(text)
        self._stream.flush()

    def flush(self) -> None:
        """Hand over what was written."""
        self._stream.flush()
